"""Rules that a family's class must keep, checked when it is loaded."""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nnlc.errors import FamilyError, SpecError
from nnlc.families.interface import Family
from nnlc.families.own_code import what_was_raised
from nnlc.networks.columns import KINDS
from nnlc.networks.specification import FAMILY_PATTERN, MAX_NETWORKS, check_column_name
from nnlc.wording import one_line

_ATTRIBUTES = ("name", "version", "columns", "groups")


def check_class(found: object) -> type[Family]:
    """Return the class of a family if it keeps all rules.

    Raises:
        FamilyError: it breaks one; the text has no file and no name of the family.
    """
    if not isinstance(found, type) or not issubclass(found, Family):
        raise FamilyError(f"{one_line(repr(found))} is no subclass of nnlc.families.Family")
    for problem in _problems(found):
        raise FamilyError(f"class {found.__name__}: {problem}")
    return found


def _problems(kind: type[Family]) -> Iterator[str]:
    """Yield what is wrong with a class, the first first; later checks rely on earlier ones."""
    if lacks := sorted(kind.__abstractmethods__):
        yield f"lacks the method {' and '.join(lacks)}"
    if lacks := [name for name in _ATTRIBUTES if not hasattr(kind, name)]:
        yield f"lacks {' and '.join(lacks)}"
    about: Any = kind
    label = f"{about.name}@{about.version}"
    if not (isinstance(about.name, str) and isinstance(about.version, str)):
        yield 'name and version must be texts, such as "mine" and "1"'
    if not FAMILY_PATTERN.fullmatch(label):
        yield (
            f"name {one_line(repr(about.name))} and version {one_line(repr(about.version))} must "
            "consist of letters, digits, dashes, underscores and dots, and the name begins with a "
            "letter"
        )
    if not isinstance(about.columns, Mapping):
        yield 'columns must be a dictionary from names to kinds, such as {"widths": "integers"}'
    for name, column_kind in about.columns.items():
        yield from _problem_of_column(name, column_kind)
    groups = about.groups
    is_pair = isinstance(groups, tuple) and len(groups) == 2 and {int} == {type(g) for g in groups}
    if not is_pair or not 0 <= groups[0] <= groups[1] < MAX_NETWORKS:
        yield (
            f"groups = {one_line(repr(groups))}: must be the first and the last group, whole "
            f"numbers from 0 to {MAX_NETWORKS - 1}, such as (1, 10)"
        )
    yield from _problem_of_settings(kind)


def _problem_of_column(name: object, kind: object) -> Iterator[str]:
    if kind not in KINDS:
        found = one_line(repr(kind))
        yield f"columns: the kind of {one_line(str(name))} is {found}, not one of {KINDS}"
    try:
        check_column_name(str(name))
    except SpecError as problem:
        yield f"columns: {problem}"


def _without_type(kind: type[Family]) -> Iterator[tuple[str, object]]:
    """Yield attributes of a class that look like settings, but have no annotation."""
    for base in kind.__mro__:
        if issubclass(base, Family) and base is not Family:
            known = {*_ATTRIBUTES, *inspect.get_annotations(base)}
            for name, value in vars(base).items():
                is_plain = isinstance(value, str | int | float | list | tuple | dict)
                if is_plain and name not in known and name.islower() and name[0] != "_":
                    yield name, value


def _problem_of_settings(kind: Any) -> Iterator[str]:
    """Yield why the fields of a class can't be settings of a campaign file."""
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        yield "must be decorated with @dataclass(frozen=True)"
    for name, value in _without_type(kind):
        yield (
            f"{name} = {one_line(repr(value), 40)} is no setting, as it has no type: write "
            f"{name}: {type(value).__name__} = …, or {name.upper()} for what no campaign changes"
        )
    for field in dataclasses.fields(kind):
        if field.default is field.default_factory is dataclasses.MISSING:
            yield f"setting {field.name} has no default"
    try:
        adapter = TypeAdapter(kind)
        adapter.validate_json(adapter.dump_json(kind(), warnings=False), strict=True)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        yield f"default of setting {'.'.join(map(str, first['loc']))}: {first['msg']}"
    except Exception as problem:
        yield f"its settings can't be used: {what_was_raised(kind, problem)}"
