"""The arithmetic: which changes of nnlc have altered the bits of which networks' curves.

The package's version rises with every release. The arithmetic's version rises only when a change
alters the bits of some networks: the first is 1, and each of `CHANGES` makes the next. Each network
has its own arithmetic, in which only the changes that touch it count. A network that is trained
twice in one campaign, on alike devices and with the same libraries, gives the same bytes if its own
arithmetic is the same. Checkpoints, the journal and `nnlc verify` compare that, never the package's
version.

To change bits, add a `Change` here, and to the changelog a line "arithmetic N" that says which
networks it touches. Where the old way can be kept, it is a setting of `[training]`: its default is
the new way, `keeps` names the old one, and campaigns that were begun before keep it by themselves.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from nnlc.networks.image_sets import ImageSet
from nnlc.networks.spec import NetworkSpec

Settings = TypeVar("Settings", bound=BaseModel)
"""The section `[training]` of a campaign."""

FIRST = "1"
"""The arithmetic of 0.1.0, and of every network that no change has touched since."""

_SETTINGS_OF_0_1_0 = ("pixels", "pooling", "dropout", "truncate")
_WORDS = r"([1-9][0-9]{0,8})(?: without ([0-9]+(?: and [0-9]+)*))?"


class Change(NamedTuple):
    """A change of nnlc that has altered the bits of some networks."""

    release: str
    """The version of nnlc that was the first to have it."""
    what: str
    """Whose bits, and how, in a few words."""
    touches: Callable[[NetworkSpec, ImageSet, Any, str], bool]
    """True for network, images, settings and device ("cpu" or "cuda") whose bits the new way
    changes."""
    keeps: tuple[str, str] | None = None
    """The setting of `[training]`, and its value, that keep the old way, if one does."""


CHANGES: tuple[Change, ...] = ()
"""In order; the first makes arithmetic 2."""


def version() -> int:
    """Return the version of this nnlc's arithmetic."""
    return 1 + len(CHANGES)


def numbered() -> Iterator[tuple[int, Change]]:
    """Yield each change with the version that it made."""
    yield from enumerate(CHANGES, 2)


def arithmetic_of(spec: NetworkSpec, images: ImageSet, settings: BaseModel, device: str) -> str:
    """Return a network's own arithmetic, such as "1", "4" or "4 without 3".

    Args:
        spec: the network.
        images: those that it trains on.
        settings: the campaign's, which may keep old ways.
        device: "cpu" or "cuda".
    """
    used: list[int] = [1]
    unused: list[int] = []
    for number, change in numbered():
        if change.touches(spec, images, settings, device):
            (unused if is_kept(number, settings) else used).append(number)
    without = [str(number) for number in unused if number < used[-1]]
    return f"{used[-1]}" + (f" without {' and '.join(without)}" if without else "")


def has_change(arithmetic: str, number: int) -> bool | None:
    """Tell whether an arithmetic such as "4 without 3" has a change; None if it can't be read."""
    found = re.fullmatch(_WORDS, arithmetic)
    if found is None:
        return None
    return number <= int(found[1]) and str(number) not in (found[2] or "").split(" and ")


def is_known(arithmetic: str) -> bool:
    """Tell whether this nnlc knows all changes of a network's own arithmetic."""
    found = re.fullmatch(_WORDS, arithmetic)
    return found is not None and int(found[1]) <= version()


def is_kept(number: int, settings: BaseModel) -> bool:
    """Tell whether settings keep the way of before a change, or one that is older still."""
    if (keeps := CHANGES[number - 2].keeps) is None:
        return False
    chosen = (keeps[0], getattr(settings, keeps[0]))
    return chosen in [change.keeps for change in CHANGES[: number - 1]]


def choices() -> set[str]:
    """Return the names of the settings that choose between an old way and a new one."""
    return {change.keeps[0] for change in CHANGES if change.keeps}


def old_ways() -> dict[str, str]:
    """Return what a campaign.toml means that is older than all choices: the oldest way of each."""
    return dict(change.keeps for change in reversed(CHANGES) if change.keeps)


def new_ways(settings: Settings) -> Settings:
    """Return settings with the new way of each choice, as a new campaign has it."""
    fields = type(settings).model_fields
    return settings.model_copy(update={name: fields[name].default for name in choices()})


def kept(asked: Settings, standing: Settings) -> Settings:
    """Return the settings of a campaign file, with the results folder's choices where it has none.

    Args:
        asked: those of the campaign file.
        standing: those of the results folder.
    """
    silent = choices() - asked.model_fields_set
    return asked.model_copy(update={name: getattr(standing, name) for name in silent})


def fingerprint(settings: BaseModel) -> dict[str, Any]:
    """Return what checkpoints compare of settings.

    Choices between an old and a new way are left out: a network's own arithmetic tells what they
    mean for it. A setting that 0.1.0 did not have is left out at its default, so that checkpoints
    from before it still match.
    """
    values = settings.model_dump(mode="json", exclude=choices())
    defaults = type(settings)().model_dump(mode="json")
    return {k: v for k, v in values.items() if k in _SETTINGS_OF_0_1_0 or v != defaults[k]}


def older_ways(
    arithmetic: str, spec: NetworkSpec, images: ImageSet, settings: BaseModel, device: str
) -> list[str]:
    """Return what brings a network back to an older arithmetic: settings, and a release, in words.

    The release is the newest that can, as older ones may know neither the folder nor the campaign.
    """
    lacked = [
        change
        for number, change in numbered()
        if change.touches(spec, images, settings, device)
        if not is_kept(number, settings) and has_change(arithmetic, number) is False
    ]
    kept_by = dict(change.keeps for change in reversed(lacked) if change.keeps)
    releases = [f"nnlc before {change.release}" for change in lacked if not change.keeps]
    return [f'training.{name} = "{kept_by[name]}"' for name in sorted(kept_by)] + releases[:1]


def settings_for(
    arithmetic: str,
    spec: NetworkSpec,
    images: ImageSet,
    settings: Settings,
    device: str,
) -> Settings:
    """Return settings whose choices give a network this arithmetic, as far as choices can."""
    own = arithmetic_of(spec, images, settings, device)
    if own == arithmetic or has_change(arithmetic, 1) is None:
        return settings
    lacked = [change for n, change in numbered() if not has_change(arithmetic, n)]
    old = dict(change.keeps for change in reversed(lacked) if change.keeps)
    return new_ways(settings).model_copy(update=old)
