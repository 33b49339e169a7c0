"""Data that the parts of the gatherer share: campaign, results folder, journal and display."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.ranks.attempts import Attempts
from nnlc.ranks.backlog import Unfinished
from nnlc.ranks.leases import Leases
from nnlc.ranks.time_left import TimeLeft
from nnlc.ranks.waiting import Order
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish
from nnlc.results.journal import Journal
from nnlc.results.open_jobs import OpenJob

if TYPE_CHECKING:
    from nnlc.ranks.progress import Progress
    from nnlc.results.mixture import Mixture

GO_ON = "start the same command again to continue"
"""Advice after an unfinished job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Data of one start of the worker, on rank 0."""

    campaign: Campaign
    work: Unfinished
    """Networks without a table when the job began."""
    finished: Sequence[tuple[CampaignNetwork, Finish]] = ()
    """Networks that earlier jobs finished, with their journal entries, the newest last."""
    results: ResultsFolder
    """Results folder, already opened."""
    mixture: "Mixture | None" = None
    """Versions of the arithmetic by which existing tables were trained; None if none is known."""
    source: str
    """Name or file of the campaign on the command line."""
    images_root: Path
    """Folder with the images."""
    device: str
    """Device that the user asked for: auto, cpu or cuda."""
    ranks: int
    order: Order = "longest"
    only_preflight: bool = False
    """True to check ranks, images and folder, and then end."""
    attempts: Attempts
    leases: Leases
    """Leases of this job, already begun."""
    time_left: TimeLeft
    journal: Journal
    last_event_time: str | None = None
    """Time of the newest event of earlier jobs; this job's events sort after it."""
    open_jobs: Sequence[OpenJob] = ()
    """Earlier jobs whose end is not in their journal."""
    progress: "Progress"
    """Display or log of the job."""
    clock: Callable[[], float] = time.monotonic
    """Clock in seconds."""
