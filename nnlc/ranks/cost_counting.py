"""Counting of networks' costs by a job's trainers, before it hands out the first network.

Only families without a cost model need it, and only for networks that the results folder's
costs.json lacks. Rank 0 divides these among the first trainers of some ranks. A network that can't
be counted is taken for as costly as the mean of the others, and trained like them. So is one that
was not counted in a share of the job's time; the next job counts it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.results.folder_costs import count_request, key_of, take_counts, write_folder_costs
from nnlc.system import messages
from nnlc.system.files import why_unread
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.ranks.job import Job

NETWORKS_A_RANK = 100
"""Fewest networks for which another rank counts: it loads torch once more."""
TIME_SHARE = 0.25
"""Largest share of the job's time that is spent on counting."""
MOST_SECONDS = 1200.0
"""Longest counting, which is shorter than the silence that ends a trainer."""


class CostCounting:
    """Counting of unknown costs.

    Args:
        job: the job.
        unknown: networks whose costs are unknown on rank 0.

    Attributes:
        messages: "count" messages by rank.
        waiting: ranks that are counting.
    """

    def __init__(self, job: "Job", unknown: Sequence[CampaignNetwork]) -> None:
        self._job = job
        self._answers: list[messages.Message] = []
        ranks = min(job.ranks, -(-len(unknown) // NETWORKS_A_RANK))
        seconds = max(1.0, min(MOST_SECONDS, TIME_SHARE * job.time_left.work_seconds()))
        about = {"trainer": 0, "seconds": seconds}
        self.messages = {
            rank: {**count_request(unknown[rank::ranks]), **about} for rank in range(ranks)
        }
        self.waiting = set(self.messages)
        job.progress.message(f"counting the costs of {counted(len(unknown), 'network')}")

    def note(self, rank: int, message: messages.Message) -> None:
        """Note the counts of a rank; after the last, take all and write them."""
        self._answers.append(message)
        self.waiting.discard(rank)
        if self.waiting:
            return
        job, networks = self._job, self._job.costed_networks
        for line in take_counts(networks, self._answers):
            job.progress.message(line)
        if any(each["is_cut"] for each in self._answers):
            counted_here = {key for each in self._answers for key in each["costs"]}
            networks = [n for n in networks if key_of(n) in counted_here]
        try:
            if networks:
                write_folder_costs(job.results, networks)
        except OSError as problem:
            why = why_unread(problem, "written")
            job.progress.message(f"warning: {job.results.costs_file}: {why}")
