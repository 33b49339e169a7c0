"""The agent of a rank: it passes messages between the rank's trainers and rank 0's gatherer.

An agent never imports torch and never trains, so no failure of a network can crash it.
"""

import contextlib
import os
import selectors
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from nnlc.console import STANDARD_ERROR, say_aside
from nnlc.errors import ExitStatus
from nnlc.ranks.heartbeat import SILENT_SECONDS, Heartbeat
from nnlc.ranks.mpi import Link
from nnlc.ranks.notices import Notices
from nnlc.ranks.preflight import describe_host, node_name
from nnlc.ranks.trainer_link import TrainerLink
from nnlc.system import messages
from nnlc.system.environment import in_words, overruled
from nnlc.system.extras import lacking

if TYPE_CHECKING:
    from nnlc.ranks.gatherer import Gatherer, Outbox

TRAINER_END_SECONDS = 5.0
"""Time that an idle trainer has to end once its input is closed."""
TICK_SECONDS = 0.1
"""Time between two calls of the gatherer's `tick`."""
LONGEST_RESTART_SECONDS = 60.0
"""Longest wait before replacing a trainer that ended without work, as after a disk failure."""
RECORD_SECONDS = 60.0
"""Longest time to record that rank 0 is silent, before the job ends."""
RANK_0 = 0
_FOR_AGENTS = ("count", "configure", "check", "train", "leave", "stop")


class Agent:
    """Event loop of one rank.

    Args:
        link: connection to all ranks.
        trainers: number of trainer processes that the user wants; they start immediately. With
            None one starts, and rank 0 sends the final number later.
        notices: signals that ask this rank to stop.
        without_mps: why the requested Multi-Process Service is unavailable; else None.
        device: the device that the user asked for: "auto", "cpu" or "cuda".

    Attributes:
        gatherer: on rank 0 the handler of all agents' messages, set before `run`; else None.
    """

    def __init__(
        self,
        link: Link,
        trainers: int | None,
        notices: Notices,
        without_mps: str | None = None,
        device: str = "auto",
    ) -> None:
        self._link, self._notices, self._device = link, notices, device
        self._hello = {
            "trainers": trainers,
            "without_mps": without_mps,
            "overruled": in_words(overruled(os.environ)),
        }
        self.gatherer: Gatherer | None = None
        self._next_tick = 0.0
        notices.on_second_signal = self._end_at_once
        others = range(1, link.ranks) if link.rank == RANK_0 else [RANK_0]
        self._heartbeat = Heartbeat(list(others))
        self._selector = selectors.DefaultSelector()
        without_torch = lacking("train", "training networks")
        count = 0 if without_torch else trainers or 1
        self._trainers = {number: self._start(number) for number in range(count)}
        if without_torch:
            self._send_to_gatherer({"kind": "fatal", "message": without_torch})
        self._due: dict[int, float] = {}
        self._deaths: Counter[int] = Counter()
        self._devices: dict[int, messages.DeviceFacts] = {}
        self._configuration: messages.Message | None = None
        self._leaving = False
        self._status: int | None = None

    def run(self) -> int:
        """Pass messages until rank 0 sends "stop"; return the exit status in that message."""
        while self._status is None:
            if name := self._notices.take_signal():
                self._send_to_gatherer({"kind": "notice", "signal": name})
            for key, _ in self._selector.select(self._link.pause()):
                self._read_trainer(key.fileobj)  # type: ignore[arg-type]
            self._handle_received()
            self._tick()
            for trainer in self._trainers.values():
                trainer.kill_if_hung()
            self._start_due()
            self._check_heartbeat()
            self._link.flush()
        self._notices.ignore()
        for trainer in self._trainers.values():
            trainer.end()
        for trainer in self._trainers.values():
            trainer.wait(TRAINER_END_SECONDS)
        return self._status

    def _end_at_once(self) -> None:
        """End the job without saving, after a second signal."""
        words = f"rank {self._link.rank}: a second signal came, so the job ends unsaved\n"
        with contextlib.suppress(OSError):
            os.write(STANDARD_ERROR, words.encode())  # unbuffered: a print may be in progress
        self._link.abort(ExitStatus.UNFINISHED)

    def _tick(self) -> None:
        if self.gatherer is not None and time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK_SECONDS
            self._send_all(self.gatherer.tick())

    def stop_all(self, status: int) -> None:
        """Have every rank end with this exit status; rank 0 calls this before `run`."""
        for rank in range(self._link.ranks):
            self._link.send(rank, {"kind": "stop", "status": status})

    def _start_due(self) -> None:
        """Start additional trainers and replacements of ended trainers when they are due."""
        if self._leaving:
            return
        for number in [n for n, due in self._due.items() if time.monotonic() >= due]:
            del self._due[number]
            self._trainers[number] = self._start(number)

    def _start(self, number: int) -> TrainerLink:
        trainer = TrainerLink(number, self._link.local_rank, self._device)
        self._selector.register(trainer, selectors.EVENT_READ)
        return trainer

    def _send_to_gatherer(self, message: messages.Message) -> None:
        self._link.send(RANK_0, message)

    def _send_all(self, outbox: "Outbox") -> None:
        for rank, message in outbox:
            self._link.send(rank, message)

    def _check_heartbeat(self) -> None:
        """Send heartbeats, and abort the job if another rank has been silent for too long."""
        for rank in self._heartbeat.due():
            self._link.send(rank, {"kind": "alive"})
        if (gone := self._heartbeat.silent_rank()) is not None:
            if self.gatherer is not None:
                self.gatherer.nodes.silent(gone)
            elif self._configuration is not None:
                # The disk may be what rank 0 waits for.
                recording = threading.Thread(target=self._record_silence, daemon=True)
                recording.start()
                recording.join(RECORD_SECONDS)
            say_aside(
                f"error: rank {self._link.rank} has not heard from rank {gone} for "
                f"{SILENT_SECONDS:.0f} s; the job ends: start it again"
            )
            self._link.abort(ExitStatus.UNFINISHED)

    def _record_silence(self) -> None:
        from nnlc.ranks.node_trouble import record_silence  # few jobs need it

        if self._configuration is not None:
            record_silence(self._link.rank, self._configuration)

    def _handle_received(self) -> None:
        """Handle the messages from all ranks, this one included."""
        for rank, received in self._link.receive():
            self._heartbeat.heard(rank)
            for_gatherer = []
            for message in received:
                if message["kind"] in _FOR_AGENTS:
                    self._on_command(message)
                elif message["kind"] != "alive":
                    for_gatherer.append(message)
            if self.gatherer is not None and for_gatherer:
                self._send_all(self.gatherer(rank, *for_gatherer))

    def _on_command(self, message: messages.Message) -> None:
        """Carry out a command of rank 0."""
        match message["kind"]:
            case "stop":
                self._status = message["status"]
            case "leave":
                self._leave()
            case "configure":
                self._configuration = message
                for trainer in self._trainers.values():
                    self._configure(trainer)
                for number in range(len(self._devices), message["trainers"]):
                    self._due[number] = time.monotonic()
            case "count" | "check":
                self._check(message)
            case "train":
                self._train(message)

    def _check(self, message: messages.Message) -> None:
        """Have a trainer count costs or check its images.

        Do nothing if it has ended, which `_on_end` reports.
        """
        trainer = self._trainers.get(message["trainer"])
        if trainer is not None:
            trainer.watchdog.start_begins()
            trainer.send(message)

    def _train(self, message: messages.Message) -> None:
        """Give a network to a trainer, or return it to rank 0 if the trainer can't take it.

        A trainer may end while rank 0's answer to its "idle" is on its way. Its replacement is
        then not ready, or already has a network.
        """
        trainer = self._trainers.get(message["trainer"])
        if self._leaving or trainer is None or not trainer.ready or trainer.network is not None:
            self._send_to_gatherer({"kind": "returned", "index": message["index"]})
            return
        trainer.network = message["index"]
        trainer.watchdog.network_begins(message["hang_seconds"], message["step_seconds"])
        trainer.send(message)

    def _leave(self) -> None:
        """Have every trainer save and end; report to rank 0 once all have ended."""
        self._leaving = True
        for trainer in self._trainers.values():
            trainer.leave()
        self._report_left()

    def _report_left(self) -> None:
        if self._leaving and not self._trainers:
            self._send_to_gatherer({"kind": "left"})

    def _read_trainer(self, trainer: TrainerLink) -> None:
        """Read a trainer's messages: pass rows to rank 0 undecoded, and handle all others."""
        lines = trainer.receive()
        if lines is None:
            self._on_end(trainer)
            return
        for line in lines:
            if messages.is_row(line):
                self._link.send_line(RANK_0, line)
                continue
            for message in messages.decode_all([line]):
                self._on_trainer_message(trainer, message)

    def _on_trainer_message(self, trainer: TrainerLink, message: messages.Message) -> None:
        match message["kind"]:
            case "ready":
                self._on_ready(trainer, message["device"])
            case "alive":
                trainer.watchdog.steps_done()
            case "saving":
                trainer.save_begins()
            case kind:
                self._send_to_gatherer({**message, "trainer": trainer.number})
                if kind in ("saved", "trouble", "finished"):
                    trainer.save_ended()
                if kind in ("finished", "failed", "uncaptured", "checked", "counted"):
                    trainer.has_worked = trainer.has_worked or trainer.network is not None
                    trainer.network = None
                    trainer.watchdog.idle_begins()
                trainer.leaving = kind in ("failed", "uncaptured", "fatal")
                if kind == "finished":
                    self._report_idle(trainer)

    def _on_ready(self, trainer: TrainerLink, device: messages.DeviceFacts) -> None:
        trainer.ready = True
        trainer.watchdog.idle_begins()
        if self._configuration is not None:  # this trainer was started later
            self._configure(trainer)
            return
        self._devices[trainer.number] = device
        if len(self._devices) == (self._hello["trainers"] or 1):
            devices = [self._devices[number] for number in sorted(self._devices)]
            about = {**self._hello, "launcher": self._link.launcher, "devices": devices}
            self._send_to_gatherer({"kind": "hello", **describe_host(), **about})

    def _configure(self, trainer: TrainerLink) -> None:
        if self._configuration is not None:
            trainer.send(self._configuration)
            self._report_idle(trainer)

    def _report_idle(self, trainer: TrainerLink) -> None:
        if self._leaving:
            trainer.end()
        else:
            self._send_to_gatherer({"kind": "idle", "trainer": trainer.number})

    def _on_end(self, trainer: TrainerLink) -> None:
        """Report the end of a trainer and schedule its replacement, unless the rank is leaving.

        The wait before the replacement doubles with each trainer in a row that ended without work.
        """
        self._selector.unregister(trainer)
        reason = trainer.how_it_ended()
        if self._leaving:
            del self._trainers[trainer.number]
            self._report_left()
            return
        if not trainer.leaving:
            message = {"kind": "died", "trainer": trainer.number, "index": trainer.network}
            self._send_to_gatherer({**message, "reason": reason, "node": node_name()})
        del self._trainers[trainer.number]
        worked = trainer.network is not None or trainer.has_worked
        deaths = self._deaths[trainer.number] = 0 if worked else self._deaths[trainer.number] + 1
        self._due[trainer.number] = time.monotonic() + min(2.0**deaths - 1, LONGEST_RESTART_SECONDS)
