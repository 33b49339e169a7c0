"""The rank agent: one a rank. Passes messages between its trainers and rank 0's gatherer.

It never imports torch and never trains, so that nothing which happens to a network can hurt it.
"""

import platform
import selectors
import signal
from types import FrameType
from typing import Protocol

from nnlc import wire
from nnlc.errors import ExitStatus
from nnlc.ranks.mpi import Link
from nnlc.ranks.trainerlink import NOTICES, TrainerLink

PATIENCE_SECONDS = 5.0
"""For an idle trainer to leave when its input ends."""
RANK_0 = 0


class Handler(Protocol):
    """The gatherer, as its rank's agent sees it."""

    def __call__(self, rank: int, message: wire.Message) -> list[tuple[int, wire.Message]]:
        """A message and the rank it comes from in, messages to ranks out."""

    def tick(self) -> None:
        """Called several times a second, whether or not anything happened."""


class Agent:
    """One rank's event loop.

    Args:
        link: the other ranks.
        trainers: how many trainer processes to keep; they start here, to be ready early.

    Attributes:
        gatherer: on rank 0, what answers the agents' messages; set before `run`.
    """

    def __init__(self, link: Link, trainers: int) -> None:
        self._link = link
        self.gatherer: Handler | None = None
        self._notice: int | None = None
        for notice in NOTICES:
            signal.signal(notice, self._on_notice)
        self._selector = selectors.DefaultSelector()
        self._trainers = [self._start(number) for number in range(trainers)]
        self._devices: dict[int, wire.DeviceFacts] = {}
        self._configuration: wire.Message | None = None
        self._status: int | None = None

    def run(self) -> int:
        """Pass messages until rank 0 says stop; returns the exit status it names."""
        while self._status is None:
            if self._notice is not None:
                self._tell({"kind": "notice", "signal": self._notice})
                self._notice = None
            for key, _ in self._selector.select(self._link.poll_seconds):
                self._hear(key.fileobj)  # type: ignore[arg-type]
            self._pass_on()
            if self.gatherer is not None:
                self.gatherer.tick()
        for trainer in self._trainers:
            trainer.end()
        for trainer in self._trainers:
            trainer.wait(PATIENCE_SECONDS)
        return self._status

    def stop_all(self, status: int) -> None:
        """On rank 0, before `run`: have every rank leave with this status."""
        for rank in range(self._link.ranks):
            self._link.send(rank, {"kind": "stop", "status": status})

    def _start(self, number: int) -> TrainerLink:
        trainer = TrainerLink(number, self._link.local_rank)
        self._selector.register(trainer, selectors.EVENT_READ)
        return trainer

    def _on_notice(self, number: int, _frame: FrameType | None) -> None:
        for notice in NOTICES:
            signal.signal(notice, self._leave_at_once)
        self._notice = number

    def _leave_at_once(self, _number: int, _frame: FrameType | None) -> None:
        self._link.abort(ExitStatus.UNFINISHED)

    def _tell(self, message: wire.Message) -> None:
        self._link.send(RANK_0, message)

    def _pass_on(self) -> None:
        """Everything that came from other ranks, until nothing is left."""
        while messages := self._link.receive():
            for rank, message in messages:
                if message["kind"] in ("configure", "check", "train", "stop"):
                    self._obey(message)
                elif self.gatherer is not None:
                    for receiver, answer in self.gatherer(rank, message):
                        self._link.send(receiver, answer)

    def _obey(self, message: wire.Message) -> None:
        """Do what rank 0 says."""
        match message["kind"]:
            case "stop":
                self._status = message["status"]
            case "configure":
                self._configuration = message
                for trainer in self._trainers:
                    self._configure(trainer)
            case "check":
                self._trainers[message["trainer"]].send(message)
            case "train":
                self._train(self._trainers[message["trainer"]], message)

    def _train(self, trainer: TrainerLink, message: wire.Message) -> None:
        """Give a network to a trainer, or back to rank 0 where the two have crossed.

        A trainer may end while rank 0's answer to its `idle` is under way; the one in its place
        is not ready yet, or has a network already.
        """
        if not trainer.ready or trainer.network is not None:
            self._tell({"kind": "returned", "index": message["index"]})
            return
        trainer.network = message["index"]
        trainer.send(message)

    def _hear(self, trainer: TrainerLink) -> None:
        """Pass on what a trainer says."""
        messages = trainer.receive()
        if messages is None:
            self._replace(trainer)
            return
        for message in messages:
            if message["kind"] == "ready":
                self._on_ready(trainer, message["device"])
                continue
            self._tell({**message, "trainer": trainer.number})
            if message["kind"] in ("finished", "failed"):
                trainer.network = None
            trainer.leaving = message["kind"] == "failed"
            if message["kind"] == "finished":
                self._tell({"kind": "idle", "trainer": trainer.number})

    def _on_ready(self, trainer: TrainerLink, device: wire.DeviceFacts) -> None:
        trainer.ready = True
        if self._configuration is not None:  # one that took the place of another
            self._configure(trainer)
            return
        self._devices[trainer.number] = device
        if len(self._devices) == len(self._trainers):
            devices = [self._devices[number] for number in sorted(self._devices)]
            self._tell({"kind": "hello", "host": platform.node(), "devices": devices})

    def _configure(self, trainer: TrainerLink) -> None:
        if self._configuration is not None:
            trainer.send(self._configuration)
            self._tell({"kind": "idle", "trainer": trainer.number})

    def _replace(self, trainer: TrainerLink) -> None:
        """A trainer has ended: say so, and start another."""
        self._selector.unregister(trainer)
        reason = trainer.how_it_ended()
        if not trainer.leaving:
            message = {"kind": "died", "trainer": trainer.number, "index": trainer.network}
            self._tell({**message, "reason": reason})
        self._trainers[trainer.number] = self._start(trainer.number)
