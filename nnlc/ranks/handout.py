"""Which idle trainer gets which network next, and when there is nothing left to give."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator

from nnlc.calibration.machines import machine_for
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ExitStatus
from nnlc.ranks.backlog import Backlog
from nnlc.ranks.gpu_packing import GpuPacking
from nnlc.ranks.idle_slots import IdleSlots, Slot
from nnlc.ranks.job import GO_ON, Job
from nnlc.results.inventory import not_whole_lines
from nnlc.system import messages
from nnlc.wording import counted

START_SECONDS = 10.0
"""For a trainer to read images, before a network's first step."""
REMEMBERED_NETWORKS = 50
"""Networks of each image set, the newest, by which a job knows what earlier ones have learned."""
FIRST_STEPS = 5
"""A network is worth starting where there is time for so many of its steps: then it is saved."""


class HandOut:
    """Knows who is idle and what waits.

    Args:
        job: what is shared.
        device: that the job trains on, "cpu" or "cuda".
        names: of its devices, as the journal has them: what is known of these counts here.
        packing: which trainers share a GPU, and which networks may.
    """

    def __init__(self, job: Job, device: str, names: Container[str], packing: GpuPacking) -> None:
        self._job = job
        known = machine_for(job.results, names, "cuda" if device == "cuda" else "cpu")
        if known.warning:
            job.progress.message(f"warning: {known.warning}")
        self.backlog = Backlog(
            [n for n in job.work.networks if n.index not in packing.too_large],
            job.campaign,
            job.results,
            job.leases,
            known.machine,
            job.order,
            job.clock,
            packing.packable,
            job.work.not_whole,
        )
        self._networks = len(job.work.networks) + len(job.work.not_whole)
        self._packable = packing.packable
        self._gpus = packing.number_of_gpus
        self._idle_slots = IdleSlots(packing.gpu_of)
        self._gpu_of = packing.gpu_of
        self._under_way: dict[int, Slot] = {}
        self._after_fault: set[int] = set()
        self._tried: defaultdict[int, set[int]] = defaultdict(set)
        self._retired: set[int] = set()
        self.failures = job.work.failed + len(packing.too_large)
        """Networks that are given up, here or in an earlier job."""
        self._remember(names)

    def add_idle(self, rank: int, trainer: int) -> None:
        """A trainer has nothing to do."""
        if rank not in self._retired:
            self._idle_slots.add((rank, trainer))

    def remove_idle(self, rank: int, trainer: int) -> None:
        """An idle trainer has ended."""
        self._idle_slots.remove((rank, trainer))

    def ended(self, index: int) -> None:
        """A network is no longer under way, whatever became of it."""
        self._after_fault.discard(index)
        self._idle_slots.end(self._under_way.pop(index))

    def first_failure_on_gpu(self, index: int) -> bool:
        """Whether a network that ends badly is the first on its GPU to do so.

        Under the Multi-Process Service a fault of one process ends all that share the GPU: those
        that follow tell nothing of their rank.
        """
        gpu, first = self._gpu_of(self._under_way[index]), index not in self._after_fault
        self._after_fault |= {i for i, slot in self._under_way.items() if self._gpu_of(slot) == gpu}
        return first

    def retire(self, rank: int) -> None:
        """Give a rank nothing any more."""
        self._retired.add(rank)
        self._idle_slots.retire(rank)

    def is_last_rank(self, rank: int) -> bool:
        """Whether no other rank is given work."""
        return self._job.ranks - len(self._retired - {rank}) == 1

    def retry(self, rank: int, network: CampaignNetwork) -> None:
        """A network waits again; another rank is better for it, and none beside it: who packable a
        GPU may have ended it, or it may have ended them."""
        self._tried[rank].add(network.index)
        self.backlog.put_back(network, alone=True)

    def measure(self, index: int, seconds: float) -> None:
        """A half epoch of a network took so long."""
        predicted = self.backlog.seconds[index] / self._job.campaign.half_epochs
        self.backlog.measure(index, predicted, seconds)

    def next(self) -> tuple[CampaignNetwork, int, int] | None:
        """A network, leased to this job, and the rank and trainer that get it."""
        if not self._idle_slots or self._job.time_left.work_seconds() <= START_SECONDS:
            return None  # without a look at all that waits
        self.backlog.recheck()
        if work := self._next_of(self._idle_slots.on_empty_gpus()):
            return work
        if not self._packable or self._keeps_gpus_free():
            return None
        return self._next_of(self._idle_slots.on_packed_gpus(), beside=True)

    def _remember(self, names: Container[str]) -> None:
        """Learn from what earlier jobs have finished on devices of these names."""
        count: Counter[str] = Counter()
        for network, finish in reversed(self._job.finished):
            seconds = finish.seconds_of_all(self._job.campaign.half_epochs)
            if finish.device not in names or seconds is None:
                continue
            count[network.images.name] += 1
            if count[network.images.name] <= REMEMBERED_NETWORKS:
                self.backlog.remember([(network, seconds)])

    def _next_of(
        self, slots: Iterator[Slot], *, beside: bool = False
    ) -> tuple[CampaignNetwork, int, int] | None:
        """The same from these slots; one that no rank but those that tried it is left for comes
        last."""
        first: Slot | None = None
        for slot in slots:
            first, tried = first or slot, self._tried[slot[0]]
            if work := self._take(slot, tried, beside=beside):
                return work
            if not tried:
                return None  # nothing fits on any rank
        return self._take(first, (), beside=beside) if first else None

    def _take(
        self, slot: Slot, tried: Container[int], *, beside: bool
    ) -> tuple[CampaignNetwork, int, int] | None:
        network = self.backlog.take(self._has_time_for, tried, beside=beside)
        if network is None:
            return None
        self._idle_slots.begin(slot, packable=self.backlog.packable(network))
        self._under_way[network.index] = slot
        return network, *slot

    def _keeps_gpus_free(self) -> bool:
        """Whether GPUs that are shared shall become free for a network that runs alone.

        Small ones may pass a large one as long as it would not be the last to end: when it is as
        long as all that waits, divided by the GPUs, it is put off no longer.
        """
        large = self.backlog.next_exclusive()
        if large is None or not self._has_time_for(large):
            return False
        return self.backlog.expected[large.index] * self._gpus >= self.backlog.seconds_waiting

    def hang_limits(self, network: CampaignNetwork) -> messages.Message:
        """By what the agent judges whether a trainer of this network has hung."""
        return {
            "hang_seconds": 60 * self._job.campaign.run.hang_minutes,
            "step_seconds": self._slowness(network) * self.backlog.step_seconds(network),
        }

    def outcome(self) -> tuple[ExitStatus, str] | None:
        """With nothing under way: how the job ends and why, or None while there is something."""
        if self.backlog:
            # Who has too little time is idle; where nobody is, new trainers are on their way.
            words = f"too little time left to start a network: {GO_ON}"
            return (ExitStatus.UNFINISHED, words) if self._idle_slots else None
        if self.backlog.held_by_others:
            return self._outcome_of_others()
        work, here = self._job.work, self._job.results.path
        failures = self.failures + self.backlog.failed_by_others
        tables = work.done + self._networks + work.failed - failures - len(work.not_whole)
        if not failures and not work.not_whole:
            return ExitStatus.DONE, f"all {tables} tables stand in {here}"
        told = [f"{tables} tables stand in {here}"]
        if failures:
            told[0] += (
                f"; {counted(failures, 'network')} failed: 'nnlc status {here}' gives the reasons, "
                f"'nnlc retry {here}' lets the next start try them again"
            )
        told += not_whole_lines(work.not_whole.values(), here)
        return ExitStatus.DONE_WITH_FAILURES, "\n".join(told)

    def _outcome_of_others(self) -> tuple[ExitStatus, str] | None:
        """A job that may be dead is waited for, since that shows within a minute."""
        if not self._others_live():
            return None
        self.backlog.recheck(now=True)  # what is known of them may be seconds old
        if self.backlog or not self.backlog.held_by_others or not self._others_live():
            return None
        ids, leases = [n.spec.id for n in self.backlog.held_by_others], self._job.leases
        return ExitStatus.UNFINISHED, (
            f"nothing is left to start: {counted(len(ids), 'network')} under way in "
            f"{leases.holder(ids[0])}; should that end without their tables, {GO_ON}"
        )

    def _others_live(self) -> bool:
        return all(self._job.leases.seen_alive(n.spec.id) for n in self.backlog.held_by_others)

    def _has_time_for(self, network: CampaignNetwork) -> bool:
        """Whether it would get as far as to a checkpoint before this job must leave."""
        left = self._job.time_left.work_seconds()
        if left == float("inf"):
            return True
        steps = FIRST_STEPS * self._slowness(network) * self.backlog.step_seconds(network)
        return START_SECONDS + steps < left

    def _slowness(self, network: CampaignNetwork) -> float:
        """By how much longer steps are than predicted: where time must suffice, none is shorter."""
        return max(1.0, self.backlog.factor(network))
