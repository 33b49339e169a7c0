"""Keys that a TOML file may have, from the model of its content."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel


class FileKeys:
    """Keys that a file may have, as `validate` is told of them."""

    def __init__(
        self, model: type[BaseModel], tables: Mapping[str, type], words: Mapping[str, str]
    ) -> None:
        self._fields = {**fields_of(model), **tables}
        self._words = words

    def word(self, key: str) -> str:
        """Return the name of a key in the file."""
        return self._words.get(key, key)

    def keys_at(self, location: tuple[str, ...]) -> list[str]:
        """Return the keys that the table at `location` may have, from the model's fields."""
        if not location:
            return ["extends", *self._fields]
        here: Any = self._fields.get(location[0])
        for part in location[1:]:
            # Names of a dict's tables, and indexes of an array's, are no fields.
            collection = get_origin(here) in (dict, tuple)
            here = model_of(here) if collection else fields_of(model_of(here)).get(part)
        return list(fields_of(model_of(here)))

    def tables_with(self, key: str) -> Iterator[str]:
        """Yield the headers of the tables that may have a key."""
        return _tables_with(key, self._fields)


def _tables_with(key: str, fields: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the headers of the tables below some fields that may have a key."""
    for name, annotation in fields.items():
        below, inner = f"{above}{name}", fields_of(model_of(annotation))
        if get_origin(annotation) is dict:
            below += ".NAME"
        if key in inner:
            yield f"[{below}]"
        yield from _tables_with(key, inner, f"{below}.")


def model_of(annotation: Any) -> Any:
    """Return the model of `Model`, `Model | None`, `dict[str, Model]` or `tuple[Model, ...]`.

    A model is a class of pydantic's or a dataclass. Return None for other types.
    """
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and (
            issubclass(each, BaseModel) or dataclasses.is_dataclass(each)
        ):
            return each
    return None


def fields_of(model: Any) -> dict[str, Any]:
    """Return the fields of a model, each with its annotation; none of any other type."""
    if dataclasses.is_dataclass(model):
        return {field.name: field.type for field in dataclasses.fields(model)}
    return {name: each.annotation for name, each in model.model_fields.items()} if model else {}
