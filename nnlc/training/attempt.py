"""One attempt to train a network: from its checkpoint, if any, to its last row or an interruption.

Between two steps, an attempt checks for the agent's message to save and end, saves a checkpoint if
one is due, and sends the agent a heartbeat.
"""

import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from nnlc.errors import FamilyError, NnlcError
from nnlc.families.own_code import has_own_line, what_was_raised
from nnlc.system import messages
from nnlc.tables import Row
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.device_info import peak_memory, peak_reserved_memory, reset_peak_memory
from nnlc.training.inbox import Inbox
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.training_steps import UncapturedError

if TYPE_CHECKING:
    from nnlc.analysis.stopper import Stopper
    from nnlc.training.kept_weights import KeptWeights

HEARTBEAT_SECONDS = 0.25
"""Minimum time between two heartbeats."""
SAVING_SHARE = 0.01
"""Maximum share of the time that is spent on saving checkpoints."""


class Interrupted(Exception):  # noqa: N818  it is no error
    """End of an attempt on the agent's order; a checkpoint is saved, if possible."""


class Attempt:
    """Training of one network that reports to the agent.

    Args:
        index: the network's index in the campaign, for the messages.
        checkpoints: the network's checkpoints.
        inbox: the pipe on which the agent may send "save".
        send: sends a message to the agent.
        checkpoint_seconds: minimum time between two checkpoints.
        began: time at which the attempt began, before its images were loaded; default: now.
        stopper: the campaign's stop rule, before its first row; None trains all epochs.
        kept: the network's kept weights; None if there is no place for them.
    """

    def __init__(
        self,
        index: int,
        checkpoints: Checkpoints,
        inbox: Inbox,
        send: Callable[[messages.Message], None],
        *,
        checkpoint_seconds: float,
        began: float | None = None,
        stopper: "Stopper | None" = None,
        kept: "KeptWeights | None" = None,
    ) -> None:
        self._kept, self._is_cut = kept, False
        self._index, self._checkpoints, self._inbox = index, checkpoints, inbox
        self._send_message, self._interval = send, checkpoint_seconds
        self._stopper, self._stopper_seconds = stopper, 0.0
        self._loop: HalfEpochLoop | None = None
        self._steps = 0
        self._began = self._ready = time.monotonic() if began is None else began
        self._last_save = 0.0
        self._last_heartbeat = float("-inf")
        self._due = time.monotonic() + checkpoint_seconds

    def run(
        self,
        make_loop: Callable[[Callable[[], None]], HalfEpochLoop],
        device: torch.device,
    ) -> dict[str, Any]:
        """Train to the last epoch, or until the stop rule stops; return values for the journal.

        Args:
            make_loop: makes the network's loop, given a function to call between steps.
            device: the device that trains.

        Raises:
            Interrupted: the agent has told the trainer to end.
            UncapturedError: the network's steps can't be captured.
            RuntimeError, MemoryError: torch can't train the network.
        """
        reset_peak_memory(device)
        self._checkpoints.clean()
        loop = self._loop = make_loop(self._between_steps)
        self._resume(loop)
        self._raise_if_told_to_save()
        self._ready = time.monotonic()
        rows = iter(loop)
        while not self._is_stopped and (row := next(rows, None)) is not None:
            self._tell(
                "row",
                half_epoch=len(loop.rows),
                values=[row.train_loss, row.val_loss, row.val_accuracy_percent],
                seconds=loop.seconds[-1],
            )
            self._add_to_stop_rule(row)
            if self._kept is not None:
                self._kept.add_row(loop)
        self._keep_weights(loop)
        facts: dict[str, Any] = {
            "seconds": round(sum(loop.seconds), 3),
            "setup_seconds": self._setup_seconds(loop),
            "half_epoch_seconds": [round(seconds, 3) for seconds in loop.seconds],
            "half_epoch_train_correct": loop.train_correct,
            "half_epoch_train_images": loop.train_images,
            "peak_memory_bytes": peak_memory(device),
        }
        if device.type == "cuda":
            facts["peak_reserved_bytes"] = peak_reserved_memory(device)
        if self._stopper is not None:
            facts["stop"] = self._stop_facts(self._stopper)
        return facts

    def _setup_seconds(self, loop: HalfEpochLoop) -> float:
        """Return the set-up time (`nnlc.networks.setup_time`), as far as it is known."""
        return round(self._ready - self._began + (loop.setup_seconds or 0.0), 3)

    @property
    def _is_stopped(self) -> bool:
        decision = self._stopper.decision if self._stopper is not None else None
        return decision is not None and decision.stop

    def _add_to_stop_rule(self, row: Row) -> None:
        """Add a row to the stop rule, whose decision depends on the rows alone."""
        if self._stopper is not None:
            start = time.monotonic()
            self._stopper.add(row)
            self._stopper_seconds += time.monotonic() - start

    def _stop_facts(self, stopper: "Stopper") -> dict[str, Any]:
        """Return the stop rule's last decision, with predicted accuracies in percent."""
        decision = stopper.decision
        return {
            "method": stopper.method,
            "target": stopper.target,
            "stopped": self._is_stopped,
            **{key: getattr(decision, key, None) for key in ("epoch", "predicted", "reason")},
            "seconds": round(self._stopper_seconds, 3),
        }

    def _resume(self, loop: HalfEpochLoop) -> None:
        state, wrong = self._checkpoints.load()
        for path, reason in wrong:
            self._tell("aside", path=str(path), reason=reason)
        if self._kept is not None:
            done = 0 if state is None else len(state["rows"])
            kept, reason = self._kept.load(done, round(2 * loop.epochs))
            if reason:
                self._tell("aside", path=str(self._kept.path), reason=reason)
            state = kept or state
        if state is None:
            return
        loop.resume(state)
        if self._kept is not None:
            self._kept.resume(state)
        for count, row in enumerate(loop.rows, 1):
            self._add_to_stop_rule(row)
            if self._is_stopped:  # here the rule stops earlier than where the checkpoint was saved
                self._is_cut = count < len(loop.rows)
                del loop.rows[count:], loop.seconds[count:], loop.train_correct[count:]
                break
        rows = [[row.train_loss, row.val_loss, row.val_accuracy_percent] for row in loop.rows]
        self._tell("resumed", rows=rows, step=loop.step, seconds_a_half_epoch=_pace(loop))

    def _keep_weights(self, loop: HalfEpochLoop) -> None:
        """Write the weights that the campaign keeps. If that fails, tell the agent why."""
        if self._kept is None or self._kept.keep == "none":
            return
        self._tell("saving")
        try:
            self._kept.write(loop, is_cut=self._is_cut)
        except (OSError, MemoryError, NnlcError) as problem:
            why = getattr(problem, "strerror", None) or problem
            self._tell("trouble", reason=f"{self._kept.path}: no weights kept: {why}")

    def _between_steps(self) -> None:
        self._steps += 1
        self._raise_if_told_to_save()
        now = time.monotonic()
        if now - self._last_heartbeat >= HEARTBEAT_SECONDS:
            self._last_heartbeat = now
            self._tell("alive", steps=self._steps)
        if now >= self._due:
            self._save()

    def _raise_if_told_to_save(self) -> None:
        message = self._inbox.poll()
        if message is not None and message["kind"] == "save":
            self._save()
            raise Interrupted

    def _save(self) -> None:
        """Save a checkpoint. If the file system refuses, tell the agent and continue."""
        loop = self._loop
        if loop is None or not self._steps:
            return  # no step has been made since the last checkpoint was loaded
        start = time.monotonic()
        self._tell("saving")
        try:
            state = loop.state()
            size = self._checkpoints.save(self._kept.state(state) if self._kept else state)
        except OSError as problem:
            where = problem.filename or "checkpoints"
            self._tell("trouble", reason=f"{where}: no checkpoint saved: {problem.strerror}")
            size = 0
        seconds = time.monotonic() - start
        # The shorter of the last two saves: a save that failed or was delayed is no estimate.
        usual = min(seconds, self._last_save or seconds) if size else 0.0
        self._last_save = seconds if size else self._last_save
        self._due = start + max(self._interval, usual / SAVING_SHARE)
        if size:
            self._tell(
                "saved",
                half_epoch=len(loop.rows),
                step=loop.step,
                seconds_a_half_epoch=_pace(loop),
                setup_seconds=self._setup_seconds(loop),
                seconds=round(seconds, 3),
                bytes=size,
            )

    def _tell(self, kind: str, **facts: Any) -> None:
        self._send_message({"kind": kind, "index": self._index, **facts})


def _pace(loop: HalfEpochLoop) -> float | None:
    """Return the mean seconds of the half epochs so far; None before the first is done."""
    return round(sum(loop.seconds) / len(loop.seconds), 3) if loop.seconds else None


def failure_message(index: int, problem: Exception, family: object = None) -> messages.Message:
    """Return a trainer's last message, on why it could not train a network.

    The reason names file and line of a user's own family, whose modules may raise anything; other
    exceptions that nobody expects come with a traceback.

    Args:
        index: the network's index.
        problem: the exception that ended the training.
        family: the family with its settings, if it is the user's own.
    """
    if isinstance(problem, UncapturedError):
        return {"kind": "uncaptured", "index": index, "reason": str(problem)}
    failed: messages.Message = {"kind": "failed", "index": index}
    failed["reason"] = failure_reason(problem)
    if isinstance(problem, FamilyError):
        failed["of_family"] = True
    elif family is not None and not is_out_of_memory(problem) and has_own_line(family, problem):
        failed["reason"] = f"its module raised {what_was_raised(family, problem)}"
    elif not isinstance(problem, RuntimeError | MemoryError | OSError | NnlcError):
        failed["traceback"] = "".join(traceback.format_exception(problem)).rstrip()
    return failed


def failure_reason(problem: Exception) -> str:
    """Return one line on why a network could not be trained."""
    first_line = str(problem).strip().split("\n")[0]
    if is_out_of_memory(problem):
        return f"out of memory: {first_line}"
    if isinstance(problem, FamilyError):
        return first_line
    return f"{type(problem).__name__}: {first_line}"


def is_out_of_memory(problem: Exception) -> bool:
    """Return True if torch or Python could not allocate memory."""
    return isinstance(problem, torch.cuda.OutOfMemoryError | MemoryError) or (
        "can't allocate memory" in str(problem).strip().split("\n")[0]
    )
