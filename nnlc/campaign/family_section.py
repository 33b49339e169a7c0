"""Family of a campaign file: its reference, its settings in `[space]`, its words for groups.

The keys that name groups of networks are networks_per_depth and depths in files of the article's
family, networks_per_group and groups in files of all others. In memory they are the article's.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError, ValidationInfo, create_model

from nnlc.campaign.dataset_section import DatasetSection
from nnlc.console import say_once
from nnlc.errors import CampaignError, FamilyError
from nnlc.families.interface import Family
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.own_code import what_was_raised
from nnlc.families.reference import FamilyReference, GivenReference
from nnlc.families.registry import (
    OtherCodeError,
    accepting_advice,
    check_same_code,
    completed,
    load_class,
    make_family,
    settings_class,
)
from nnlc.system.toml_file import Layers, Values, validate
from nnlc.system.toml_keys import wrong_keys
from nnlc.tables.folder_names import CAMPAIGN_FILE

_PAIRS = {"networks_per_depth": "networks_per_group", "depths": "groups"}
WORDS = _PAIRS | {theirs: ours for ours, theirs in _PAIRS.items()}
"""Each key that names groups, and its name in files of families of the other sort."""
_ARTICLES = ("pooling", "dropout", "convolutions")
"""Settings of `[training]` for layers that nnlc builds itself, as only the article's family has."""


class ChosenFamily(NamedTuple):
    """Family of a campaign file, if it is not the article's."""

    reference: FamilyReference
    kind: type[Family]


def group_keys(*, is_article: bool) -> tuple[str, str]:
    """Return the keys for networks per group, and for groups, in files of a sort of families."""
    names = "networks_per_depth", "depths"
    return names if is_article else (WORDS[names[0]], WORDS[names[1]])


def with_words(values: Mapping[str, Any]) -> Values:
    """Return the values of a file with the other words for groups: of memory, or of the file."""
    found = dict(values)
    if isinstance(datasets := found.get("datasets"), dict):
        found["datasets"] = {
            name: {WORDS.get(key, key): value for key, value in section.items()}
            if isinstance(section, dict)
            else section
            for name, section in datasets.items()
        }
    if isinstance(earlier := found.get("grown_from"), list | tuple):
        found["grown_from"] = [with_words(e) if isinstance(e, dict) else e for e in earlier]
    return found


def dump_of_others(values: Values) -> Values:
    """Return a campaign's values as files of other families than the article's have them."""
    training = {key: v for key, v in values["training"].items() if key not in _ARTICLES}
    return with_words(values | {"training": training})


def read_space(space: Any, info: ValidationInfo) -> Any:
    """Return `[space]`: the article's search space, or the values of another family's settings.

    Only `load_campaign` checks those of another family, as reading a results folder does not need
    the family's code.
    """
    if info.data.get("family") is not None:
        if not isinstance(space, dict | None):
            raise ValueError("must be a table")
        return space or {}
    kind = article_space()
    if space is None or isinstance(space, kind):
        return kind() if space is None else space
    if info.mode == "json":
        return _adapter(kind).validate_json(json.dumps(space), strict=True)
    return _adapter(kind).validate_python(space)


def article_space() -> type:
    """Return the class of the article's search space."""
    return settings_class(ARTICLE_NAME)


_adapter = cache(TypeAdapter)


def check_depths(datasets: Mapping[str, DatasetSection]) -> None:
    """Check that the article's family has networks of all depths of a campaign.

    Raises:
        ValidationError: it has not.
    """
    groups = make_family(None, None).groups
    wrong = [
        ((name, "depths"), section.depths, _problem_of(groups))
        for name, section in datasets.items()
        if not _within(section.depths, groups)
    ]
    if wrong:
        raise wrong_keys(wrong)


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] <= inner[1] <= outer[1]


def _problem_of(groups: tuple[int, int]) -> str:
    return f"must be [lowest, highest] within {list(groups)}, such as {list(groups)}"


def given_reference(layers: Layers) -> FamilyReference | None:
    """Return the reference in a campaign file, with the module's folder; None for the article's.

    Raises:
        ValidationError: the key has no reference.
    """
    value = layers.merged.get("family", ARTICLE_NAME)
    given = TypeAdapter(GivenReference).validate_python(value)
    if ":" in given.name:
        folder = layers.file_of(["family"]).parent / (given.folder or "")
        given = given.model_copy(update={"folder": str(folder.resolve())})
    return None if given.name == ARTICLE_NAME else given


def choose_family(layers: Layers, *, accept_code: bool) -> ChosenFamily | None:
    """Return the family of a campaign file, and give its layers the words that memory has.

    Args:
        layers: the file, and those that it extends.
        accept_code: True if a file of nnlc's may name other code than there is now.

    Raises:
        FamilyError: its code can't be loaded, or is not that of the file.
    """
    try:
        given = given_reference(layers)
    except ValidationError:
        return None  # `validate` says what is wrong
    path = layers.file_of(["family"])
    for values in layers.each:
        values.pop("family", None)
    if given is None:
        return None
    try:
        kind, present = load_class(given), completed(given)
        if not accept_code:
            check_same_code(given, present)
    except FamilyError as problem:
        if isinstance(problem, OtherCodeError) and path.name == CAMPAIGN_FILE:
            advice = accepting_advice(path.parent)
            problem = OtherCodeError(problem.recorded, problem.code, advice)
        raise FamilyError(f"{path}, key family: {problem}") from None
    from nnlc.families.importing import hidden_module  # the article's family has no module

    if hidden := hidden_module(present):
        say_once(f"note: {path}, key family: {hidden}")
    chosen = ChosenFamily(present, kind)
    for values in layers.each:
        values.update(with_words(values))
    nearest = layers.each[0]
    nearest["family"] = chosen.reference.model_dump(exclude_none=True)
    _add_groups(layers, kind.groups)
    return chosen


def _add_groups(layers: Layers, groups: tuple[int, int]) -> None:
    """Give the datasets of a file that name no groups all groups of their family."""
    nearest = layers.each[0]
    datasets = layers.merged.get("datasets")
    for name, section in datasets.items() if isinstance(datasets, dict) else ():
        if isinstance(section, dict) and "depths" not in section:
            nearest.setdefault("datasets", {}).setdefault(name, {})["depths"] = list(groups)


def settings_of(chosen: ChosenFamily, layers: Layers) -> Values:
    """Return all settings of a family, after checking those of `[space]`.

    Raises:
        CampaignError: one is wrong; the message names file and key, and says what would be right.
    """
    kind, keys = chosen.kind, f"nnlc keys {chosen.reference.name}"
    only = layers.only("space")
    model = create_model("Settings", space=(kind, ...))
    try:
        space = validate(model, only, CampaignError, keys=keys).space  # type: ignore[attr-defined]
    except CampaignError:
        raise
    except Exception as problem:  # of the author's __post_init__
        where = f"{layers.file_of(['space'])}, key space"
        raise FamilyError(f"{where}: {what_was_raised(kind, problem)}") from None
    values = _adapter(kind).dump_python(space, mode="json")
    return {key: value for key, value in values.items() if value is not None}


def check_others(
    datasets: Mapping[str, DatasetSection], chosen: ChosenFamily, layers: Layers
) -> None:
    """Check what only campaigns of other families than the article's must keep.

    Raises:
        CampaignError: a setting is not for them, or a group is none of the family's.
    """
    for name in _ARTICLES:
        if layers.has_key(["training", name]):
            raise CampaignError(
                f"{layers.file_of(['training', name])}, key training.{name}: only the article's "
                f"family has such layers; {chosen.reference.name} builds its own: leave it out"
            )
    groups = chosen.kind.groups
    for name, section in datasets.items():
        if not _within(section.depths, groups):
            raise CampaignError(
                f"{layers.file_of(['datasets', name, 'depths'])}, key datasets.{name}.groups: "
                f"{_problem_of(groups)}; found {list(section.depths)}"
            )
