"""TOML files that extend one another, checked strictly: campaigns and sites.

Whatever is wrong is refused with file, key, and what would be right.
"""

import dataclasses
import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nnlc.errors import NnlcError
from nnlc.system.shipped import shipped_names
from nnlc.system.text_file import read_text
from nnlc.wording import first_few, reason_of

Model = TypeVar("Model", bound=BaseModel)
Values = dict[str, Any]

_UNION_TAG = re.compile(r"int|literal\[.*\]")
_DEEPEST = 20
"""Tables and arrays within one another; no file of ours has a quarter of that."""
_MOST_BITS = 1024
"""Of a whole number. TOML has 64; larger ones are refused by their keys, if they can be told."""
_SHOWN = 200
"""Letters of a value that a message repeats."""


class Layers:
    """A file and those that it extends, the nearest first."""

    def __init__(self, layers: list[tuple[Path, Values]]) -> None:
        self._layers = layers

    @property
    def merged(self) -> Values:
        """All keys, each with the value of the nearest file that says it."""
        merged: Values = {}
        for _, values in reversed(self._layers):
            merged = _merge(merged, values)
        return merged

    def file_of(self, location: Iterable[str | int]) -> Path:
        """The nearest file that says this key, or the longest part of it that any file says."""
        parts = [str(part) for part in location]
        for length in range(len(parts), 0, -1):
            for path, values in self._layers:
                if _says(values, parts[:length]):
                    return path
        return self._layers[0][0]

    def says(self, location: list[str]) -> bool:
        """Whether any of the files has this key."""
        return any(_says(values, location) for _, values in self._layers)


def _says(values: Values, location: list[str]) -> bool:
    here: Any = values
    for part in location:
        here = here.get(part) if isinstance(here, dict) else None
    return here is not None


def read_layers(path: Path, find: Callable[[str], Path], error: type[NnlcError]) -> Layers:
    """Read a file and, through their `extends` keys, those below it.

    Args:
        path: the file.
        find: the path of a shipped file from its name; raises `error` for an unknown one.
        error: what to raise.
    """
    layers = [(path, read_toml(path, error))]
    while (parent := layers[-1][1].pop("extends", None)) is not None:
        child = layers[-1][0]
        if not isinstance(parent, str):
            raise error(f'{child}, key extends: give the name or path of another file as "text"')
        try:
            beside = child.parent / parent
            path = beside if beside.is_file() else find(parent)
            if any(path.resolve() == seen.resolve() for seen, _ in layers):
                raise error(f"{path} extends itself in a circle; break it")
            layers.append((path, read_toml(path, error)))
        except error as problem:
            raise error(f"{child}, key extends: {problem}") from None
        except (OSError, ValueError) as problem:
            raise error(f"{child}, key extends: {reason_of(problem)}") from None
    return Layers(layers)


def find_file(name_or_path: str, folder: str, error: type[NnlcError]) -> Path:
    """The file of a campaign (`jobs`) or site (`site_configs`): a shipped name, or a path.

    Raises:
        error: it is neither.
    """
    shipped = shipped_names(folder, ".toml")
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.suffix == ".toml" or os.path.lexists(path):
        return path
    raise error(
        f"no file and no shipped name {name_or_path!r}: {did_you_mean(name_or_path, shipped)}; "
        "or give the path of a .toml file"
    )


def read_toml(path: Path, error: type[NnlcError]) -> Values:
    """Read a TOML file as a dictionary; what can't be read is refused as an `error`."""
    if path.is_dir():
        raise error(f"{path}: this is a folder; give a .toml file")
    text = read_text(path, error)
    try:
        values = tomllib.loads(text)
    except Exception as problem:  # also of numbers and nesting that are too large for Python
        raise error(f"{path}: not valid TOML: {reason_of(problem)}") from None
    _check_plain(values, path, error)
    return values


def _check_plain(values: Values, path: Path, error: type[NnlcError]) -> None:
    """See that a file can be merged, checked and shown: neither deep nor with endless numbers.

    Raises:
        error: it can't; with the key.
    """
    level: list[tuple[str, Any]] = list(values.items())
    for _ in range(_DEEPEST):
        for key, value in level:
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise error(f"{path}, key {_shortened(key)}: the number is too large")
        level = [(key, inner) for key, value in level for inner in _inside(value)]
    if level:
        key = _shortened(level[0][0])
        raise error(f"{path}, key {key}: tables or arrays within one another, over {_DEEPEST} deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def validate(model: type[Model], layers: Layers, error: type[NnlcError]) -> Model:
    """The merged file as a `model`, or an `error` with a line for each thing that is wrong.

    Goes through JSON, where pydantic's strict mode takes no text for a number but still lets an
    array become a tuple.
    """
    try:
        text = json.dumps(layers.merged, default=_as_text)
        return model.model_validate_json(text, strict=True)
    except ValidationError as problem:
        wrong: dict[tuple[str, ...], list[ErrorDetails]] = {}
        for e in problem.errors(include_url=False, include_context=False):
            wrong.setdefault(_location(e), []).append(e)
        lines = first_few(
            list(wrong), write=lambda where: _explain(where, wrong[where], model, layers)
        )
        raise error("\n".join(lines)) from None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """Half a sentence: the closest valid word, if one is close, and all of them."""
    listed = list(valid)
    close = difflib.get_close_matches(word[:_SHOWN], listed, n=1)
    everything = "valid: " + ", ".join(first_few(listed, 40))
    return f"did you mean {close[0]!r}? ({everything})" if close else everything


def _merge(below: Values, above: Values) -> Values:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _as_text(value: Any) -> str:
    """TOML's dates and times, the only values that JSON lacks."""
    return str(value.isoformat())


def _location(error: ErrorDetails) -> tuple[str, ...]:
    location = [str(part) for part in error["loc"]]
    if len(location) > 1 and _UNION_TAG.fullmatch(location[-1]):
        location.pop()  # pydantic's name for one of the types that a value may have
    return tuple(location)


def _explain(
    location: tuple[str, ...], errors: list[ErrorDetails], model: type[BaseModel], layers: Layers
) -> str:
    """File and key; what is wrong and what would be right."""
    messages = ", or ".join(_message(location, error, model) for error in errors)
    key = _shortened(".".join(location))
    return f"{layers.file_of(location)}{', key ' + key if key else ''}: {messages}"


def _message(location: tuple[str, ...], error: ErrorDetails, model: type[BaseModel]) -> str:
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key; {did_you_mean(location[-1], _keys_at(model, location[:-1]))}"
    if error["type"].startswith("missing"):
        return "the array has too few values" if location[-1].isdigit() else "this key is missing"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):
        return message
    return f"{message}; found {_shortened(json.dumps(error['input'], default=str))}"


def _keys_at(model: Any, location: tuple[str, ...]) -> list[str]:
    """The keys that the table at `location` may have, found by walking the model's fields."""
    here: Any = model
    for part in location:
        # In a dict of tables every key leads to the type of its values.
        here = get_args(here)[-1] if _is_dict(here) else _fields(here).get(part)
    keys = list(_fields(here))
    return keys if location else ["extends", *keys]


def _fields(model: Any) -> dict[str, Any]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: _bare(field.annotation) for name, field in model.model_fields.items()}
    if dataclasses.is_dataclass(model):
        return {field.name: field.type for field in dataclasses.fields(model)}
    return {}


def _bare(annotation: Any) -> Any:
    """The model inside `Model | None`."""
    inner = [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
    return inner[0] if len(inner) == 1 and not _is_dict(annotation) else annotation


def _is_dict(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict
