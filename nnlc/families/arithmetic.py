"""Arithmetic versions: record of the changes of nnlc that altered the bits of learning curves.

The package's version rises with every release. The arithmetic's version rises only if a change
alters the bits of some networks: the first version is 1, and each of `CHANGES` adds 1. A network's
own arithmetic counts only the changes that affect this network. If two trainings of a network have
the same campaign, the same model of device, the same libraries and the same arithmetic, their
tables have the same bytes. Checkpoints, the journal and `nnlc verify` compare arithmetics, never
the package's version.

If your change alters bits, add a `Change` here, and to the changelog a line "arithmetic N" that
says which networks are affected. To let users keep the old arithmetic, add a setting of
`[training]`: its default is the new arithmetic, and `Change.keeps` names the value that keeps the
old arithmetic. Campaigns that were begun before the change keep the old arithmetic by themselves.
Raise the format of campaign.toml too, since older releases can't read the setting.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import FamilySpec, Specification

Settings = TypeVar("Settings", bound=BaseModel)
"""Section `[training]` of a campaign."""

FIRST = "1"
"""Arithmetic of nnlc 0.1.0, and of every network that no later change affects."""

_SETTINGS_OF_0_1_0 = ("pixels", "pooling", "dropout", "truncate")
_WORDS = r"([1-9][0-9]{0,8})(?: without ([0-9]+(?: and [0-9]+)*))?"


class Change(NamedTuple):
    """A change of nnlc that has altered the bits of some networks."""

    release: str
    """First version of nnlc that had the change."""
    what: str
    """Networks whose bits changed, and how, in a few words."""
    touches: Callable[[Specification, ImageSet, Any, str], bool]
    """Called with a network, its images, settings and device ("cpu" or "cuda"); True if the change
    alters the network's bits there."""
    keeps: tuple[str, str] | None = None
    """Setting of `[training]` and its value that keep the old arithmetic; None if none does."""


def _has_other_ways(spec: Specification, images: ImageSet, device: str) -> bool:
    """Return True if one of the article's networks has convolutions that are not direct."""
    if isinstance(spec, FamilySpec):
        return False

    from nnlc.families.article.other_ways import has_other_ways  # jobs of others don't need it

    return has_other_ways(spec, images, device)


CHANGES: tuple[Change, ...] = (
    Change(
        "0.3.0",
        "large convolutions are computed by Fourier transforms or by rows",
        lambda spec, images, _, device: _has_other_ways(spec, images, device),
        keeps=("convolutions", "direct"),
    ),
)
"""All changes, the oldest first; the first makes arithmetic 2."""


def version() -> int:
    """Return the version of this nnlc's arithmetic."""
    return 1 + len(CHANGES)


def numbered_changes() -> Iterator[tuple[int, Change]]:
    """Yield each change with the arithmetic version that it made."""
    yield from enumerate(CHANGES, 2)


def arithmetic_of(spec: Specification, images: ImageSet, settings: BaseModel, device: str) -> str:
    """Return a network's own arithmetic, such as "1", "4" or "4 without 3".

    Args:
        spec: the network.
        images: the images that it trains on.
        settings: `[training]` of its campaign, which may keep old arithmetic.
        device: "cpu" or "cuda".
    """
    used: list[int] = [1]
    unused: list[int] = []
    for number, change in numbered_changes():
        if change.touches(spec, images, settings, device):
            (unused if is_kept(number, settings) else used).append(number)
    without = [str(number) for number in unused if number < used[-1]]
    return f"{used[-1]}" + (f" without {' and '.join(without)}" if without else "")


def has_change(arithmetic: str, number: int) -> bool | None:
    """Return True if an arithmetic includes a change; None if the text is no arithmetic.

    Args:
        arithmetic: a network's own arithmetic, such as "4 without 3".
        number: the arithmetic version that the change made.
    """
    found = re.fullmatch(_WORDS, arithmetic)
    if found is None:
        return None
    return number <= int(found[1]) and str(number) not in (found[2] or "").split(" and ")


def is_known(arithmetic: str) -> bool:
    """Return True if this nnlc knows every change that a network's own arithmetic includes."""
    found = re.fullmatch(_WORDS, arithmetic)
    return found is not None and int(found[1]) <= version()


def is_kept(number: int, settings: BaseModel) -> bool:
    """Return True if settings keep the arithmetic from before a change, or even older arithmetic.

    Args:
        number: the arithmetic version that the change made.
        settings: `[training]` of a campaign.
    """
    if (keeps := CHANGES[number - 2].keeps) is None:
        return False
    chosen = (keeps[0], getattr(settings, keeps[0]))
    return chosen in [change.keeps for change in CHANGES[: number - 1]]


def arithmetic_settings() -> set[str]:
    """Return the names of the settings that choose between old and new arithmetic."""
    return {change.keeps[0] for change in CHANGES if change.keeps}


def oldest_choices() -> dict[str, str]:
    """Return the oldest value of each arithmetic setting, by name.

    If a campaign.toml was written before these settings existed, these values apply.
    """
    return dict(change.keeps for change in reversed(CHANGES) if change.keeps)


def with_new_choices(settings: Settings) -> Settings:
    """Return settings with each arithmetic setting at its default: the newest arithmetic."""
    fields = type(settings).model_fields
    return settings.model_copy(
        update={name: fields[name].default for name in arithmetic_settings()}
    )


def keep_choices(asked: Settings, recorded: Settings) -> Settings:
    """Return a campaign file's settings, with omitted arithmetic settings from the results folder.

    Args:
        asked: `[training]` of the campaign file.
        recorded: `[training]` of the results folder.
    """
    omitted = arithmetic_settings() - asked.model_fields_set
    return asked.model_copy(update={name: getattr(recorded, name) for name in omitted})


def fingerprint(settings: BaseModel) -> dict[str, Any]:
    """Return the settings that must be equal for a checkpoint to be used.

    Arithmetic settings are left out, because each network's own arithmetic is compared instead. A
    setting that nnlc 0.1.0 did not have is left out if it has its default value, so that older
    checkpoints still match.
    """
    values = settings.model_dump(mode="json", exclude=arithmetic_settings())
    defaults = type(settings)().model_dump(mode="json")
    return {k: v for k, v in values.items() if k in _SETTINGS_OF_0_1_0 or v != defaults[k]}


def older_ways(
    arithmetic: str, spec: Specification, images: ImageSet, settings: BaseModel, device: str
) -> list[str]:
    """Return the settings, as text, with which a network is trained with older arithmetic.

    If no setting undoes a change, "nnlc before N" is among them, where N is the release that made
    the change. Much older releases may not read the results folder or the campaign.
    """
    lacked = [
        change
        for number, change in numbered_changes()
        if change.touches(spec, images, settings, device)
        if not is_kept(number, settings) and has_change(arithmetic, number) is False
    ]
    kept_by = dict(change.keeps for change in reversed(lacked) if change.keeps)
    releases = [f"nnlc before {change.release}" for change in lacked if not change.keeps]
    return [f'training.{name} = "{kept_by[name]}"' for name in sorted(kept_by)] + releases[:1]


def settings_for(
    arithmetic: str,
    spec: Specification,
    images: ImageSet,
    settings: Settings,
    device: str,
) -> Settings:
    """Return settings with which a network has this arithmetic, as far as settings can choose it.

    Args:
        arithmetic: the arithmetic wanted.
        spec: the network.
        images: the images that it trains on.
        settings: `[training]` of its campaign.
        device: "cpu" or "cuda".
    """
    own = arithmetic_of(spec, images, settings, device)
    if own == arithmetic or has_change(arithmetic, 1) is None:
        return settings
    lacked = [change for n, change in numbered_changes() if not has_change(arithmetic, n)]
    old = dict(change.keeps for change in reversed(lacked) if change.keeps)
    return with_new_choices(settings).model_copy(update=old)
