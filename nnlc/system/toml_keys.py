"""Keys that a TOML file may have, from the model of its content."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Location = tuple[str, ...]


def wrong_keys(wrong: Iterable[tuple[Location, Any, str]]) -> ValidationError:
    """Return the error of a validator on keys below the one that it validates.

    Args:
        wrong: location of each key, its value, and what would be right.
    """
    return ValidationError.from_exception_data(
        "keys",
        [
            InitErrorDetails(type=PydanticCustomError("value_error", right), loc=at, input=found)
            for at, found, right in wrong
        ],
    )


class FileKeys:
    """Keys that a file may have, as `validate` is told of them."""

    def __init__(
        self, model: type[BaseModel], tables: Mapping[str, type], words: Mapping[str, str]
    ) -> None:
        self._model, self._words = model, words
        self._fields = {**fields_of(model), **tables}

    def word(self, key: str) -> str:
        """Return the name of a key in the file."""
        return self._words.get(key, key)

    def written(self, location: Location) -> str:
        """Return a location in the file's words; its last key is the one that may have another."""
        last = max((at for at, part in enumerate(location) if not part.isdigit()), default=0)
        return ".".join(self.word(part) if at == last else part for at, part in enumerate(location))

    def keys_at(self, location: Location) -> list[str]:
        """Return the keys that the table at `location` may have, from the model's fields."""
        return list(fields_of(self._table(location))) if location else ["extends", *self._fields]

    def _table(self, location: Location) -> Any:
        """Return the model of the table at `location`."""
        if not location:
            return self._model
        here: Any = self._fields.get(location[0])
        for part in location[1:]:
            # Names of a dict's tables, and indexes of an array's, are no fields.
            collection = get_origin(here) in (dict, tuple)
            here = model_of(here) if collection else fields_of(model_of(here)).get(part)
        return model_of(here)

    def example(self, location: Location) -> str:
        """Return a right value of the key at `location` as TOML, or "" if the model has none."""
        table, key = self._table(location[:-1]), location[-1]
        if dataclasses.is_dataclass(table):
            return next((_toml(f.default) for f in dataclasses.fields(table) if f.name == key), "")
        field = table.model_fields.get(key) if table else None
        if field is None:
            return ""
        return str(field.examples[0]) if field.examples else _toml(field.default)

    def tables_with(self, key: str) -> Iterator[str]:
        """Yield the headers of the tables that may have a key."""
        return _tables_with(key, self._fields)


def _toml(value: object) -> str:
    """Return a default as TOML; "" if there is none that a file may have."""
    return json.dumps(value) if isinstance(value, str | int | float | tuple | list) else ""


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
