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
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, pairwise
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from nnlc.families.reference import FamilyReference
from nnlc.schedulers.container import Container
from nnlc.system.toml_keys import model_of

_WIDTH = 100
_NOUNS: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_NOUNS |= {datetime: "date and time", FamilyReference: "text", Container: "text"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


class Key(NamedTuple):
    """A key of a file, in words for its user."""

    name: str
    type: str
    default: str
    """Default, such as "default 40"; "optional" without a default, or "required"."""
    meaning: str


_EXTENDS = Key(
    "extends",
    "text",
    "optional",
    "File to start from: a shipped name or a path. Required keys may come from it; others replace "
    "its keys, section by section.",
)


def sections_of(model: Any, title: str) -> Iterator[tuple[str, str, list[Key]]]:
    """Yield the sections of a file, each with its title, such as "[run]", its purpose and keys."""
    keys, tables, meanings = [], [], _meanings(model)
    for name, field in _fields(model).items():
        if (table := _table_of(field)) is None:
            meaning = meanings.get(name, "")
            keys.append(Key(name, _type(name, field, model), _default(field), meaning))
        else:
            titles: dict[Any, str] = {dict: f"[{name}.NAME]", tuple: f"[[{name}]]"}
            tables.append((table, titles.get(get_origin(field.annotation), f"[{name}]")))
    purpose = (inspect.getdoc(model) or "").partition("\n\nRaises:")[0]
    if purpose.startswith(f"{model.__name__}("):  # of a dataclass without a docstring
        purpose = ""
    yield title, _sentence(re.sub(r"^.*`\[.*\]`: ", "", purpose)), keys
    for table, inner in tables:
        yield from sections_of(table, inner)


def keys_text(model: Any, title: str) -> Iterator[str]:
    """Yield the lines that `nnlc keys` prints for a file, or for one of its tables."""
    for i, (heading, purpose, keys) in enumerate(sections_of(model, title)):
        yield from ("", heading) if i else (heading,)
        yield from (*textwrap.wrap(purpose, _WIDTH), "")
        shown = keys if heading.startswith("[") else [_EXTENDS, *keys]
        widest = max(len(key.name) for key in shown)
        for key in shown:
            start, gap = f"  {key.name:<{widest}}  ", " " * (widest + 4)
            for text, first in ((f"{key.type}; {key.default}", start), (key.meaning, gap)):
                yield from textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=gap)


def _table_of(field: FieldInfo) -> Any:
    """Return the model of a table; None for a value, also for one that stands for a table."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and callable(table := extra.get("table")):
        return table()
    table = model_of(field.annotation)
    return None if table in _NOUNS else table


def _fields(model: Any) -> dict[str, FieldInfo]:
    if not dataclasses.is_dataclass(model):
        # Without repr: a key that only nnlc writes.
        return {name: field for name, field in model.model_fields.items() if field.repr}
    make: Any = FieldInfo.from_annotated_attribute
    types = get_type_hints(model, include_extras=True)
    return {each.name: make(types[each.name], each.default) for each in dataclasses.fields(model)}


def _meanings(model: Any) -> dict[str, str]:
    """Return the docstrings of attributes, by name."""
    source: Any = ast.parse(inspect.getsource(model)).body[0]
    found = {}
    for pair in pairwise(source.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(str(text))):
                found[name] = _sentence(text)
    return found


def _sentence(text: str) -> str:
    return " ".join(f"{text[:1].upper()}{text[1:]}".split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "optional" if field.default is None else f"default {json.dumps(field.default)}"


def _type(name: str, field: FieldInfo, model: Any) -> str:
    """Return a key's type in words, with its limits."""
    if isinstance(extra := field.json_schema_extra, dict):
        return _choices(extra["enum"])
    words = _words(field.annotation, field.metadata)
    limits: dict[str, tuple[float, float]] = getattr(model, "limits_of_keys", dict)()
    if name in limits:
        low, high = limits[name]
        words = words.replace("numbers", f"numbers from {_number(low)} to {_number(high)}")
    return words.replace("[lowest, highest]", field.title or "[lowest, highest]")


def _words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    inner, origin = get_args(annotation), get_origin(annotation)
    if origin is Annotated:
        return _words(inner[0], chain(*(getattr(each, "metadata", [each]) for each in inner[1:])))
    if origin is Literal:
        return _choices(inner)
    if origin in (Union, UnionType):
        return " or ".join(_words(each) for each in inner if each is not type(None))
    if origin is tuple:
        least, _, word = _words(inner[1 if inner[-1] is not ... else 0]).partition(" or ")
        several = re.sub("(number|text)", r"\1s", least)
        if inner[-1] is ...:
            return f"list of {several}"
        return f"[lowest, highest], {several}" + (f"; the highest may be {word}" if word else "")
    bounds = {
        name: _number(value)
        for each in metadata
        for name in _SIGNS
        if (value := getattr(each, name, None)) is not None
    }
    if {"ge", "le"} <= bounds.keys():
        return f"{_NOUNS[annotation]} from {bounds['ge']} to {bounds['le']}"
    limits = ", ".join(f"{_SIGNS[name]} {text}" for name, text in bounds.items())
    return f"{_NOUNS.get(annotation, str(annotation))} {limits}".strip()


def _choices(values: Any) -> str:
    *most, last = map(json.dumps, values)
    return f"{', '.join(most)} or {last}" if most else last


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
