"""TOML files of campaigns and sites, which may extend each other and are checked strictly.

Each error names the file, the key, and what would be right.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nnlc.errors import NnlcError
from nnlc.system.shipped import shipped_names
from nnlc.system.text_file import read_text
from nnlc.system.toml_keys import FileKeys
from nnlc.wording import first_few, reason_of

Model = TypeVar("Model", bound=BaseModel)
Values = dict[str, Any]

_UNION_TAG = re.compile(r"int|literal\[.*\]")
_RIGHT_TYPES = {
    "int_type": "must be a whole number without quotes, such as 3",
    "int_from_float": "must be a whole number, such as 3",
    "float_type": "must be a number without quotes, such as 0.5",
    "bool_type": "must be true or false, without quotes",
    "string_type": 'must be a text in quotes, such as "name"',
    "tuple_type": "must be an array, such as [1, 3]",
    "list_type": "must be an array, such as [1, 3]",
}
"""Advice by pydantic's name of an error of type."""
_DEEPEST = 20
"""Levels of nested tables and arrays; nnlc's files have less than a quarter."""
_MOST_BITS = 1024
"""Bits of an integer here. The checks of each key refuse most that exceed TOML's 64 bits."""
_SHOWN = 200
"""Characters of a value that a message shows."""


class Layers:
    """A TOML file and the files that it extends, the nearest first."""

    def __init__(self, layers: list[tuple[Path, Values]]) -> None:
        self._layers = layers

    @property
    def each(self) -> list[Values]:
        """The keys of each file, the nearest first."""
        return [values for _, values in self._layers]

    @property
    def merged(self) -> Values:
        """All keys, each with its value in the nearest file that has it."""
        merged: Values = {}
        for values in reversed(self.each):
            merged = _merge(merged, values)
        return merged

    def only(self, key: str) -> "Layers":
        """Return the same files with one key alone, an empty table where none has it."""
        found = [(path, {key: values[key]}) for path, values in self._layers if key in values]
        return Layers(found or [(self._layers[0][0], {key: {}})])

    def rename(self, alias: str, key: str, error: type[NnlcError]) -> None:
        """Give a key that has another name in some files its own name.

        Raises:
            error: a file has both names.
        """
        for path, values in self._layers:
            if alias in values:
                if key in values:
                    raise error(f"{path}, key {alias}: means the same as {key}; leave one out")
                values[key] = values.pop(alias)

    def file_of(self, location: Iterable[str | int]) -> Path:
        """Return the nearest file with this key, or else with the longest part of its path."""
        parts = [str(part) for part in location]
        for length in range(len(parts), 0, -1):
            for path, values in self._layers:
                if _has_key(values, parts[:length]):
                    return path
        return self._layers[0][0]

    def has_key(self, location: list[str]) -> bool:
        """Return True if any of the files has this key."""
        return any(_has_key(values, location) for values in self.each)


def _has_key(values: Values, location: list[str]) -> bool:
    here: Any = values
    for part in location:
        here = here.get(part) if isinstance(here, dict) else None
    return here is not None


def read_layers(path: Path, find: Callable[[str], Path], error: type[NnlcError]) -> Layers:
    """Read a file and, by their `extends` keys, the files that it extends.

    Args:
        path: the file.
        find: returns the path of a shipped file by name, or raises `error`.
        error: class of the error to raise.
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
    """Return the path of a TOML file, given as a path or as the name of a shipped file.

    Args:
        name_or_path: the file.
        folder: folder of the shipped files, `jobs` or `site_configs`.
        error: class of the error to raise.

    Raises:
        error: there is neither such a shipped name nor such a file.
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
    """Return a TOML file as a dictionary, or raise `error`."""
    if path.is_dir():
        raise error(f"{path}: this is a folder; give a .toml file")
    text = read_text(path, error)
    try:
        values = tomllib.loads(text)
    except Exception as problem:  # Python has other errors for huge numbers and deep nesting
        raise error(f"{path}: not valid TOML: {reason_of(problem)}") from None
    _check_plain(values, path, error)
    return values


def _check_plain(values: Values, path: Path, error: type[NnlcError]) -> None:
    """Check that a file has no nesting or integers too large to be merged, checked and shown.

    Raises:
        error: it has, with the key.
    """
    level: list[tuple[str, Any]] = list(values.items())
    for _ in range(_DEEPEST):
        for key, value in level:
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise error(f"{path}, key {_shortened(key)}: the number is too large")
        level = [(key, inner) for key, value in level for inner in _inside(value)]
    if level:
        key = _shortened(level[0][0])
        raise error(f"{path}, key {key}: tables or arrays are nested over {_DEEPEST} levels deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def validate(
    model: type[Model],
    layers: Layers,
    error: type[NnlcError],
    *,
    keys: str | None = None,
    tables: Mapping[str, type] = MappingProxyType({}),
    words: Mapping[str, str] = MappingProxyType({}),
) -> Model:
    """Return the merged file as a `model`, or raise `error` with a line for each mistake.

    Args:
        model: the model of the file's content.
        layers: the file and those that it extends.
        error: class of the error to raise.
        keys: command that explains the file's keys, to which messages on unknown keys point.
        tables: models of the file's tables for which `model` has any value.
        words: names in the file of keys that have others in the model, and the other way round.

    The values pass through JSON: for JSON pydantic's strict mode refuses text in place of a number,
    but converts arrays to tuples.
    """
    try:
        # JSON lacks only TOML's dates and times.
        text = json.dumps(layers.merged, default=lambda moment: moment.isoformat())
        return model.model_validate_json(text, strict=True)
    except ValidationError as problem:
        wrong: dict[tuple[str, ...], list[ErrorDetails]] = {}
        for e in problem.errors(include_url=False, include_context=False):
            wrong.setdefault(_location(e), []).append(e)
        known = FileKeys(model, tables, words)
        lines = first_few(
            list(wrong), write=lambda where: _explain(where, wrong[where], known, layers)
        )
        if keys and any("unknown key; " in line for line in lines):
            lines[-1] += f"; {keys!r} explains all keys"
        raise error("\n".join(lines)) from None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """Return advice for an unknown word: the closest valid one, if any is close, and all."""
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


def _location(error: ErrorDetails) -> tuple[str, ...]:
    location = [str(part) for part in error["loc"]]
    if error["type"] == "missing" and isinstance(error["input"], list):
        location.pop()  # the array is wrong, and not the entry that it lacks
    if len(location) > 1 and _UNION_TAG.fullmatch(location[-1]):
        location.pop()  # pydantic's name for one of the types that a value may have
    return tuple(location)


def _explain(
    location: tuple[str, ...], errors: list[ErrorDetails], known: FileKeys, layers: Layers
) -> str:
    """Return the message on the errors at a key: file, key, what is wrong, what would be right."""
    messages = ", or ".join(_message(location, error, known) for error in errors)
    key = _shortened(known.written(location))
    return f"{layers.file_of(location)}{', key ' + key if key else ''}: {messages}"


def _message(location: tuple[str, ...], error: ErrorDetails, known: FileKeys) -> str:
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        key = known.word(location[-1])
        advice = did_you_mean(key, map(known.word, known.keys_at(location[:-1])))
        tables = list(known.tables_with(location[-1]))
        return f"unknown key; {f'it belongs in {tables[0]}; ' if tables else ''}{advice}"
    is_array = isinstance(error["input"], list)
    if error["type"].startswith("missing") and not is_array:
        key, example = known.word(location[-1]), known.example(location)
        return "this key is missing" + (f"; add it, such as {key} = {example}" if example else "")
    words = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if is_array and error["type"] in ("missing", "too_long"):
        example = known.example(location)
        few = "few" if error["type"] == "missing" else "many"
        words = f"must have as many values as {example}" if example else f"has too {few} values"
    message = _RIGHT_TYPES.get(error["type"], words)
    if isinstance(error["input"], dict):
        return message
    return f"{message}; found {_shortened(json.dumps(error['input'], default=str))}"
