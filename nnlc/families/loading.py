"""Loading of families: those that nnlc ships, and those of packages and modules, by their names."""

import sys
from functools import lru_cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from nnlc.errors import FamilyError, NnlcError
from nnlc.families.class_rules import check_class
from nnlc.families.code_digest import code_of
from nnlc.families.importing import (
    attribute_of,
    check_not_taken,
    forget_folder,
    prefer_installed,
    use_folder,
    watching_torch,
)
from nnlc.families.interface import Family
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.network_family import NetworkFamily
from nnlc.families.own_code import what_was_raised
from nnlc.families.own_family import OwnFamily
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import check_same_code, completed
from nnlc.system.foreign_code import installed_entry_points, package_of
from nnlc.system.toml_file import did_you_mean

GROUP = "nnlc.families"
"""Group of entry points of packages that have families."""
SHIPPED = {"residual": "nnlc.families.residual:Residual"}
"""Modules and classes of the families that nnlc ships, by name."""


class LoadedFamily(NamedTuple):
    """A family's class, and its code when it was loaded."""

    kind: type[Family]
    code: str
    """Digest of the code."""
    modules: frozenset[str]
    """Modules of the code."""

    @property
    def label(self) -> str:
        """Name and version, such as residual@1."""
        return f"{self.kind.name}@{self.kind.version}"


_loaded: dict[tuple[str, str | None], LoadedFamily] = {}
"""Loaded families by name and folder: no code is imported twice."""
_with_torch: dict[str, str] = {}
"""Lines of code that import torch with the family's module, by the code's digest."""


def own_family(reference: FamilyReference, space: str) -> NetworkFamily:
    """Return a family that is not the article's.

    Args:
        reference: the family.
        space: `[space]` of the campaign, as JSON.

    Raises:
        FamilyError: its code can't be loaded or has changed, or a setting is wrong.
    """
    load_family(reference)  # may forget families that were made before
    return _own_family(reference, space)


@lru_cache(maxsize=64)
def _own_family(reference: FamilyReference, space: str) -> NetworkFamily:
    loaded = load_family(reference)
    check_same_code(reference, completed(reference))
    try:
        family = TypeAdapter(loaded.kind).validate_json(space, strict=True)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        key = ".".join(map(str, ("space", *first["loc"])))
        raise FamilyError(f"family {loaded.label}: {key}: {first['msg']}") from None
    except Exception as problem:  # of the author's __post_init__
        why = what_was_raised(loaded.kind, problem)
        raise FamilyError(f"family {loaded.label}: space: {why}") from None
    return OwnFamily(family, reference)


def _key(reference: FamilyReference) -> tuple[str, str | None]:
    return reference.name, reference.folder if ":" in reference.name else None


def load_family(reference: FamilyReference) -> LoadedFamily:
    """Return a family's class and the digest of its code, as they were when first loaded here.

    Raises:
        FamilyError: it can't be loaded, or breaks a rule of families.
    """
    name, key = reference.name, _key(reference)
    if key not in _loaded:
        try:
            _loaded[key] = _load(*key)
        except NnlcError as problem:
            raise FamilyError(f"family {name}: {problem}") from None
    return _loaded[key]


def _load(name: str, folder: str | None) -> LoadedFamily:
    """Import the code of a family, and check its class."""
    module, attribute = _module_and_class(name)
    if ":" in name:
        _use_folder(folder, module)
    elif name not in SHIPPED:
        prefer_installed()
    try:
        with watching_torch() as place_of:
            kind = check_class(attribute_of(module, attribute, folder))
        _check_name(kind, name)
        digest, modules = code_of(kind, folder)
        for each, path in modules.items():
            check_not_taken(each, path)
        loaded = LoadedFamily(kind, digest, frozenset(modules))
        if place := place_of(modules.values()) or _with_torch.get(digest):
            _with_torch[digest] = place
            raise FamilyError(
                f"{place}, imports torch, so that ranks and login nodes would load it too; import "
                "it within the method build"
            )
    except NnlcError:
        sys.modules.pop(module, None)  # so that the next try reads a corrected file
        if ":" in name:
            forget_folder(folder or "", [module])
        raise
    return loaded


def _module_and_class(name: str) -> tuple[str, str]:
    """Return the module and the class of a family's name."""
    installed = [] if ":" in name else installed_entry_points(GROUP)
    found = {package_of(entry): entry for entry in installed if entry.name == name}
    if name in SHIPPED and found:
        raise FamilyError(
            f"the name is taken by a family of nnlc's, and {' and '.join(found)} has one of this "
            "name too; give it another name, or uninstall it"
        )
    if len(found) > 1:
        several = ", ".join(sorted(found))
        raise FamilyError(f"{len(found)} packages have it: {several}; uninstall all but one")
    if name in SHIPPED or ":" in name:
        module, _, attribute = SHIPPED.get(name, name).partition(":")
        return module, attribute
    for entry in found.values():
        return entry.module, entry.attr
    known = sorted({ARTICLE_NAME, *SHIPPED, *(entry.name for entry in installed)})
    raise FamilyError(
        f"nnlc has no family of this name, nor has an installed package; "
        f'{did_you_mean(name, known)}; or give "module:Class" for a module of your own'
    )


def _check_name(kind: type[Family], name: str) -> None:
    """Check that the name of a class is its own, and that of its entry point."""
    if kind.name == ARTICLE_NAME or (kind.name in SHIPPED and name not in SHIPPED):
        raise FamilyError(
            f"class {kind.__name__}: the name {kind.name!r} is taken by a family of nnlc's"
        )
    if ":" not in name and kind.name != name:
        raise FamilyError(
            f"class {kind.__name__}: its name is {kind.name!r}, but its entry point's is {name!r}; "
            "give both the same name"
        )


def _use_folder(folder: str | None, module: str) -> None:
    """Let a module in the folder of a campaign file be imported.

    Raises:
        FamilyError: another module of this name is in use.
    """
    forget_all(but=folder)
    try:
        use_folder(folder or "", module)
    except FamilyError:
        forget_folder(folder or "", ())
        raise


def forget_all(*, but: str | None = None) -> None:
    """Forget the families of all folders but one, and the modules imported from there."""
    for key in [key for key in _loaded if key[1] not in (None, but)]:
        forget_folder(key[1] or "", _loaded.pop(key).modules)
        _own_family.cache_clear()
