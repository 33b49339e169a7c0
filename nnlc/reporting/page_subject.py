"""What a page is of."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nnlc.reporting.network_state import PageNetwork, Standing
from nnlc.results.status import DatasetStatus

Fact = tuple[str, str]
"""A name and what it is, both for people."""


@dataclass(slots=True)
class DatasetProgress(DatasetStatus):
    """One dataset of a campaign, as `nnlc status` counts it."""

    name: str = ""
    all_rows: int = 0
    """Half epochs of all its networks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is."""

    datasets: tuple[DatasetProgress, ...]
    trouble: str | None
    """What a job that is under way reported last."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What may be different the next time that one looks."""

    standings: Sequence[Standing]
    """In the order of `Subject.networks`."""
    facts: Sequence[Fact]
    progress: Progress | None = None
    """None where no campaign is known."""
    notes: Sequence[str] = ()
    """What was passed over, and why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What never changes."""

    title: str
    networks: Sequence[PageNetwork]
    campaign_text: str = ""
    comparison: pd.DataFrame | None = None
    """What `nnlc.compare` gave."""
