"""Content of a page: what never changes, and what may."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nnlc.reporting.network_state import NetworkState, PageNetwork
from nnlc.results.status import DatasetStatus

Fact = tuple[str, str]
"""Name and value, both for people."""


@dataclass(slots=True)
class DatasetProgress(DatasetStatus):
    """Progress of one dataset of a campaign, as `nnlc status` counts it."""

    name: str = ""
    all_rows: int = 0
    """Half epochs of all its networks when they are done."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a campaign."""

    datasets: tuple[DatasetProgress, ...]
    trouble: str | None
    """Last trouble of a job under way."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Content of a page that may change."""

    states: Sequence[NetworkState]
    """States in the order of `PageSubject.networks`."""
    facts: Sequence[Fact]
    progress: Progress | None = None
    """Progress; None without a campaign."""
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
