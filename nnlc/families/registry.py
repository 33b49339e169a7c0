"""Families by name: the article's, those that nnlc ships, and those of packages and modules."""

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from nnlc.errors import FamilyError, NnlcError
from nnlc.families.class_rules import check_class
from nnlc.families.code_digest import code_of
from nnlc.families.importing import attribute_of, check_not_taken, forget_folder, use_folder
from nnlc.families.interface import Family
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.networks.specification import FamilySpec, Specification
from nnlc.system.foreign_code import (
    installed_entry_points,
    package_of,
)
from nnlc.system.toml_file import did_you_mean
from nnlc.wording import exception_words

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
_with_torch: set[str] = set()
"""Digests of code that imports torch with its module."""


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
    load_family(reference)
    return _own_family(reference, json.dumps(space or {}))


@lru_cache(maxsize=64)
def _own_family(reference: FamilyReference, space: str) -> NetworkFamily:
    from nnlc.families.own_family import OwnFamily

    loaded = load_family(reference)
    check_same_code(reference, completed(reference))
    try:
        family = TypeAdapter(loaded.kind).validate_json(space, strict=True)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        key = ".".join(map(str, ("space", *first["loc"])))
        raise FamilyError(f"family {loaded.label}: {key}: {first['msg']}") from None
    except Exception as problem:  # of the author's __post_init__
        raise FamilyError(f"family {loaded.label}: space: {exception_words(problem)}") from None
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


def settings_class(name: str) -> type:
    """Return the class whose fields are the settings of a family.

    Args:
        name: the family's name; "module:Class" is in the current folder.

    Raises:
        FamilyError: there is no such family, or it can't be loaded.
    """
    if name == ARTICLE_NAME:
        from nnlc.families.article.space import SearchSpace

        return SearchSpace
    folder = str(Path.cwd()) if ":" in name else None
    try:
        return load_class(FamilyReference(name=name, folder=folder))
    except ValidationError:
        raise FamilyError(f"{name!r} is no name of a family") from None


def load_class(reference: FamilyReference) -> type[Family]:
    """Return the class of a family.

    Raises:
        FamilyError: it can't be loaded.
    """
    return load_family(reference).kind


def completed(reference: FamilyReference) -> FamilyReference:
    """Return a reference with label and digest of the code as it is now.

    Raises:
        FamilyError: the code can't be loaded.
    """
    loaded = load_family(reference)
    return reference.model_copy(update={"label": loaded.label, "code": loaded.code})


def check_same_code(recorded: FamilyReference | None, now: FamilyReference | None) -> None:
    """Check that a family has the version and the code that were recorded.

    Raises:
        FamilyError: it has not; the text says what to do.
    """
    if recorded is not None and now is not None:
        check_version(recorded, now.label)
        if recorded.code not in (None, now.code):
            raise FamilyError(other_code(recorded, now.code))


def check_version(recorded: FamilyReference, label: str | None) -> None:
    """Check that a family has the name and version that were recorded.

    Raises:
        FamilyError: it has others; the text says what to do.
    """
    if recorded.label not in (None, label):
        raise FamilyError(
            f"family {recorded.name}: it is {label} now, and was {recorded.label} when these "
            "networks were begun; another version has other networks: put the old one back, or "
            "begin another results folder"
        )


def other_code(recorded: FamilyReference, code: str | None) -> str:
    """Return the message on a family whose code has changed.

    Args:
        recorded: the family as it was recorded.
        code: digest of the code now.
    """
    return (
        f"family {recorded.label or recorded.name}: its code has changed: its digest is {code}, "
        f"and was {recorded.code} when these networks were begun; put the old code back, or go on "
        "with the new one by the worker's option --accept-code, or by 'nnlc upgrade RESULTS "
        "--accept-code': tables stay, and networks under way start again"
    )


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
    had_torch = "torch" in sys.modules
    module, attribute = _module_and_class(name)
    if ":" in name:
        _use_folder(folder, module)
    try:
        kind = check_class(attribute_of(module, attribute, folder))
        _check_name(kind, name)
        digest, modules = code_of(kind, folder)
        for each, path in modules.items():
            check_not_taken(each, path)
        loaded = LoadedFamily(kind, digest, frozenset(modules))
        if "torch" in sys.modules and not had_torch:
            _with_torch.add(loaded.code)
        if loaded.code in _with_torch:
            raise FamilyError(
                f"module {module} imports torch, so that ranks and login nodes would load it too; "
                "import it within the method build"
            )
    except NnlcError:
        sys.modules.pop(module, None)  # so that the next try reads a corrected file
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
        f'{did_you_mean(name, known)}; or give "module:Class" for a module beside the campaign file'
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
    use_folder(folder or "", module)


def forget_all(*, but: str | None = None) -> None:
    """Forget the families of all folders but one, and the modules imported from there."""
    for key in [key for key in _loaded if key[1] not in (None, but)]:
        forget_folder(key[1] or "", _loaded.pop(key).modules)
        _own_family.cache_clear()


def specification_from_json(values: dict[str, Any]) -> Specification:
    """Return the specification whose `to_json` gave these values."""
    if "own" in values:
        return FamilySpec.from_json(values)
    from nnlc.families.article.spec import NetworkSpec

    return NetworkSpec.from_json(values)
