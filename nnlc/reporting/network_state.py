"""Content of a page: what never changes, the state of each network, and flags of its curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.analysis.metrics import metrics
from nnlc.families.network_family import NetworkFamily
from nnlc.networks import ImageSet, Specification
from nnlc.results.status import DatasetStatus
from nnlc.tables.frames import Tables

Curve = NDArray[np.float64]
"""Half epochs × (training loss, validation loss, accuracy in percent); NaN for what is unknown."""

Fact = tuple[str, str]
"""Name and value of a fact, both as text."""

NO_CURVE: Curve = np.empty((0, 3))
DIVERGED, NEVER_LEARNED, CHANCE_UNKNOWN = 1, 2, 4
"""Bits of `NetworkState.flags`."""


class State(IntEnum):
    """State of a network; the numbers are those of `page/data.js`."""

    DONE = 0
    UNDER_WAY = 1
    WAITING = 2
    FAILED = 3
    DAMAGED = 4


LEFT = (State.UNDER_WAY, State.WAITING)
"""States of networks that are left to train."""


@dataclass(frozen=True, slots=True)
class PageNetwork:
    """Network on a page."""

    spec: Specification
    dataset: str
    """Name of its image set."""
    images: ImageSet | None
    """Image set; None if unknown, so that the layers can't be drawn."""
    family: NetworkFamily | None = None
    """Family with its code, if it is not the article's and can be loaded."""
    size: tuple[int, int] | None = None
    """Parameters and multiply-adds as they were counted, for families without a cost model."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkState:
    """State of a network, with its curve."""

    state: State
    curve: Curve = field(default_factory=lambda: NO_CURVE)
    half_epochs: int = 0
    """Number of half epochs that are done."""
    flags: int = 0
    reason: str = ""
    """Reason why it failed, or why its table can't be used."""
    attempts: int = 0
    """Number of failed attempts."""
    seconds: float | None = None
    """Seconds of training, as far as a journal knows."""
    stop: str = ""
    """Epoch and prediction at which a stop rule ended it, in words."""

    def same_as(self, other: "NetworkState") -> bool:
        """Return True if a page would show the same."""
        plain = ("state", "half_epochs", "flags", "reason", "attempts", "seconds", "stop")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and (
            self.curve is other.curve or np.array_equal(self.curve, other.curve, equal_nan=True)
        )


@dataclass(slots=True)
class DatasetProgress(DatasetStatus):
    """Progress of one dataset of a campaign, as `nnlc status` counts it."""

    name: str = ""
    all_rows: int = 0
    """Number of half epochs of all its networks if none stops early."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Content of a page that may change."""

    states: Sequence[NetworkState]
    """States in the order of `PageSubject.networks`."""
    facts: Sequence[Fact]
    datasets: Sequence[DatasetProgress] | None = None
    """Progress of each dataset; None without a campaign."""
    lines: Sequence[str] = ()
    """Lines on saved networks, the last event and the time left."""
    trouble: str | None = None
    """Last problem that a running job recorded."""
    notes: Sequence[str] = ()
    """Lines on what was skipped or is damaged, and why."""


@dataclass(frozen=True, slots=True)
class PageSubject:
    """Content of a page that never changes."""

    title: str
    networks: Sequence[PageNetwork]
    campaign_text: str = ""
    comparison: pd.DataFrame | None = None
    """Result of `nnlc.compare`."""


def flags_of(tables: Tables) -> Mapping[str, int]:
    """Return flags by ID: diverged, never learned, images whose chance is unknown."""
    found = metrics(tables, columns=())
    diverged = found["diverged"].fillna(value=False).to_numpy(dtype=bool)
    never = found["never_learned"]
    flags = (
        DIVERGED * diverged
        + NEVER_LEARNED * never.fillna(value=False).to_numpy(dtype=bool)
        + CHANCE_UNKNOWN * never.isna().to_numpy(dtype=bool)
    )
    return dict(zip(found["id"], flags.tolist(), strict=True))
