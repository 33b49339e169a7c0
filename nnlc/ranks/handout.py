"""Which idle trainer gets which network next, and when there is nothing left to give."""

from collections import defaultdict, deque

from nnlc import wire
from nnlc.campaign import CampaignNetwork
from nnlc.errors import ExitStatus
from nnlc.ranks.backlog import Backlog, machine_of
from nnlc.ranks.job import GO_ON, Job

START_SECONDS = 10.0
"""For a trainer to read images, before a network's first step."""
FIRST_STEPS = 5
"""A network is worth starting where there is time for so many of its steps: then it is saved."""


class HandOut:
    """Knows who is idle and what waits.

    Args:
        job: what is shared.
        device: that the job trains on, "cpu" or "cuda".
    """

    def __init__(self, job: Job, device: str) -> None:
        self._job = job
        self.backlog = Backlog(
            job.work.networks,
            job.campaign,
            job.results,
            job.leases,
            machine_of(device),
            job.order,
            job.clock,
        )
        self._idle: deque[tuple[int, int]] = deque()
        self._tried: defaultdict[int, set[int]] = defaultdict(set)
        self._retired: set[int] = set()
        self._measured = self._predicted = 0.0
        self.failures = job.work.failed
        """Networks that are given up, here or in an earlier job."""

    def idle(self, rank: int, trainer: int) -> None:
        """A trainer has nothing to do."""
        if rank not in self._retired:
            self._idle.append((rank, trainer))

    def not_idle(self, rank: int, trainer: int) -> None:
        """An idle trainer has ended."""
        self._idle = deque(place for place in self._idle if place != (rank, trainer))

    def retire(self, rank: int) -> None:
        """Give a rank nothing any more."""
        self._retired.add(rank)
        self._idle = deque(place for place in self._idle if place[0] != rank)

    def is_last(self, rank: int) -> bool:
        """Whether no other rank is given work."""
        return self._job.ranks - len(self._retired - {rank}) == 1

    def ended_badly(self, rank: int, network: CampaignNetwork) -> None:
        """A network waits again; another rank is better for it."""
        self._tried[rank].add(network.index)
        self.backlog.put_back(network)

    def measure(self, index: int, seconds: float) -> None:
        """A half epoch of a network took so long."""
        self._measured += seconds
        self._predicted += self.backlog.seconds[index] / self._job.campaign.half_epochs

    def next(self) -> tuple[CampaignNetwork, int, int] | None:
        """A network, leased to this job, and the rank and trainer that get it."""
        if not self._idle:
            return None
        self.backlog.look_again()
        none: set[int] = set()
        places = [(place, self._tried[place[0]]) for place in self._idle]
        for place, tried in [*places, (self._idle[0], none)]:
            network = self.backlog.take(self._has_time_for, tried)
            if network is not None:
                self._idle.remove(place)
                return network, *place
            if not tried:
                break  # nothing fits on any rank
        return None

    def facts(self, network: CampaignNetwork) -> wire.Message:
        """By what the agent judges whether a trainer of this network has hung."""
        return {
            "hang_seconds": 60 * self._job.campaign.run.hang_minutes,
            "step_seconds": self.backlog.step_seconds(network),
        }

    def what_is_left(self) -> tuple[ExitStatus, str] | None:
        """With nothing under way: how the job ends and why, or None while there is something."""
        if self.backlog:
            # Who has too little time is idle; where nobody is, new trainers are on their way.
            words = f"too little time left to start a network: {GO_ON}"
            return (ExitStatus.UNFINISHED, words) if self._idle else None
        if self.backlog.elsewhere:
            return self._left_to_others()
        work, here = self._job.work, self._job.results.path
        failures = self.failures + self.backlog.failed_elsewhere
        tables = work.done + len(work.networks) + work.failed - failures
        if not failures:
            return ExitStatus.DONE, f"all {tables} tables stand in {here}"
        return ExitStatus.DONE_WITH_FAILURES, (
            f"{tables} tables stand in {here}; {failures} networks failed: 'nnlc status "
            f"{here}' gives the reasons, 'nnlc retry {here}' lets the next start try them again"
        )

    def _left_to_others(self) -> tuple[ExitStatus, str] | None:
        """A job that may be dead is waited for, since that shows within a minute."""
        if not self._others_live():
            return None
        self.backlog.look_again(now=True)  # what is known of them may be seconds old
        if self.backlog or not self.backlog.elsewhere or not self._others_live():
            return None
        ids, leases = [n.spec.id for n in self.backlog.elsewhere], self._job.leases
        return ExitStatus.UNFINISHED, (
            f"nothing is left to start: {len(ids)} networks are under way in "
            f"{leases.holder(ids[0])}; should that end without their tables, {GO_ON}"
        )

    def _others_live(self) -> bool:
        return all(self._job.leases.seen_alive(n.spec.id) for n in self.backlog.elsewhere)

    def _has_time_for(self, network: CampaignNetwork) -> bool:
        """Whether it would get as far as to a checkpoint before this job must leave."""
        left = self._job.time_left.for_work()
        if left == float("inf"):
            return True
        slowness = max(1.0, self._measured / self._predicted) if self._predicted else 1.0
        steps = FIRST_STEPS * slowness * self.backlog.step_seconds(network)
        return START_SECONDS + steps < left
