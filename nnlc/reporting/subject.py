"""What a page is of."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nnlc.reporting.standing import PageNetwork, Standing

Fact = tuple[str, str]
"""A name and what it is, both for people."""


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """One dataset of a campaign, as `nnlc status` counts it."""

    name: str
    done: int
    under_way: int
    waiting: int
    failed: int
    not_whole: int
    """Whose table's place is taken by something else."""
    rows: int
    """Half epochs recorded so far."""
    all_rows: int
    stopped: int
    """Of those done, how many the campaign's stop rule ended early."""
    saved: int
    """Half epochs that these were not trained for."""


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
