"""Assignment of networks to idle trainers, and the decision that no more can be assigned."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator

from nnlc.calibration.machines import ChosenMachine
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ExitStatus
from nnlc.networks.machine import DeviceKind
from nnlc.ranks.backlog import Backlog
from nnlc.ranks.gpu_packing import GpuPacking
from nnlc.ranks.idle_slots import IdleSlots, Slot
from nnlc.ranks.job import Job
from nnlc.results.inventory import not_whole_lines
from nnlc.system import messages
from nnlc.wording import all_of, counted

START_SECONDS = 10.0
"""Time that a trainer needs to read images before the first step of a network."""
REMEMBERED_NETWORKS = 50
"""Networks of each image set, the newest of earlier jobs, from whose times a job learns."""
FIRST_STEPS = 5
"""A network is started only if there is time for this many steps and a save."""


class HandOut:
    """Idle trainers, queued networks, and their assignment.

    Args:
        job: this job.
        device: "cpu" or "cuda".
        names: names of the job's devices, as in the journal; times measured on them are used.
        packing: trainers that share a GPU, and networks that may share it.
        speed: speed of the devices, by which times are predicted.
    """

    def __init__(
        self,
        job: Job,
        device: str,
        names: Container[str],
        packing: GpuPacking,
        speed: ChosenMachine,
    ) -> None:
        self._job, self._setup = job, speed.setup
        kind: DeviceKind = "cuda" if device == "cuda" else "cpu"
        if speed.warning:
            job.progress.message(f"warning: {speed.warning}")
        if packing.gpus:
            share = f"{len(packing.packable):,} of {counted(len(job.work.networks), 'network')}"
            job.progress.message(f"{share} may share a GPU, by {speed.origin}")
        self.backlog = Backlog(
            [n for n in job.work.networks if n.index not in packing.too_large],
            job.campaign,
            job.results,
            job.leases,
            speed.machine,
            kind,
            job.order,
            job.clock,
            packing.packable,
            job.work.not_whole,
            job.work.kept,
        )
        self._networks = len(job.work.networks) + len(job.work.not_whole)
        self._packable = packing.packable
        self._gpus = packing.number_of_gpus
        self._idle_slots = IdleSlots(packing.gpu_of)
        self._gpu_of = packing.gpu_of
        self._running: dict[int, Slot] = {}
        self._after_fault: set[int] = set()
        self._tried: defaultdict[int, set[int]] = defaultdict(set)
        self._retired: set[int] = set()
        self.failures = job.work.failed + len(packing.too_large)
        """Number of networks that this job or an earlier one has given up."""
        self._remember(names)

    def add_idle(self, rank: int, trainer: int) -> None:
        """Note that a trainer is idle."""
        if rank not in self._retired:
            self._idle_slots.add((rank, trainer))

    def remove_idle(self, rank: int, trainer: int) -> None:
        """Note that an idle trainer has ended."""
        self._idle_slots.remove((rank, trainer))

    def ended(self, index: int) -> None:
        """Note that a network is no longer running, whether finished, failed or returned."""
        self._after_fault.discard(index)
        self._idle_slots.end(self._running.pop(index))

    def first_failure_on_gpu(self, index: int) -> bool:
        """Return True if a network that has failed is the first to fail on its GPU.

        Under the Multi-Process Service a fault of one process ends all processes on the GPU. So
        the later failures don't count against the rank.
        """
        gpu, first = self._gpu_of(self._running[index]), index not in self._after_fault
        self._after_fault |= {i for i, slot in self._running.items() if self._gpu_of(slot) == gpu}
        return first

    def retire(self, rank: int) -> None:
        """Give a rank no more networks."""
        self._retired.add(rank)
        self._idle_slots.retire(rank)

    def is_last_rank(self, rank: int) -> bool:
        """Return True if all other ranks are retired."""
        return self._job.ranks - len(self._retired - {rank}) == 1

    def retry(self, rank: int, network: CampaignNetwork) -> None:
        """Queue a failed network again, for another rank if possible, to run alone on its GPU.

        Networks on the same GPU may have made each other fail.
        """
        self._tried[rank].add(network.index)
        self.backlog.put_back(network, alone=True)

    def measure(self, index: int, seconds: float) -> None:
        """Learn from the measured seconds of a half epoch."""
        self.backlog.measure(index, seconds)

    def next(self) -> tuple[CampaignNetwork, int, int] | None:
        """Return the next network to start, leased to this job, and its rank and trainer."""
        if not self._idle_slots or self._job.time_left.work_seconds() <= START_SECONDS:
            return None  # without asking all queued networks
        self.backlog.recheck()
        if work := self._next_of(self._idle_slots.on_empty_gpus()):
            return work
        if not self._packable or self._keeps_gpus_free():
            return None
        return self._next_of(self._idle_slots.on_packed_gpus(), packable_only=True)

    def _remember(self, names: Container[str]) -> None:
        """Learn from networks that earlier jobs finished on devices with these names."""
        count: Counter[str] = Counter()
        for network, finish in reversed(self._job.finished):
            seconds = finish.seconds_of_all(self._job.campaign.half_epochs)
            if finish.device not in names or seconds is None:
                continue
            count[network.images.name] += 1
            if count[network.images.name] <= REMEMBERED_NETWORKS:
                self.backlog.remember(network, finish, seconds)

    def _next_of(
        self, slots: Iterator[Slot], *, packable_only: bool = False
    ) -> tuple[CampaignNetwork, int, int] | None:
        """Return the next network for one of these slots, with its rank and trainer.

        Networks that failed on every rank with such a slot come last.
        """
        first: Slot | None = None
        for slot in slots:
            first, tried = first or slot, self._tried[slot[0]]
            if work := self._take(slot, tried, packable_only=packable_only):
                return work
            if not tried:
                return None  # nothing fits on any rank
        return self._take(first, (), packable_only=packable_only) if first else None

    def _take(
        self, slot: Slot, tried: Container[int], *, packable_only: bool
    ) -> tuple[CampaignNetwork, int, int] | None:
        network = self.backlog.take(self._has_time_for, tried, packable_only=packable_only)
        if network is None:
            return None
        self._idle_slots.begin(slot, packable=self.backlog.packable(network))
        self._running[network.index] = slot
        return network, *slot

    def _keeps_gpus_free(self) -> bool:
        """Return True if no packable network may start, so that a GPU becomes free for a large one.

        Packable networks start first, unless the large network alone would take as long as all
        queued work divided by the GPUs: then it would be the last to end.
        """
        large = self.backlog.next_exclusive()
        if large is None or not self._has_time_for(large):
            return False
        return self.backlog.expected[large.index] * self._gpus >= self.backlog.seconds_waiting

    def hang_limits(self, network: CampaignNetwork) -> messages.Message:
        """Return the times by which an agent decides that a trainer of this network hangs."""
        return {
            "hang_seconds": 60 * self._job.campaign.run.hang_minutes,
            "step_seconds": self._slowness(network) * self.backlog.step_seconds(network),
        }

    def outcome(self) -> tuple[ExitStatus, str] | None:
        """Return the job's exit status and reason if no network is running and none can start.

        Returns:
            None if trainers are still starting, or other jobs may still release networks.
        """
        if self.backlog:
            # Without an idle trainer, replacements are starting.
            words = f"too little time left to start a network: {self._job.go_on}"
            return (ExitStatus.UNFINISHED, words) if self._idle_slots else None
        if self.backlog.held_by_others:
            return self._outcome_of_others()
        work, folder = self._job.work, self._job.results.path
        failures = self.failures + self.backlog.failed_by_others
        tables = work.done + self._networks + work.failed - failures - len(work.not_whole)
        if not failures and not work.not_whole:
            return ExitStatus.DONE, f"{all_of(tables, 'table')} in {folder}"
        lines = [f"{counted(tables, 'table is', 'tables are')} in {folder}"]
        if failures:
            lines[0] += (
                f"; {counted(failures, 'network')} failed: 'nnlc status {folder}' gives the "
                f"reasons, 'nnlc retry {folder}' lets the next start try them again"
            )
        lines += not_whole_lines(work.not_whole.values(), folder)
        return ExitStatus.DONE_WITH_FAILURES, "\n".join(lines)

    def _outcome_of_others(self) -> tuple[ExitStatus, str] | None:
        """Return exit status and reason if live jobs hold all networks that are left.

        Returns:
            None while one of these jobs may be dead; a minute later that is known.
        """
        if not self._others_live():
            return None
        self.backlog.recheck(now=True)  # the last check may be seconds old
        if self.backlog or not self.backlog.held_by_others or not self._others_live():
            return None
        ids, leases = [n.spec.id for n in self.backlog.held_by_others], self._job.leases
        return ExitStatus.UNFINISHED, (
            f"nothing is left to start: {counted(len(ids), 'network')} under way in "
            f"{leases.holder(ids[0])}; if that job ends without their tables, {self._job.go_on}"
        )

    def _others_live(self) -> bool:
        return all(self._job.leases.seen_alive(n.spec.id) for n in self.backlog.held_by_others)

    def _has_time_for(self, network: CampaignNetwork) -> bool:
        """Return True if the network would reach a checkpoint before the job must shut down."""
        left = self._job.time_left.work_seconds()
        if left == float("inf"):
            return True
        steps = FIRST_STEPS * self._slowness(network) * self.backlog.step_seconds(network)
        return (
            START_SECONDS
            + self._setup.seconds(network.family.convolutions(network.spec, network.images))
            + steps
            < left
        )

    def _slowness(self, network: CampaignNetwork) -> float:
        """Return the factor by which steps may be slower than predicted: at least 1, for safety."""
        return max(1.0, self.backlog.factor(network))
