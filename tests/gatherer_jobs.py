"""A gatherer and pretended agents, driven message by message on a clock that tests set."""

import math
from pathlib import Path

from worker_jobs import TINY, events, write_campaign

from nnlc import load_campaign
from nnlc.errors import ExitStatus
from nnlc.ranks.attempts import Attempts
from nnlc.ranks.backlog import find_unfinished
from nnlc.ranks.gatherer import Gatherer
from nnlc.ranks.job import Job as Shared
from nnlc.ranks.leases import Leases
from nnlc.ranks.node_trouble import NodeTrouble
from nnlc.ranks.time_left import TimeLeft
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.inventory import inventory
from nnlc.results.journal import Journal
from nnlc.schedulers.site_values import Gpu
from nnlc.system import messages

HALF_EPOCHS = 2
CUDA_ERROR = "RuntimeError: CUDA error: an illegal memory access was encountered"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Silent:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.messages, self.failures, self.tables = [], [], []
        self.resumed_with, self.ended = {}, False

    def begin(self, waiting, done, trainers):
        self.waiting, self.done, self.trainers = waiting, done, trainers

    def resumed(self, network, rows):
        self.resumed_with[network.index] = len(rows)

    def row(self, network, half_epoch, row):
        pass

    def finished(self, network, rows, seconds, stop=None):
        self.tables.append(network.index)

    def failed(self, network, reason, *, final):
        self.failures.append((network.index, reason, final))

    def message(self, text):
        self.messages.append(text)

    def tick(self):
        pass

    def end(self):
        self.ended = True


class Job:
    """One start of the worker on a results folder, which may have seen others.

    Where nothing is left to train it has its `status` at once and no gatherer, like `lead`.
    """

    def __init__(
        self,
        folder: Path,
        ranks: int = 1,
        *,
        trainers: int = 1,
        gpus: int = 0,
        device: str = "auto",
        order: str = "longest",
        run: str = "attempts = 2",
        networks_per_depth: int = 3,
        epochs: int = 1,
        minutes: float | None = None,
        clock: Clock | None = None,
        greet: bool = True,
        site_gpu: Gpu | None = None,
        site: str = "",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        text = TINY.replace("epochs = 1", f"epochs = {epochs}\n[run]\n{run}\n")
        text = text.replace("per_depth = 3", f"per_depth = {networks_per_depth}")
        self.results = ResultsFolder(folder / "r")
        self.campaign = self.results.resolve(load_campaign(write_campaign(folder, text)))
        self.networks = list(self.campaign.networks())
        self.results.open(self.campaign)
        self.ranks, self.trainers = ranks, trainers
        self.clock, self.progress = clock or Clock(), Silent()
        self.sent: list[tuple[int, dict]] = []
        history = self.history()
        found = inventory(self.results, self.campaign, self.networks, history.finishes)
        self.work = find_unfinished(self.networks, found, history.failures)
        self._stopped = None
        if not self.work.networks:
            failed = self.work.failed or self.work.not_whole
            self._stopped = ExitStatus.DONE_WITH_FAILURES if failed else ExitStatus.DONE
            return
        self.leases = Leases(self.results.leases_folder, self.results.ready, clock=self.clock)
        self.leases.begin()
        journal = Journal(self.results.journal_folder, self.results.ready)
        self.gatherer = Gatherer(
            Shared(
                campaign=self.campaign,
                work=self.work,
                finished=[
                    (n, history.finishes[n.spec.id])
                    for n in self.networks
                    if n.spec.id in history.finishes
                ],
                results=self.results,
                source="my tiny",
                images_root=folder,
                device=device,
                ranks=ranks,
                gpu=site_gpu,
                order=order,
                attempts=Attempts(self.campaign.run.attempts, history.attempts),
                leases=self.leases,
                time_left=TimeLeft(minutes and 60 * minutes, self.clock),
                nodes=NodeTrouble(
                    journal.path.parent, journal, self.campaign.run, site, history.bad_nodes
                ),
                journal=journal,
                open_jobs=history.open_jobs,
                progress=self.progress,
                clock=self.clock,
            )
        )
        for rank in range(ranks if greet else 0):
            self.greet(rank, gpus)

    def greet(self, rank: int, gpus: int = 0) -> None:
        self.say(rank, kind="hello", **place(rank, gpus, self.trainers))

    def say(self, rank: int, **message) -> list[tuple[int, dict]]:
        if message["kind"] == "died":
            message["node"] = f"n{rank}"
        answers = self.gatherer(rank, messages.decode(messages.encode(message)))
        if message["kind"] == "finished":  # the next tick writes its table
            answers += self.gatherer.tick()
        self.sent += answers
        return answers

    def tick(self, seconds: float = 0.0) -> list[tuple[int, dict]]:
        """Time passes, and the gatherer is asked what is due."""
        self.clock.now += seconds
        answers = self.gatherer.tick()
        self.sent += answers
        return answers

    def begin(self) -> "Job":
        for rank in range(self.ranks):
            for trainer in range(self.trainers):
                self.idle(rank, trainer)
        self.checked()
        return self

    def checked(self) -> None:
        """Every host has its images."""
        for rank in range(self.ranks):
            self.say(rank, kind="checked", trainer=0)

    def idle(self, rank: int, trainer: int = 0) -> None:
        self.say(rank, kind="idle", trainer=trainer)

    def row(self, index: int, half_epoch: int, *, rank: int = 0, seconds: float = 0.1) -> None:
        values = values_of(index, half_epoch)
        facts = {"index": index, "half_epoch": half_epoch, "seconds": seconds, "values": values}
        self.say(rank, kind="row", trainer=0, **facts)

    def finish(self, rank: int, index: int, *, first: int = 1, idle: bool = True) -> None:
        """All rows from `first` on, and what follows."""
        for half_epoch in range(first, self.campaign.half_epochs + 1):
            self.row(index, half_epoch, rank=rank)
        self.say(rank, kind="finished", trainer=0, index=index, seconds=1.0)
        if idle:
            self.idle(rank)

    def fail(self, rank: int, index: int, reason: str = CUDA_ERROR, *, trainer: int = 0) -> None:
        """An attempt fails, and another trainer takes the place of the one that leaves."""
        self.say(rank, kind="failed", trainer=trainer, index=index, reason=reason)
        self.idle(rank, trainer)

    def part(self) -> int | None:
        """Every rank says that it has left; returns the status that all are told."""
        for rank in range(self.ranks):
            self.say(rank, kind="left")
        return self.status

    def train_all(self) -> int | None:
        """One rank, to the end."""
        while not self.leaving:
            self.finish(*self.handed_out[-1])
        return self.part()

    @property
    def kinds(self) -> list[str]:
        return [message["kind"] for _, message in self.sent]

    @property
    def leaving(self) -> bool:
        return "leave" in self.kinds

    @property
    def status(self) -> int | None:
        stops = {message["status"] for _, message in self.sent if message["kind"] == "stop"}
        assert len(stops) <= 1
        return next(iter(stops), self._stopped)

    @property
    def handed_out(self) -> list[tuple[int, int]]:
        return [(rank, m["index"]) for rank, m in self.sent if m["kind"] == "train"]

    @property
    def last_given(self) -> dict[int, int]:
        """What each rank got last."""
        return dict(self.handed_out)

    def history(self):
        return read_history(self.results.journal_folder)

    def events(self, kind: str) -> list[dict]:
        return events(self.results.path, kind)

    def id(self, index: int) -> str:
        return self.networks[index].spec.id

    def path(self, index: int) -> Path:
        network = self.networks[index]
        return self.results.table_path(network.images, network.spec)

    @property
    def with_tables(self) -> set[int]:
        return {n.index for n in self.networks if self.path(n.index).exists()}

    @property
    def leased(self) -> set[str]:
        return {path.stem for path in self.results.leases_folder.glob("[!.]*.lease")}


def values_of(index: int, half_epoch: int) -> list[float]:
    """What a network's training comes to, whoever does it."""
    return [index + half_epoch / 10, math.nan, 10.0 * half_epoch]


def facts(gpus: int, **others: object) -> dict:
    """A trainer's, each with a GPU of its own where there are any."""
    known = {"gpus": gpus, "name": "a GPU", "processor": "x, AVX2", "nnlc": "1", "torch": "2"}
    known |= {"cuda": "13.0", "cudnn": None, "uuid": "unknown", "memory_bytes": 16 * 10**9}
    return {**known, **others}


def place(rank: int, gpus: int = 0, trainers: int | None = 1, **others: object) -> dict:
    """What a rank says of itself: each on a node of its own."""
    devices = [facts(gpus)] * (trainers or 1)
    node = {
        "host": f"n{rank}",
        "node": f"n{rank}",
        "cores": 8,
        "node_cores": 8,
        "node_gpus": gpus,
        "visible": "",
    }
    about = {"launcher": "mpirun", "trainers": trainers, "without_mps": None}
    about["overruled"] = ""
    return {**node, **about, "devices": devices, **others}
