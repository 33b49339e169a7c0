"""Families of campaigns: made from a reference and settings, and compared with a recorded one."""

import json
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nnlc.errors import FamilyError
from nnlc.families.interface import Family
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.networks.specification import FamilySpec, Specification


class OtherCodeError(FamilyError):
    """The code of a family is not that of a results folder.

    Args:
        recorded: the family as it was recorded.
        code: digest of the code now.
        advice: how to go on with the code now.
    """

    def __init__(
        self, recorded: FamilyReference, code: str | None, advice: str | None = None
    ) -> None:
        self.recorded, self.code = recorded, code
        super().__init__(
            f"family {recorded.label or recorded.name}: its code has changed: its digest is "
            f"{code}, and was {recorded.code} when these networks were begun; put the old code "
            f"back, or {advice or accepting_advice()}"
        )


def accepting_advice(results: Path | None = None) -> str:
    """Return how a results folder goes on with other code of its family."""
    folder = "RESULTS" if results is None else shlex.quote(str(results))
    return (
        f"go on with the new one after 'nnlc upgrade {folder} --accept-code': tables stay, "
        "networks under way start again, and failed ones are tried again"
    )


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Give the message on changed code another advice, if code within this context raises it.

    Raises:
        OtherCodeError: the code is not the recorded one.
    """
    try:
        yield
    except OtherCodeError as problem:
        raise OtherCodeError(problem.recorded, problem.code, advice) from None


def naming_folder(results: Path | None) -> AbstractContextManager[None]:
    """Name a results folder in the message on changed code, if code in this context raises it.

    Args:
        results: the folder; None if it is unknown.

    Raises:
        OtherCodeError: the code is not that of the folder.
    """
    return advising(accepting_advice(results))


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
    from nnlc.families.loading import own_family  # jobs of the article's family don't need it

    return own_family(reference, json.dumps(space or {}))


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


def groups_of(name: str) -> tuple[int, int]:
    """Return the first and the last group of a family.

    Args:
        name: the family's name; "module:Class" is in the current folder.

    Raises:
        FamilyError: there is no such family, or it can't be loaded.
    """
    found: Any = make_family(None, None) if name == ARTICLE_NAME else settings_class(name)
    return found.groups  # type: ignore[no-any-return]


def load_class(reference: FamilyReference) -> type[Family]:
    """Return the class of a family.

    Raises:
        FamilyError: it can't be loaded.
    """
    from nnlc.families.loading import load_family

    return load_family(reference).kind


def completed(reference: FamilyReference) -> FamilyReference:
    """Return a reference with label and digest of the code as it is now.

    Raises:
        FamilyError: the code can't be loaded.
    """
    from nnlc.families.loading import load_family

    loaded = load_family(reference)
    return reference.model_copy(update={"label": loaded.label, "code": loaded.code})


def check_same_code(recorded: FamilyReference | None, now: FamilyReference | None) -> None:
    """Check that a family has the version and the code that were recorded.

    Raises:
        OtherCodeError: its code is other.
        FamilyError: its version is other.
    """
    if recorded is not None and now is not None:
        check_version(recorded, now.label)
        if recorded.code not in (None, now.code):
            raise OtherCodeError(recorded, now.code)


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


def specification_from_json(values: dict[str, Any]) -> Specification:
    """Return the specification whose `to_json` gave these values."""
    if "own" in values:
        return FamilySpec.from_json(values)
    from nnlc.families.article.spec import NetworkSpec

    return NetworkSpec.from_json(values)
