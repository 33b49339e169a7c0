"""Where each network of a page stands, and what its curve says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nnlc.analysis.metrics import metrics
from nnlc.networks import ImageSet, NetworkSpec
from nnlc.tables.frames import Tables

Curve = NDArray[np.float64]
"""Half epochs × (training loss, validation loss, accuracy in percent); NaN for what is unknown."""

NO_CURVE: Curve = np.empty((0, 3))
DIVERGED, NEVER_LEARNED, CHANCE_UNKNOWN = 1, 2, 4
"""Bits of `Standing.flags`."""


class State(IntEnum):
    """What became of a network; the numbers are those of `page/data.js`."""

    DONE = 0
    UNDER_WAY = 1
    WAITING = 2
    FAILED = 3
    DAMAGED = 4


@dataclass(frozen=True, slots=True)
class PageNetwork:
    """A network of a page."""

    spec: NetworkSpec
    dataset: str
    """What its images are called."""
    images: ImageSet | None
    """None for images of unknown size: its layers can't be drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How far one network is."""

    state: State
    curve: Curve = field(default_factory=lambda: NO_CURVE)
    half_epochs: int = 0
    """So many are over."""
    flags: int = 0
    reason: str = ""
    """Why it failed, or why its table can't be used."""
    attempts: int = 0
    """That ended badly."""
    seconds: float | None = None
    """Of training, as far as a journal knows."""
    stop: str = ""
    """Where a stop rule has ended it, and with which prediction, in words."""

    def same_as(self, other: "Standing") -> bool:
        """Whether a page would show the same."""
        plain = ("state", "half_epochs", "flags", "reason", "attempts", "seconds", "stop")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and (
            self.curve is other.curve or np.array_equal(self.curve, other.curve, equal_nan=True)
        )


def flags_of(tables: Tables) -> Mapping[str, int]:
    """By ID: whether a network diverged, never learned, or has images whose chance is unknown."""
    found = metrics(tables, columns=())
    diverged = found["diverged"].fillna(value=False).to_numpy(dtype=bool)
    never = found["never_learned"]
    flags = (
        DIVERGED * diverged
        + NEVER_LEARNED * never.fillna(value=False).to_numpy(dtype=bool)
        + CHANCE_UNKNOWN * never.isna().to_numpy(dtype=bool)
    )
    return dict(zip(found["id"], flags.tolist(), strict=True))
