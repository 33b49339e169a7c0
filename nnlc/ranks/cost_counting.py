"""Counting of networks' costs by a job's trainers, before it hands out the first network.

Only families without a cost model need it, and only for networks that the results folder's
costs.json lacks. Rank 0 divides these among the ranks; the first trainer of each rank counts its
part with torch. A network that can't be counted, or whose trainer ends meanwhile, is taken for as
costly as the mean of the others, and trained like them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families.counted_costs import Counted, remember
from nnlc.families.registry import family_to_json
from nnlc.results.folder_costs import give_mean, key_of, write_folder_costs
from nnlc.system import messages
from nnlc.system.files import why_unread
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.ranks.job import Job


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
        self._reasons: list[str] = []
        self._dead: set[int] = set()
        by_key = {key_of(network): network for network in unknown}
        networks = [{"key": key, **network.to_json()} for key, network in by_key.items()]
        about = {"kind": "count", "trainer": 0, "family": family_to_json(unknown[0].family)}
        ranks = min(job.ranks, len(networks))
        self.messages = {
            rank: {**about, "networks": networks[rank::ranks]} for rank in range(ranks)
        }
        self.waiting = set(self.messages)
        job.progress.message(f"counting the costs of {counted(len(networks), 'network')}")

    def note(self, rank: int, message: messages.Message) -> None:
        """Note the counts of a rank's trainer, or the hello of one in place of a dead one."""
        if message["kind"] == "counted":
            remember({key: Counted(*values) for key, values in message["costs"].items()})
            self._reasons += message["reasons"]
        if rank in self.waiting and (message["kind"] == "counted" or rank in self._dead):
            self.waiting.discard(rank)
            if not self.waiting:
                self._complete()

    def note_death(self, rank: int) -> bool:
        """Return True if a trainer ended while it counted; its rank will say hello again."""
        if rank in self.waiting:
            self._dead.add(rank)
        return rank in self.waiting

    def _complete(self) -> None:
        """Estimate the costs that are still unknown, and write all into the results folder."""
        job, networks = self._job, self._job.costed_networks
        for note in give_mean(networks, *self._reasons[:1]):
            job.progress.message(note)
        try:
            write_folder_costs(job.results, networks)
        except OSError as problem:
            why = why_unread(problem, "written")
            job.progress.message(f"warning: {job.results.costs_file}: {why}")
