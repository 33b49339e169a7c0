"""Trainer process that trains networks again and keeps no files.

It starts with the same environment as a job's trainer (`nnlc.ranks.trainer_link`), so that the same
variables are set before torch loads, and it runs the same loop. It gets a temporary folder for
checkpoints, but writes none.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from nnlc.campaign.campaign import Campaign
from nnlc.errors import NnlcError
from nnlc.networks import ImageSet, Specification
from nnlc.system import messages
from nnlc.system.environment import trainer_environment
from nnlc.system.extras import require_extra
from nnlc.tables import Row
from nnlc.verification.differences import Circumstances, present_circumstances

COMMAND: tuple[str, ...] = (sys.executable, "-m", "nnlc.training", "nnlc.training.trainer", "0")
"""Command that starts a trainer; tests replace it."""
_NEVER_MINUTES = 1_000_000.0
_PATIENCE_SECONDS = 10.0


class TrainingFailed(Exception):  # noqa: N818  the outcome of a training
    """Training that failed, with the reason. The process can't be used any more."""


class StepsUncaptured(TrainingFailed):
    """Training that failed since its steps can't be captured in CUDA graphs."""


class TrainingProcess:
    """Trainer of one campaign's networks on one device; close it after use.

    Args:
        campaign: campaign whose training settings and images are used.
        images_root: the folder of staged images.
        device: "cpu" or "cuda"; without a visible GPU, the processor is used for "cuda" too.
        threads: number of threads.

    Raises:
        NnlcError: torch is not installed, or the process did not start.
    """

    def __init__(self, campaign: Campaign, images_root: Path, device: str, threads: int) -> None:
        require_extra("train", "training again, or reading checkpoints,")
        self._folder = TemporaryDirectory(prefix="nnlc-verify-")
        # Ctrl-C goes to all processes of a terminal; this one ends the trainer.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(  # noqa: S603  (no word from a user)
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=trainer_environment(os.environ, device),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        self._incoming = self._messages()
        try:
            gpus = self._expect("ready")["device"]["gpus"]
            self.device = device if gpus else "cpu"
            self._configure(campaign, images_root, threads)
            self._send({"kind": "circumstances"})
            self.circumstances: Circumstances = present_circumstances(self._expect("circumstances"))
        except TrainingFailed as problem:
            self.close()
            raise NnlcError(f"no trainer could be started: {problem}") from None
        except BaseException:
            self.close()
            raise

    def train(
        self, spec: Specification, images: ImageSet, half_epochs: int, *, graphs: bool = True
    ) -> Iterator[Row]:
        """Yield the first rows of a network's curve as they are trained, by default with graphs.

        Raises:
            TrainingFailed: the training failed, or the process ended.
            NnlcError: the trainer reports an error that the user must correct.
        """
        self._send(
            {
                "kind": "train",
                "index": 0,
                "spec": spec.to_json(),
                "image_set": asdict(images),
                "epochs": half_epochs / 2,
                "graphs": graphs,
            }
        )
        for _ in range(half_epochs):
            yield Row(*self._expect("row")["values"])
        self._expect("finished")

    def look_at(self, networks: list[messages.Message], folder: Path) -> messages.Message:
        """Return which networks continue from the checkpoints in a folder (`nnlc.system.messages`).

        Raises:
            TrainingFailed: the process has ended.
        """
        self._send({"kind": "checkpoints", "networks": networks, "folder": str(folder.absolute())})
        return self._expect("checkpoints")

    @property
    def closed(self) -> bool:
        """True if the process has ended."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the process, and remove its temporary folder."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[bytes], pipe).close()
        self._folder.cleanup()

    def _configure(self, campaign: Campaign, images_root: Path, threads: int) -> None:
        run = campaign.run.model_copy(update={"checkpoint_minutes": _NEVER_MINUTES})
        self._send(
            {
                "kind": "configure",
                "campaign": campaign.model_copy(update={"run": run}).dump("json"),
                "images": str(images_root.absolute()),
                "checkpoints": self._folder.name,
                "device": self.device,
                "threads": threads,
            }
        )

    def _send(self, message: messages.Message) -> None:
        try:
            cast(IO[bytes], self._process.stdin).write(messages.encode(message))
        except BrokenPipeError:
            raise TrainingFailed(self._end_in_words()) from None

    def _expect(self, kind: str) -> messages.Message:
        """Return the next message of a kind; other messages before it are skipped."""
        for message in self._incoming:
            match message["kind"]:
                case found if found == kind:
                    return message
                case "uncaptured":
                    raise StepsUncaptured(message["reason"])
                case "failed":
                    raise TrainingFailed(message["reason"])
                case "fatal":
                    raise NnlcError(message["message"])
        raise TrainingFailed(self._end_in_words())

    def _messages(self) -> Iterator[messages.Message]:
        buffer = messages.LineBuffer()
        while data := os.read(cast(IO[bytes], self._process.stdout).fileno(), 1 << 16):
            yield from messages.decode_all(buffer.feed(data))

    def _end_in_words(self) -> str:
        try:
            return messages.end_in_words(self._process.wait(_PATIENCE_SECONDS))
        except subprocess.TimeoutExpired:
            return "its trainer closed its output"
