"""Checks of `first_gpu.py`: what each gets and returns, and the process that it runs in."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from nnlc.system.messages import end_in_words

CODE = "the code"
"""What to change if neither a site file nor a threshold is wrong."""
START_SECONDS = 60.0
"""Time to start a check's process and to load torch, beside the check's own time."""
END_SECONDS = 10.0
"""Time that the system has to end a process that was killed."""
LAST_LINES = 20
PROCESSES = multiprocessing.get_context("forkserver")


class Verdict(StrEnum):
    """Outcome of a check."""

    RIGHT = "right"
    WRONG = "WRONG"
    UNKNOWN = "not known here"
    IMPOSSIBLE = "not possible here"
    LATE = "too late"


class Problem(NamedTuple):
    """Something wrong, and what to change: a key of a site file, a threshold, or the code."""

    text: str
    change: str = CODE


@dataclass(frozen=True)
class Found:
    """Result of a check."""

    verdict: Verdict
    text: str
    """Figures in words, on one line."""
    problems: Sequence[Problem] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    """All figures, for the JSON file."""


@dataclass(frozen=True)
class Here:
    """Circumstances of a check."""

    folder: Path
    """Folder for results, which later checks compare with."""
    share: float
    """Share of the networks, layers and seconds of a whole run."""
    is_judged: bool = True
    """True if the device computes, so that values can be right or wrong."""
    end: float = float("inf")
    """Time of `time.monotonic` after which the check draws no more samples."""

    def count(self, full: int, least: int = 1) -> int:
        """Return this run's share of a number of samples."""
        return max(least, round(full * self.share))

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end

    def conclude(
        self,
        text: str,
        broken: Sequence[Problem] = (),
        differing: Sequence[Problem] = (),
        **figures: Any,
    ) -> Found:
        """Return a check's result.

        Args:
            text: figures in words.
            broken: problems that don't depend on computed values.
            differing: problems with computed values, which count only if the device computes.
            **figures: figures for the JSON file.
        """
        if problems := [*broken, *(differing if self.is_judged else ())]:
            return Found(Verdict.WRONG, text, problems, figures)
        return Found(Verdict.RIGHT if self.is_judged else Verdict.UNKNOWN, text, (), figures)


def preload(modules: Iterable[str]) -> None:
    """Name the modules that are loaded once, in a process from which all checks are forked.

    None of them uses the GPU when it is loaded: CUDA does not survive a fork.
    """
    PROCESSES.set_forkserver_preload(sorted(modules))


def run_apart(module: str, name: str, here: Here, seconds: float, *, is_last: bool) -> Found:
    """Run a check in a process of its own, which may crash or hang.

    Args:
        module: the module of the check's function.
        name: name of the function, which takes `Here` and returns `Found`.
        here: circumstances.
        seconds: time after which the process and its children are killed.
        is_last: True if the time of the whole run is over then, so that this is no fault.
    """
    receiver, sender = PROCESSES.Pipe(duplex=False)
    log = here.folder / f"{name}.log"
    process = PROCESSES.Process(target=_perform, args=(module, name, here, sender, log))
    process.start()
    sender.close()
    try:
        for patience in (START_SECONDS, seconds):
            if not receiver.poll(patience):
                verdict = Verdict.LATE if is_last else Verdict.WRONG
                text = f"no answer in {patience:.0f} s"
                break
            if found := receiver.recv():
                return found
    except EOFError:
        process.join(END_SECONDS)
        verdict = Verdict.WRONG
        text = end_in_words(process.exitcode or 0).replace("its trainer", "its process")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join(END_SECONDS)
    last = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.exists() else []
    return Found(verdict, text, [Problem(line) for line in last[-1:]], {"log": last})


def _perform(module: str, name: str, here: Here, sender: Connection, log: Path) -> None:
    """Run a check; its children share its process group, so that they can be killed with it."""
    os.setpgid(0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sender.send(None)
    try:
        found = getattr(importlib.import_module(module), name)(here)
    except Exception as problem:
        words = f"{type(problem).__name__}: {str(problem).strip().partition(os.linesep)[0]}"
        lines = traceback.format_exc().splitlines()
        found = Found(
            Verdict.WRONG, words, [Problem("its traceback is in the JSON file")], {"log": lines}
        )
    sender.send(found)
    os._exit(0)  # a device that failed can block Python's usual exit
