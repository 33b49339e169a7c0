"""The gatherer on rank 0: hands out networks, collects rows, writes tables and the journal.

A state machine without processes or clocks of its own: messages in, messages out.
"""

import contextlib
import shlex
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from nnlc import wire
from nnlc.campaign import Campaign, CampaignNetwork
from nnlc.errors import DeviceError, ExitStatus, NnlcError
from nnlc.journal import Journal
from nnlc.ranks.backlog import Backlog, machine_of
from nnlc.ranks.devices import choose_device
from nnlc.results import ResultsFolder
from nnlc.tables import Row, Table, write_table

MAX_IDLE_DEATHS = 3
"""A rank whose trainers end so often without a network has something wrong with it."""

Outbox = list[tuple[int, wire.Message]]


class Watcher(Protocol):
    """What is told of the work, to show it."""

    def begin(self, waiting: dict[int, float], done: int, trainers: int) -> None:
        """The work begins: predicted seconds of each network that waits."""

    def row(self, network: CampaignNetwork, half_epoch: int, row: Row) -> None:
        """A half epoch of a network is over."""

    def finished(self, network: CampaignNetwork, rows: list[Row], seconds: float) -> None:
        """A table stands."""

    def failed(self, network: CampaignNetwork, reason: str, *, for_good: bool) -> None:
        """An attempt at a network ended badly."""

    def message(self, text: str) -> None:
        """Something else that the user should know."""

    def tick(self) -> None:
        """Called often, so that a display can keep its pace."""

    def end(self) -> None:
        """Nothing more comes."""


@dataclass(slots=True)
class _UnderWay:
    network: CampaignNetwork
    rank: int
    trainer: int
    rows: list[Row] = field(default_factory=list)


class Gatherer:
    """Call it with every message of every agent; it returns the answers.

    Args:
        campaign: what to train.
        networks: those that have no table yet.
        done: how many have one.
        source: what the user calls the campaign on a command line.
        results: the folder, already opened.
        images_root: where trainers find images.
        device: "auto", "cpu" or "cuda", as the user asked.
        ranks: how many agents there are.
    """

    def __init__(
        self,
        campaign: Campaign,
        networks: list[CampaignNetwork],
        done: int,
        source: str,
        results: ResultsFolder,
        *,
        images_root: Path,
        device: str,
        ranks: int,
        journal: Journal,
        watcher: Watcher,
    ) -> None:
        self._campaign, self._networks, self._results = campaign, networks, results
        self._images_root, self._asked, self._ranks = images_root, device, ranks
        self._journal, self._watcher = journal, watcher
        self._done_before, self._source = done, source
        self._hellos: dict[int, wire.Message] = {}
        self._device = ""
        self._backlog = Backlog([], 1, machine_of("cpu"))
        self._checked = False
        self._stopped = False
        self._idle: deque[tuple[int, int]] = deque()
        self._under_way: dict[int, _UnderWay] = {}
        self._bad_attempts: dict[int, int] = {}
        self._idle_deaths: Counter[int] = Counter()
        self._failures = 0
        self._out: Outbox = []

    def __call__(self, rank: int, message: wire.Message) -> Outbox:
        self._out = []
        if not self._stopped:
            try:
                self._handle(rank, message)
            except NnlcError as problem:
                self._give_up(str(problem))
            except OSError as problem:  # of the journal; a table's own says which table
                self._give_up(f"{problem.filename}: can't be written: {problem.strerror}")
        return self._out

    def _handle(self, rank: int, message: wire.Message) -> None:
        match message["kind"]:
            case "hello":
                self._on_hello(rank, message)
            case "idle":
                self._idle.append((rank, message["trainer"]))
            case "checked":
                self._checked = True
            case "row":
                self._on_row(message)
            case "finished":
                self._on_finished(message)
            case "failed" | "died":
                self._on_bad_end(rank, message)
            case "returned":
                self._backlog.put_back(self._under_way.pop(message["index"]).network)
            case "fatal":
                # A trainer does not know what the user calls the campaign.
                named = message["message"].replace("<campaign>", shlex.quote(self._source))
                self._give_up(named)
            case "notice":
                self._watcher.message("told to stop: the same command goes on where this ended")
                self._stop(ExitStatus.UNFINISHED)
        if not self._stopped:
            self._hand_out()

    def tick(self) -> None:
        """Keep the display and the journal's snapshot fresh."""
        if self._stopped or not self._device:
            return
        self._watcher.tick()
        if self._journal.progress_is_due():
            with contextlib.suppress(OSError):  # a snapshot missed is no table missed
                self._note_progress()

    def _on_hello(self, rank: int, message: wire.Message) -> None:
        """When all ranks are there: choose the device, and begin with a look at the images."""
        self._hellos[rank] = message
        if len(self._hellos) < self._ranks:
            return
        self._device = choose_device(self._asked, self._hellos)
        machine = machine_of(self._device)
        self._backlog = Backlog(self._networks, self._campaign.epochs, machine)
        trainers = sum(len(hello["devices"]) for hello in self._hellos.values())
        ranks = [{"rank": r, **self._hellos[r]} for r in sorted(self._hellos)]
        self._journal.write("job", device=self._device, ranks=ranks, campaign=self._campaign.name)
        self._watcher.begin(self._backlog.seconds, self._done_before, trainers)
        for each in range(self._ranks):
            self._out.append((each, self._configuration()))
        self._out.append((0, {"kind": "check", "trainer": 0}))

    def _configuration(self) -> wire.Message:
        return {
            "kind": "configure",
            "campaign": self._campaign.model_dump(mode="json"),
            "images": str(self._images_root.absolute()),
            "device": self._device,
        }

    def _hand_out(self) -> None:
        """Give waiting networks to idle trainers; end the job when nothing is left."""
        if not self._checked:
            return
        while self._idle and (network := self._backlog.take()):
            rank, trainer = self._idle.popleft()
            spec = replace(network.spec, train_gpu=self._device == "cuda")
            network = replace(network, spec=spec)
            self._under_way[network.index] = _UnderWay(network, rank, trainer)
            self._journal.write("start", id=spec.id, rank=rank, trainer=trainer)
            self._out.append((rank, _train_message(network, trainer)))
        if not self._backlog and not self._under_way:
            self._end()

    def _end(self) -> None:
        """Nothing is left to train."""
        tables = self._done_before + len(self._networks) - self._failures
        if not self._failures:
            self._watcher.message(f"all {tables} tables stand in {self._results.path}")
            self._stop(ExitStatus.DONE)
            return
        self._watcher.message(
            f"{tables} tables stand in {self._results.path}; {self._failures} networks failed, "
            "for the reasons above; the same command tries them again"
        )
        self._stop(ExitStatus.DONE_WITH_FAILURES)

    def _on_row(self, message: wire.Message) -> None:
        entry = self._under_way[message["index"]]
        if message["half_epoch"] != len(entry.rows) + 1:
            raise NnlcError(
                f"network {entry.network.spec.id}: half epoch {message['half_epoch']} came after "
                f"{len(entry.rows)}; please report this as a bug in nnlc"
            )
        entry.rows.append(Row(*message["values"]))
        self._watcher.row(entry.network, len(entry.rows), entry.rows[-1])

    def _on_finished(self, message: wire.Message) -> None:
        entry = self._under_way[message["index"]]
        if len(entry.rows) != self._campaign.half_epochs:
            raise NnlcError(
                f"network {entry.network.spec.id}: {len(entry.rows)} half epochs of "
                f"{self._campaign.half_epochs} came; please report this as a bug in nnlc"
            )
        spec = entry.network.spec
        path = self._results.table_path(entry.network.images, spec)
        try:
            write_table(Table(spec, tuple(entry.rows)), path)
        except OSError as problem:
            raise NnlcError(
                f"{path}: the table can't be written: {problem.strerror}; make room or mend the "
                "folder and start the same command again"
            ) from None
        del self._under_way[message["index"]]
        self._idle_deaths[entry.rank] = 0
        self._journal.write("finish", id=spec.id, seconds=message["seconds"], rank=entry.rank)
        self._watcher.finished(entry.network, entry.rows, message["seconds"])

    def _on_bad_end(self, rank: int, message: wire.Message) -> None:
        """An attempt ended badly: try again, or record a failure after too many attempts."""
        if message["index"] is None:
            self._on_idle_death(rank, message)
            return
        entry = self._under_way.pop(message["index"])
        attempts = self._bad_attempts.get(message["index"], 0) + 1
        self._bad_attempts[message["index"]] = attempts
        for_good = attempts >= self._campaign.run.attempts
        reason = message["reason"]
        event = "failure" if for_good else "attempt"
        facts = {"id": entry.network.spec.id, "reason": reason, "attempts": attempts}
        self._journal.write(event, **facts, rank=rank)
        self._watcher.failed(entry.network, reason, for_good=for_good)
        if for_good:
            self._failures += 1
        else:
            self._backlog.put_back(entry.network)

    def _on_idle_death(self, rank: int, message: wire.Message) -> None:
        """A trainer ended while it had no network. One that can't start is not tried for ever."""
        self._idle = deque(place for place in self._idle if place != (rank, message["trainer"]))
        self._idle_deaths[rank] += 1
        if not self._checked or self._idle_deaths[rank] >= MAX_IDLE_DEATHS:
            raise DeviceError(
                f"rank {rank}: {message['reason']} while it had no network; what it printed before "
                "says why"
            )

    def _note_progress(self) -> None:
        self._journal.progress(
            {
                entry.network.spec.id: {
                    "half_epochs": len(entry.rows),
                    "accuracy": entry.rows[-1].val_accuracy_percent if entry.rows else None,
                }
                for entry in self._under_way.values()
            }
        )

    def _give_up(self, text: str) -> None:
        self._watcher.message(f"error: {text}")
        self._stop(ExitStatus.ERROR)

    def _stop(self, status: ExitStatus) -> None:
        self._stopped = True
        self._watcher.end()
        with contextlib.suppress(OSError):  # the messages below must reach all ranks
            self._journal.write("end", status=status.name)
            self._journal.end()
        self._out.extend(
            (rank, {"kind": "stop", "status": int(status)}) for rank in range(self._ranks)
        )


def _train_message(network: CampaignNetwork, trainer: int) -> wire.Message:
    return {
        "kind": "train",
        "trainer": trainer,
        "index": network.index,
        "spec": network.spec.to_json(),
        "image_set": asdict(network.images),
    }
