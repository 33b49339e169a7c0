"""Families by name: the article's, those that nnlc ships, and those of packages and modules."""

import importlib
import importlib.util
import sys
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nnlc.errors import FamilyError
from nnlc.families.interface import Family
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.networks.specification import FamilySpec, Specification

GROUP = "nnlc.families"
"""Group of entry points of packages that have families."""
SHIPPED = {"residual": "nnlc.families.residual:Residual"}
"""Modules and classes of the families that nnlc ships, by name."""


def make_family(reference: FamilyReference | None, space: Any) -> NetworkFamily:
    """Return a family with its settings.

    Args:
        reference: the family; None is the article's.
        space: `[space]` of the campaign: a `SearchSpace`, or values by name.

    Raises:
        FamilyError: its code can't be loaded or has changed, or a setting is wrong.
    """
    if reference is None:
        from nnlc.families.article.family import ArticleFamily
        from nnlc.families.article.space import SearchSpace

        return ArticleFamily(space if space is not None else SearchSpace())
    from nnlc.families.own_family import OwnFamily

    kind = load_class(reference)
    try:
        family = TypeAdapter(kind).validate_python(dict(space or {}))
    except ValidationError as problem:
        raise FamilyError(f"family {reference.name}: [space]: {problem}") from None
    return OwnFamily(family, reference)


def family_to_json(family: NetworkFamily) -> dict[str, Any]:
    """Return a family and its settings, as values that JSON can hold."""
    reference = family.reference
    return {
        "reference": reference and reference.model_dump(exclude_none=True),
        "space": TypeAdapter(type(family.space)).dump_python(family.space, mode="json"),
    }


def family_from_json(values: dict[str, Any]) -> NetworkFamily:
    """Return the family whose `family_to_json` gave these values."""
    reference = values["reference"] and FamilyReference.model_validate(values["reference"])
    space = values["space"]
    if reference is None:
        from nnlc.families.article.space import SearchSpace

        space = TypeAdapter(SearchSpace).validate_python(space)
    return make_family(reference, space)


@lru_cache(maxsize=64)
def _load(name: str, folder: str | None) -> type[Family]:
    if name in SHIPPED:
        module, _, attribute = SHIPPED[name].partition(":")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    if ":" in name:
        module, _, attribute = name.partition(":")
        path = Path(folder or ".") / f"{module.replace('.', '/')}.py"
        spec = importlib.util.spec_from_file_location(module, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise FamilyError(f"family {name}: {path} does not exist")
        made = importlib.util.module_from_spec(spec)
        sys.modules[module] = made
        spec.loader.exec_module(made)
        return getattr(made, attribute)  # type: ignore[no-any-return]
    found = [one for one in entry_points(group=GROUP) if one.name == name]
    if len(found) != 1:
        raise FamilyError(f"{len(found)} packages have a family {name!r}")
    return found[0].load()  # type: ignore[no-any-return]


def load_class(reference: FamilyReference) -> type[Family]:
    """Return the class of a family.

    Raises:
        FamilyError: it can't be loaded, or its code is not that of the reference.
    """
    return _load(reference.name, reference.folder)


def completed(reference: FamilyReference) -> FamilyReference:
    """Return a reference with label and digest of the code as it is now.

    Raises:
        FamilyError: the code can't be loaded.
    """
    kind = load_class(reference)
    return reference.model_copy(update={"label": f"{kind.name}@{kind.version}"})


def installed_family(label: str) -> FamilyReference:
    """Return the reference to a table's family that nnlc ships or a package has.

    Args:
        label: name and version in the table, such as residual@1.

    Raises:
        FamilyError: there is none of this name, or only of another version.
    """
    try:
        reference = completed(FamilyReference(name=label.partition("@")[0]))
    except FamilyError as problem:
        raise FamilyError(
            f"{problem}; keep the table in its results folder, whose campaign.toml names the code "
            f"of {label}, or name its campaign"
        ) from None
    if reference.label != label:
        raise FamilyError(
            f"the table is of family {label}, and {reference.label} is installed: install the "
            "version that made the table"
        )
    return reference


def specification_from_json(values: dict[str, Any]) -> Specification:
    """Return the specification whose `to_json` gave these values."""
    if "own" in values:
        return FamilySpec.from_json(values)
    from nnlc.families.article.spec import NetworkSpec

    return NetworkSpec.from_json(values)


__all__ = ["ARTICLE_NAME", "completed", "load_class", "make_family", "specification_from_json"]
