"""Text of `nnlc keys`: every key of campaign and site files, read from the models of these files.

A key's meaning is the docstring of its attribute. It is read from the source at each call, since
pydantic's `use_attribute_docstrings` would read it at each start of every program.
"""

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nnlc.networks.space import LIMITS, SearchSpace
from nnlc.system.toml_file import model_of

_WIDTH = 100
_NOUNS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    datetime: "date and time",
}


class Key(NamedTuple):
    """A key of a file, in words for its user."""

    name: str
    type: str
    default: str
    """Default, such as "default 40"; "optional" for a key that has no value unless given, or
    "required"."""
    meaning: str


_EXTENDS = Key(
    "extends",
    "text",
    "optional",
    "File to start from: a shipped name or a path. Required keys may come from it; others replace "
    "its keys, section by section.",
)


class Section(NamedTuple):
    """A section of a file: the title, such as "[run]", the purpose, and the keys."""

    title: str
    purpose: str
    keys: list[Key]


def sections_of(model: Any, title: str) -> Iterator[Section]:
    """Yield the sections of a file: the keys at its top first, then each table."""
    meanings, fields = _meanings(model), _fields(model)
    limits = LIMITS if model is SearchSpace else {}
    tables = {name: model_of(field.annotation) for name, field in fields.items()}
    keys = [
        Key(name, _type(field, limits.get(name)), _default(field), meanings.get(name, ""))
        for name, field in fields.items()
        if tables[name] is None
    ]
    yield Section(title, _purpose(model), keys)
    for name, table in tables.items():
        if table is not None:
            match get_origin(fields[name].annotation):
                case origin if origin is dict:
                    inner = f"[{name}.NAME]"
                case origin if origin is tuple:
                    inner = f"[[{name}]]"
                case _:
                    inner = f"[{name}]"
            yield from sections_of(table, inner)


def keys_text(model: Any, title: str) -> Iterator[str]:
    """Yield the lines that `nnlc keys` prints for a file."""
    for i, (heading, purpose, keys) in enumerate(sections_of(model, title)):
        yield from ("", heading) if i else (heading,)
        yield from textwrap.wrap(purpose, _WIDTH)
        yield ""
        shown = keys if i else [_EXTENDS, *keys]
        widest = max(len(key.name) for key in shown)
        for key in shown:
            start, gap = f"  {key.name:<{widest}}  ", " " * (widest + 4)
            for text, first in ((f"{key.type}; {key.default}", start), (key.meaning, gap)):
                yield from textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=gap)


def _fields(model: Any) -> dict[str, FieldInfo]:
    if dataclasses.is_dataclass(model):
        return {
            field.name: FieldInfo.from_annotated_attribute(field.type, field.default)  # type: ignore[arg-type]
            for field in dataclasses.fields(model)
        }
    # Without repr: a key that only nnlc writes.
    return {name: field for name, field in model.model_fields.items() if field.repr}


def _meanings(model: Any) -> dict[str, str]:
    """Return the docstring of each attribute that has one."""
    source: Any = ast.parse(inspect.getsource(model)).body[0]
    found = {}
    for pair in pairwise(source.body):
        match pair:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _purpose(model: Any) -> str:
    """Return a model's docstring, without what only programmers need."""
    text = (inspect.getdoc(model) or "").partition("\n\nRaises:")[0]
    text = " ".join(re.sub(r"^.*`\[.*\]`: ", "", text).split())
    return text[0].upper() + text[1:]


def _default(field: FieldInfo) -> str:
    match field.default:
        case default if default is PydanticUndefined:
            return "required"
        case None:
            return "optional"
        case default:
            return f"default {json.dumps(default)}"


def _type(field: FieldInfo, limits: tuple[float, float] | None) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "enum" in extra:
        return _choices(extra["enum"])
    return _words(field.annotation, field.metadata, limits=limits, pair=field.title)


def _words(
    annotation: Any,
    metadata: Sequence[Any] = (),
    *,
    limits: tuple[float, float] | None = None,
    pair: str | None = None,
) -> str:
    """Return a type in words.

    Args:
        annotation: the type.
        metadata: its bounds.
        limits: least and greatest value of each end of a range.
        pair: names of two values that are no range.
    """
    inner = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _words(inner[0], [m for each in inner[1:] for m in _metadata(each)])
        case origin if origin is Literal:
            return _choices(inner)
        case origin if origin in (Union, UnionType):
            return " or ".join(_words(each) for each in inner if each is not type(None))
        case origin if origin is tuple and inner[-1] is ...:
            return f"list of {_plural(_words(inner[0]))}"
        case origin if origin is tuple:
            bounds = f" from {_number(limits[0])} to {_number(limits[1])}" if limits else ""
            least, _, word = _words(inner[1]).partition(" or ")
            ending = f"; the highest may be {word}" if word else ""
            return f"{pair or '[lowest, highest]'}, {_plural(least)}{bounds}{ending}"
    return _NOUNS[annotation] + _bounds(metadata)


def _metadata(each: Any) -> list[Any]:
    return each.metadata if isinstance(each, FieldInfo) else [each]


def _plural(noun: str) -> str:
    return noun.replace("number", "numbers", 1).replace("text", "texts")


def _choices(values: Any) -> str:
    *most, last = map(json.dumps, values)
    return f"{', '.join(most)} or {last}" if most else last


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _bounds(metadata: Sequence[Any]) -> str:
    found = {
        name: _number(value)
        for each in metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(each, name, None)) is not None
    }
    if {"ge", "le"} <= found.keys():
        return f" from {found['ge']} to {found['le']}"
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return " " * bool(found) + ", ".join(f"{signs[name]} {text}" for name, text in found.items())
