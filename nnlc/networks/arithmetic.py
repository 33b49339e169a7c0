"""The arithmetic: which changes of nnlc have altered the bits of which networks' curves.

The package's version rises with every release. The arithmetic's version rises exactly when a change
alters the bits of some network: the first is 1, and each of `CHANGES` makes the next. A network has
its own: only what touches it counts. Two tables of one network and campaign that were made on alike
devices with the same libraries are the same bytes if its own arithmetic was the same; checkpoints,
the journal and `nnlc verify` compare that, and never the package's version.

Whoever changes bits adds a `Change` and a line "arithmetic N" to the changelog that says which
networks it touches. Where the old way can be kept, it is a setting of `[training]`: its default is
the new way, `keeps` names the old one, and campaigns that were begun before stay with it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from nnlc.networks.imagesets import ImageSet
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
    """Whether a network has other bits since, on "cpu" or "cuda", where `keeps` does not hold."""
    keeps: tuple[str, str] | None = None
    """The setting of `[training]` and its value that keep the old way, if one does."""


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
        images: that it trains on.
        settings: the campaign's; they may keep old ways.
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
    """Tell whether a network's own arithmetic has a change; None where it is in no known words."""
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
    """Return the settings of a campaign whose file is older than all of them."""
    return dict(change.keeps for change in reversed(CHANGES) if change.keeps)


def kept(asked: Settings, standing: Settings) -> Settings:
    """Return settings with the old ways of a campaign that was begun before.

    Args:
        asked: what a campaign file says, or does not say.
        standing: what the results folder says; it holds wherever the file says nothing.
    """
    silent = choices() - asked.model_fields_set
    return asked.model_copy(update={name: getattr(standing, name) for name in silent})


def fingerprint(settings: BaseModel) -> dict[str, Any]:
    """Return what checkpoints compare of settings.

    Those that choose an old or new way are left out, as each network's own arithmetic says what
    they mean for it, and so are those that came after 0.1.0 at their defaults: a checkpoint from
    before them is still known.
    """
    values = settings.model_dump(mode="json", exclude=choices())
    defaults = {name: field.default for name, field in type(settings).model_fields.items()}
    return {k: v for k, v in values.items() if k in _SETTINGS_OF_0_1_0 or v != defaults[k]}


def settings_for(
    arithmetic: str,
    spec: NetworkSpec,
    images: ImageSet,
    settings: Settings,
    device: str,
) -> Settings:
    """Return settings under which a network's own arithmetic is this one, as near as they get.

    What other settings there are is left as it is.
    """
    if arithmetic_of(spec, images, settings, device) == arithmetic:
        return settings
    if not is_known(arithmetic):
        return settings
    fields = type(settings).model_fields
    chosen = {name: fields[name].default for name in choices()}
    for number, change in reversed(list(numbered())):
        if change.keeps and not has_change(arithmetic, number):
            name, old = change.keeps
            chosen[name] = old
    return settings.model_copy(update=chosen)
