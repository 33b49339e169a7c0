"""One attempt at one network: from its checkpoint, if there is one, to its last row or to notice.

Between two steps it looks for the agent's word to leave, saves when a checkpoint is due, and tells
the agent that it lives.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from nnlc.system import messages
from nnlc.tables import Row
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.device_info import forget_peak_memory, peak_memory
from nnlc.training.inbox import Inbox
from nnlc.training.loop import HalfEpochLoop

if TYPE_CHECKING:
    from nnlc.analysis.stopper import Stopper

SIGN_SECONDS = 0.25
"""A sign of life at most so often."""
SAVING_SHARE = 0.01
"""Of the time, at most, goes into checkpoints."""


class Left(Exception):  # noqa: N818  it is no error
    """The agent said to leave; what could be saved is saved."""


class Attempt:
    """Trains a network and tells the agent of it.

    Args:
        index: the network's, for the messages.
        checkpoints: the network's.
        inbox: where the agent's word to leave would come.
        send: takes messages to the agent.
        checkpoint_seconds: at least between two checkpoints.
        stopper: the campaign's stop rule, which has seen nothing yet; None trains to the end.
    """

    def __init__(
        self,
        index: int,
        checkpoints: Checkpoints,
        inbox: Inbox,
        send: Callable[[messages.Message], None],
        *,
        checkpoint_seconds: float,
        stopper: "Stopper | None" = None,
    ) -> None:
        self._index, self._checkpoints, self._inbox = index, checkpoints, inbox
        self._send_message, self._interval = send, checkpoint_seconds
        self._stopper, self._stopper_seconds = stopper, 0.0
        self._loop: HalfEpochLoop | None = None
        self._steps = 0
        self._last_save = 0.0
        self._last_sign = float("-inf")
        self._due = time.monotonic() + checkpoint_seconds

    def run(
        self,
        make_loop: Callable[[Callable[[], None]], HalfEpochLoop],
        device: torch.device,
    ) -> dict[str, Any]:
        """Train to the end, or until the stop rule is content; returns facts for the journal.

        Raises:
            Left: told to leave.
            RuntimeError, MemoryError: what torch says when a network can't be trained.
        """
        forget_peak_memory(device)
        self._checkpoints.clean()
        loop = self._loop = make_loop(self._between_steps)
        self._resume(loop)
        self._leave_if_told()
        rows = iter(loop)
        while not self._is_stopped and (row := next(rows, None)) is not None:
            self._tell(
                "row",
                half_epoch=len(loop.rows),
                values=[row.train_loss, row.val_loss, row.val_accuracy_percent],
                seconds=loop.seconds[-1],
            )
            self._ask_to_stop(row)
        facts: dict[str, Any] = {
            "seconds": round(sum(loop.seconds), 3),
            "half_epoch_seconds": [round(seconds, 3) for seconds in loop.seconds],
            "peak_memory_bytes": peak_memory(device),
        }
        if loop.steps.eager_because is not None:
            facts["eager_because"] = loop.steps.eager_because
        if self._stopper is not None:
            facts["stop"] = self._about_stop(self._stopper)
        return facts

    @property
    def _is_stopped(self) -> bool:
        decision = self._stopper.decision if self._stopper is not None else None
        return decision is not None and decision.stop

    def _ask_to_stop(self, row: Row) -> None:
        """Show the stop rule the next row: what it says is a function of the rows alone."""
        if self._stopper is not None:
            start = time.monotonic()
            self._stopper.add(row)
            self._stopper_seconds += time.monotonic() - start

    def _about_stop(self, stopper: "Stopper") -> dict[str, Any]:
        """What the rule said last; epochs are counted, predictions in percent at the target."""
        decision = stopper.decision
        return {
            "method": stopper.method,
            "target": stopper.target,
            "stopped": self._is_stopped,
            "epoch": decision.epoch if decision else None,
            "predicted": decision.predicted if decision else None,
            "reason": decision.reason if decision else None,
            "seconds": round(self._stopper_seconds, 3),
        }

    def _resume(self, loop: HalfEpochLoop) -> None:
        state, wrong = self._checkpoints.load()
        for path, reason in wrong:
            self._tell("aside", path=str(path), reason=reason)
        if state is None:
            return
        loop.resume(state)
        for count, row in enumerate(loop.rows, 1):
            self._ask_to_stop(row)
            if self._is_stopped:  # on this processor earlier than on the one before
                del loop.rows[count:], loop.seconds[count:]
                break
        rows = [[row.train_loss, row.val_loss, row.val_accuracy_percent] for row in loop.rows]
        self._tell("resumed", rows=rows, step=loop.step)

    def _between_steps(self) -> None:
        self._steps += 1
        self._leave_if_told()
        now = time.monotonic()
        if now - self._last_sign >= SIGN_SECONDS:
            self._last_sign = now
            self._tell("alive", steps=self._steps)
        if now >= self._due:
            self._save()

    def _leave_if_told(self) -> None:
        message = self._inbox.look()
        if message is not None and message["kind"] == "save":
            self._save()
            raise Left

    def _save(self) -> None:
        """Save; what the file system refuses costs time at most, so the training goes on."""
        loop = self._loop
        if loop is None or not self._steps:
            return  # there is nothing that isn't saved already
        start = time.monotonic()
        self._tell("saving")
        try:
            size = self._checkpoints.save(loop.state())
        except OSError as problem:
            where = problem.filename or "checkpoints"
            self._tell("trouble", reason=f"{where}: no checkpoint saved: {problem.strerror}")
            size = 0
        seconds = time.monotonic() - start
        # One that failed says nothing of the next; nor does one alone that a disk has held up.
        usual = min(seconds, self._last_save or seconds) if size else 0.0
        self._last_save = seconds if size else self._last_save
        self._due = start + max(self._interval, usual / SAVING_SHARE)
        if size:
            self._tell(
                "saved",
                half_epoch=len(loop.rows),
                step=loop.step,
                seconds=round(seconds, 3),
                bytes=size,
            )

    def _tell(self, kind: str, **facts: Any) -> None:
        self._send_message({"kind": kind, "index": self._index, **facts})
