"""The gatherer on rank 0: it hands out networks, collects rows, writes tables and the journal.

It starts no process and does no MPI: it receives messages, and returns messages to send.
"""

import contextlib
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ExitStatus, NnlcError
from nnlc.ranks.attempts import is_out_of_memory
from nnlc.ranks.disk_trouble import DiskTrouble
from nnlc.ranks.gpu_packing import pack_gpus
from nnlc.ranks.handout import HandOut
from nnlc.ranks.job import Job
from nnlc.ranks.lost_jobs import LostJobs
from nnlc.ranks.node_trouble import REPAIR
from nnlc.ranks.preflight import check_ranks, choose_device, device_names, report, warnings
from nnlc.ranks.rank_checks import RankChecks
from nnlc.ranks.running_networks import RunningNetworks
from nnlc.ranks.shutdown import Shutdown
from nnlc.results.folder_costs import uncounted
from nnlc.system import messages
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.ranks.cost_counting import CostCounting

MAX_IDLE_DEATHS = 3
"""Number of trainers that may end without a network before their rank is retired as faulty."""

Outbox = list[tuple[int, messages.Message]]


class Gatherer:
    """State of a job: call it with every agent's messages, and call `tick` often.

    Both calls return messages to send, each with its rank.
    """

    def __init__(self, job: Job) -> None:
        self._job, self.nodes = job, job.nodes
        self._running = RunningNetworks(job)
        self._hand_out: HandOut  # set when the last rank has said hello
        self._shutdown = Shutdown(job.ranks, job.clock)
        self._counting: CostCounting | None = None  # set with the last hello, if one is needed
        self._hellos: dict[int, messages.Message] = {}
        self._device = ""
        self._trainers: Mapping[int, int] = {}
        self._checks: RankChecks | None = None  # set with the last hello
        self._idle_deaths: Counter[int] = Counter()
        self._given_up: dict[str, CampaignNetwork] = {}
        self._disk_trouble = DiskTrouble(job, self._running.tables)
        self._lost_jobs = LostJobs(job)
        self._end_reason = ""
        self._out: Outbox = []

    def __call__(self, rank: int, *received: messages.Message) -> Outbox:
        """Handle messages from one rank; return messages to send, each with its rank."""
        self._out = []
        if self._shutdown.over:
            return self._out
        for message in received:
            with self._ending_on_error():
                self._handle(rank, message)
        with self._ending_on_error():
            self._hand_out_networks()
        return self._out

    def tick(self) -> Outbox:
        """Do periodic work: write tables, check time and folder, refresh the display."""
        self._out = []
        if self._shutdown.over:
            return self._out
        with self._ending_on_error():
            self._job.leases.renew()
            self._job.journal.try_again()
            self._running.write()
            if self._disk_trouble.lasts_too_long() and self._shutdown.status is None:
                raise NnlcError(f"{self._disk_trouble.problem}; {self._disk_trouble.advice}")
            self._lost_jobs.report()
            if self._shutdown.status is None and self._job.time_left.work_seconds() <= 0:
                over = f"the job's time is nearly over: {self._job.go_on}"
                self._begin_shutdown(ExitStatus.UNFINISHED, over)
            if self._device and self._shutdown.status is None:
                self._job.progress.tick()
                if self._job.journal.progress_is_due():
                    self._job.journal.progress(self._running.snapshot())
            self._hand_out_networks()
        return self._out

    @contextlib.contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        """Begin the shutdown if an error is raised that the user must correct."""
        try:
            yield
        except NnlcError as problem:
            self._begin_shutdown(*self.nodes.end_of(problem))

    def _handle(self, rank: int, message: messages.Message) -> None:
        match message["kind"]:
            case "hello" | "counted":
                self._on_hello(rank, message)
            case "idle":
                self._hand_out.add_idle(rank, message["trainer"])
            case "checked":
                self._on_checked(rank, message)
            case "row":
                running = self._running.add_row(message)
                self._job.attempts.record_success(running.rank)
                self._hand_out.measure(message["index"], message["seconds"])
            case "finished":
                self._hand_out.ended(message["index"])
                self._idle_deaths[self._running.finish(message).rank] = 0
            case "resumed" | "saved" | "aside" | "trouble":
                self._running.on_checkpoint(message)
            case "failed" | "died" | "uncaptured":
                self._on_failed_attempt(rank, message)
            case "returned":
                self._put_back(message)
            case "fatal":
                self._on_fatal(rank, message)
            case "notice":
                asked = ", which asks the job to end" if self._job.of_scheduler else ""
                reason = f"{message['signal']} came on rank {rank}{asked}: {self._job.go_on}"
                self._begin_shutdown(ExitStatus.UNFINISHED, reason)
            case "left":
                self._shutdown.left(rank)

    def _hand_out_networks(self) -> None:
        """Give queued networks to idle trainers; shut down when no more can be started."""
        if self._shutdown.status is not None:
            self._end_if_all_ranks_left()
            return
        if not self._checked or self._disk_trouble.unavailable:
            return
        while work := self._hand_out.next():
            self._start(*work)
        if not self._running and (end := self._hand_out.outcome()):
            self._begin_shutdown(*end)

    def _on_hello(self, rank: int, message: messages.Message) -> None:
        """Note a rank's "hello" or counts; after the last hello, have costs counted, then begin."""
        job = self._job
        if message["kind"] == "hello":
            self._hellos[rank], self.nodes.places[rank] = message, message["node"]
        if len(self._hellos) < job.ranks or self._shutdown.status is not None:
            return
        if self._counting is not None:
            self._counting.note(rank, message)
        elif unknown := uncounted(job.costed_networks):
            from nnlc.ranks.cost_counting import CostCounting  # the article's don't need it

            self._counting = CostCounting(job, unknown)
            self._out.extend(self._counting.messages.items())
        if not self._device and not (self._counting and self._counting.waiting):
            self._begin()

    def _begin(self) -> None:
        """Choose the device, prepare the hand-out of networks, and have images checked."""
        job = self._job
        self._device = choose_device(job.device, self._hellos, job.nodes.site)
        check_ranks(self._hellos, self._device)
        names = device_names(self._hellos, self._device)
        speed = job.machine_for(names, self._device)
        about = job.work.networks, job.campaign.training, speed.machine
        packing = pack_gpus(self._hellos, self._device, *about)
        self._trainers = packing.trainers
        self._hand_out = HandOut(job, self._device, names, packing, speed)
        job.record_start(self._device, self._hellos, packing.trainers)
        seconds = self._hand_out.backlog.expected
        job.progress.begin(seconds, job.work.done, sum(self._trainers.values()))
        for warning in warnings(self._hellos, self._trainers, self._device):
            job.progress.message(f"warning: {warning}")
        job.give_up(packing.too_large)
        configuration = job.configuration(self._device)
        for each, count in self._trainers.items():
            self._out.append((each, {**configuration, "trainers": count}))
        self._checks = RankChecks(job, self._hellos, self._device, packing.too_large)
        self._out.extend(self._checks.messages.items())

    @property
    def _checked(self) -> bool:
        """True once all hosts have checked their images, and all GPUs are checked."""
        return self._checks is not None and self._checks.passed

    def _on_checked(self, rank: int, message: messages.Message) -> None:
        """Note that a rank has made its checks; after the last rank, end a preflight."""
        if self._checks is None:
            return
        job = self._job
        self._checks.note(rank, message, job)
        if "go_on" in message:
            job.tell_losses(message)
        if not self._checks.passed:
            return
        job.results.remove_mark(job.leases.token)
        if job.only_preflight:
            for line in report(self._hellos, self._trainers, self._device):
                job.progress.message(line)
            ready = f"{counted(job.ranks, 'rank')} can begin"
            self._begin_shutdown(ExitStatus.DONE, f"preflight passed: {ready}")

    def _start(self, network: CampaignNetwork, rank: int, trainer: int) -> None:
        network = network.on(self._device)
        self._running.add(network, rank)
        self._job.journal.write("start", id=network.spec.id, rank=rank, trainer=trainer)
        message = {"kind": "train", "trainer": trainer, "index": network.index}
        message |= network.to_json() | self._hand_out.hang_limits(network)
        message["graphs"] = network.index not in self._running.eager_because
        self._out.append((rank, message))

    def _on_failed_attempt(self, rank: int, message: messages.Message) -> None:
        """Queue a failed network again, or give it up after too many attempts."""
        if message["index"] is None:
            self._on_idle_death(rank, message)
            return
        job, reason = self._job, message["reason"]
        if message["kind"] == "uncaptured" and not is_out_of_memory(reason):
            self._put_back(message)
            return
        first = self._hand_out.first_failure_on_gpu(message["index"])
        self._hand_out.ended(message["index"])
        running = self._running.remove(message["index"])
        certain = "of_family" in message
        suspicious = first and not (certain or running.trained or is_out_of_memory(reason))
        end = job.attempts.record_failure(running.id, rank, suspicious=suspicious, certain=certain)
        event = "failure" if end.final else "attempt"
        job.journal.write(event, id=running.id, reason=reason, attempts=end.attempts, rank=rank)
        job.progress.failed(running.network, reason, final=end.final)
        if (bug := message.get("traceback")) and job.attempts.is_new_bug(bug):
            job.progress.message(bug)
        if end.final:
            self._hand_out.failures += 1
            self._given_up[running.id] = running.network
        else:
            self._hand_out.retry(rank, running.network)
        self._retire_if_faulty(rank, reason)

    def _put_back(self, message: messages.Message) -> None:
        """Queue a network again whose training does not count as an attempt."""
        self._hand_out.ended(message["index"])
        self._hand_out.backlog.put_back(self._running.take_back(message))

    def _retire_if_faulty(self, rank: int, reason: str) -> None:
        """Retire a rank on which every network fails, and try these networks again elsewhere."""
        last = self._hand_out.is_last_rank(rank)
        forgiven = self._job.attempts.faulty(rank, last=last)
        if not forgiven:
            return
        self.nodes.retire(rank, reason, forgiven)
        for name in self._given_up.keys() & set(forgiven):
            self._hand_out.failures -= 1
            self._hand_out.retry(rank, self._given_up.pop(name))
        what = f"{len(forgiven)} networks in a row ended before their first half epoch ({reason})"
        if last:
            raise self.nodes.error(rank, f"{what}; {REPAIR}")
        self._hand_out.retire(rank)
        self._job.progress.message(f"{self.nodes.where(rank)} gets no more networks: {what}")

    def _on_fatal(self, rank: int, message: messages.Message) -> None:
        """End the job if a trainer can't start; once all hosts are checked, count its death."""
        if self._checked:
            self._on_idle_death(rank, {**message, "reason": message["message"]})
            return
        # A trainer doesn't know the campaign's name on the command line.
        text = message["message"].replace("<campaign>", shlex.quote(self._job.source))
        where = f"rank {rank} on {self._hellos[rank]['host']}: " if "of_family" in message else ""
        if not where or self._shutdown.status is None:  # each rank may have the same problem
            raise NnlcError(where + text)

    def _on_idle_death(self, rank: int, message: messages.Message) -> None:
        """Count a trainer that ended without a network; retire its rank after too many."""
        if self._shutdown.status is not None:
            return
        reason = f"{message['reason']} while it had no network; its output above says why"
        if not self._checked:
            self.nodes.places.setdefault(rank, message["node"])
            raise self.nodes.error(rank, reason)
        self._hand_out.remove_idle(rank, message["trainer"])
        self._idle_deaths[rank] += 1
        if self._idle_deaths[rank] < MAX_IDLE_DEATHS:
            return
        if self._hand_out.is_last_rank(rank):
            raise self.nodes.error(rank, reason)
        if self._idle_deaths[rank] == MAX_IDLE_DEATHS:
            self._hand_out.retire(rank)
            self.nodes.retire(rank, reason, [])
            self._job.progress.message(f"rank {rank} gets no more networks: {reason}")

    def _begin_shutdown(self, status: ExitStatus, why: str) -> None:
        """Have all trainers save and all ranks leave; rows and tables until then still count."""
        first = self._shutdown.begin(status)
        # Each rank may report the same signal, or the same error.
        if first or (status == ExitStatus.ERROR and why != self._end_reason):
            self._end_reason = why
            self._job.progress.message(why)
        if first:
            self._out.extend((rank, {"kind": "leave"}) for rank in range(self._job.ranks))

    def _end_if_all_ranks_left(self) -> None:
        if not self._shutdown.complete():
            return
        job = self._job
        self._running.write(now=True)
        if (loss := self._disk_trouble.loss()) is not None:
            self._begin_shutdown(ExitStatus.ERROR, f"error: {loss}")
        status = ExitStatus(self._shutdown.status or ExitStatus.DONE)
        self._shutdown.over = True
        job.progress.end()
        job.journal.write("end", status=status.name, reason=self._end_reason)
        job.journal.end()
        job.results.remove_mark(job.leases.token)
        job.leases.end()
        stop = {"kind": "stop", "status": int(status)}
        self._out.extend((rank, stop) for rank in range(job.ranks))
