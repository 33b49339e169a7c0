"""What the parts of the gatherer share: the campaign, the folder, and what they tell of it."""

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
from nnlc.results.history import Finish
from nnlc.results.journal import Journal
from nnlc.results.open_jobs import OpenJob
from nnlc.results.paths import ResultsFolder

if TYPE_CHECKING:
    from nnlc.ranks.progress import Progress
    from nnlc.results.mixture import Mixture

GO_ON = "the same command goes on where this ended"
"""What to do after a job that is unfinished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One start of the worker, as rank 0 sees it."""

    campaign: Campaign
    work: Unfinished
    """What had no table when the job began."""
    finished: Sequence[tuple[CampaignNetwork, Finish]] = ()
    """What earlier jobs have finished, and how, the newest last."""
    results: ResultsFolder
    """Already opened."""
    mixture: "Mixture | None" = None
    """The arithmetics of the tables that stand; None where no journal tells of any."""
    source: str
    """What the user calls the campaign on a command line."""
    images_root: Path
    """Where trainers find images."""
    device: str
    """What the user asked for: auto, cpu or cuda."""
    ranks: int
    order: Order = "longest"
    only_preflight: bool = False
    """Look at ranks, images and folder, and leave."""
    attempts: Attempts
    leases: Leases
    """Begun."""
    time_left: TimeLeft
    journal: Journal
    last_event_time: str | None = None
    """Of the last event that any job wrote down before: this one's count as later."""
    open_jobs: Sequence[OpenJob] = ()
    """Earlier ones that have not written down their end."""
    progress: "Progress"
    """Or whatever else is to be told of the work."""
    clock: Callable[[], float] = time.monotonic
    """Seconds."""
