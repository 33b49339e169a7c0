"""Checks of whole jobs on a GPU: `python -m nnlc.worker` with one rank, which needs no MPI."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_checks import CODE, Found, Here, Problem, Verdict

from nnlc.errors import ExitStatus
from nnlc.ranks.mps import PROGRAM
from nnlc.results.journal import read_events
from nnlc.results.paths import ResultsPaths

WORKER = ("-m", "nnlc.worker")
FAILING = (str(Path(__file__).with_name("failing_capture.py")),)
"""The worker with trainers of which one fails in a capture."""
FIRST = "smoke-1"
"""Name of the results that others are compared with."""
EPOCHS, FEWEST_EPOCHS = 100, 10
"""Epochs of the networks: enough to interrupt one."""
LEAST_ACCURACY = 60.0
"""Least of the networks' best accuracy in percent; it is 84 for smoke with 5 epochs on CPUs."""
MIDDLE = 0.4
"""Part of a network's seconds, after its set-up, at which it is interrupted."""
BITS = f"{CODE}: the checks of dropout and convolutions name networks and layers"


@dataclass(frozen=True)
class Job:
    """A job of the worker on the campaign smoke, with fewer networks and more epochs."""

    results: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, here: Here, name: str, *words: str, program: Sequence[str] = ()) -> "Job":
        """Start a job; its output goes to a file beside its results."""
        campaign, results = here.folder / "first-gpu.toml", here.folder / name
        campaign.write_text(
            f'extends = "smoke"\nname = "first-gpu"\nepochs = {here.count(EPOCHS, FEWEST_EPOCHS)}\n'
            f"[datasets.F-MNIST-sample]\nnetworks_per_depth = {here.count(2)}\n"
        )
        command = [
            sys.executable,
            *(program or WORKER),
            campaign,
            "--results",
            results,
            "--device",
            "cuda",
        ]
        with results.with_suffix(".txt").open("ab") as log:
            return cls(results, subprocess.Popen([*command, *words], stdout=log, stderr=log))  # noqa: S603

    @property
    def lines(self) -> list[str]:
        """Lines of output."""
        text = self.results.with_suffix(".txt").read_text(errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's events of one kind, of all jobs with these results."""
        folder = ResultsPaths(self.results).journal_folder
        return list(read_events(folder, {kind})) if folder.is_dir() else []

    @property
    def tables(self) -> dict[str, bytes]:
        """Tables by file name."""
        return {path.name: path.read_bytes() for path in self.results.glob("*_models/*.txt")}

    @property
    def without_graphs(self) -> dict[str, str]:
        """Reasons why networks were trained without graphs, by network."""
        return {e["id"]: e["eager_because"] for e in self.events("finish") if "eager_because" in e}

    def wait_for_middle(self, of: "Job", count: int) -> None:
        """Wait until so many networks have begun, and the last of them is half done."""
        while len(begun := self.events("start")) < count and self.process.poll() is None:
            time.sleep(0.02)
        for event in of.events("finish"):
            if begun and event["id"] == begun[-1]["id"]:
                time.sleep(event.get("setup_seconds", 0) + MIDDLE * event["seconds"])

    def problems(self, status: int = ExitStatus.DONE) -> list[Problem]:
        """Return a problem if the job does not end with this status."""
        if (ended := self.process.wait()) == status:
            return []
        last = self.lines[-1] if self.lines else "no output"
        return [Problem(f"{self.results.name} has exit status {ended}, not {status}: {last}")]

    def differing(self, of: "Job") -> list[Problem]:
        """Return a problem if tables differ from those of another job."""
        ours, theirs = self.tables, of.tables
        names = sorted(n for n in ours | theirs if ours.get(n) != theirs.get(n))
        words = f"{self.results.name} has other bytes in {', '.join(names)}"
        return [Problem(words, BITS)] if names else []


def smoke(here: Here) -> Found:
    """Train the same networks in two jobs."""
    broken = list[Problem]()
    for name in (FIRST, "smoke-2"):
        job = Job.start(here, name)
        broken += job.problems()
    first = Job(here.folder / FIRST)
    broken += [Problem(f"{n} without graphs: {why}") for n, why in first.without_graphs.items()]
    differing = job.differing(first)
    # A table ends in the last accuracy.
    best = max((float(table.split()[-1]) for table in first.tables.values()), default=0.0)
    text = (
        f"{len(first.tables)} tables, {'other' if differing else 'the same'} bytes in both jobs, "
        f"{len(first.without_graphs)} networks without graphs, accuracy up to {best:.1f} %"
    )
    if best < LEAST_ACCURACY:
        differing.append(Problem(f"no network learns: accuracy {best:.1f} %"))
    return here.conclude(text, broken, differing, finished=first.events("finish"))


def capture(here: Here) -> Found:
    """Let a capture fail; all networks must have the same bytes."""
    first = _first(here)
    job = Job.start(here, "capture", program=FAILING)
    broken, eager = job.problems(), job.without_graphs
    if len(eager) != 1 and not broken:
        broken.append(Problem(f"{len(eager)} networks were trained without graphs, not 1"))
    text = f"{len(eager)} of {len(job.tables)} networks without graphs: {', '.join(eager.values())}"
    return here.conclude(text, broken, job.differing(first), eager=eager)


def notice(here: Here) -> Found:
    """Interrupt a network in the middle, and start again."""
    first = _first(here)
    job = Job.start(here, "notice")
    job.wait_for_middle(first, 1)
    job.process.send_signal(signal.SIGUSR2)
    ended_before = job.process.wait() == ExitStatus.DONE
    broken = [] if ended_before else job.problems(ExitStatus.UNFINISHED)
    again = Job.start(here, "notice")
    broken += again.problems()
    resumed = [event["half_epoch"] for event in again.events("resume")]
    text = f"{len(resumed)} networks continued, after {resumed} half epochs"
    found = here.conclude(text, broken, again.differing(first), resumed=resumed)
    if found.verdict == Verdict.RIGHT and not resumed:
        return Found(Verdict.UNKNOWN, f"{text}: none was in the middle")
    return found


def neighbours(here: Here) -> Found:
    """Train with two trainers on the GPU, and kill one."""
    return _with_trainers(here, (2,))


def mps(here: Here) -> Found:
    """Train with 1, 2 and 4 trainers under MPS, and kill one of the last."""
    if shutil.which(PROGRAM) is None:
        return Found(Verdict.IMPOSSIBLE, f"{PROGRAM} was not found")
    return _with_trainers(here, (1, 2, 4), "--mps")


def _with_trainers(here: Here, counts: Sequence[int], *words: str) -> Found:
    """Train with several trainers on the GPU; in the last job, one is killed in the middle."""
    first = _first(here)
    broken, differing, seconds = list[Problem](), list[Problem](), dict[int, float]()
    for count in counts:
        begin = time.monotonic()
        job = Job.start(here, f"trainers-{count}{''.join(words)}", "--trainers", f"{count}", *words)
        if count == counts[-1]:
            job.wait_for_middle(first, min(count, len(first.tables)))
            for trainer in _trainers(job.process.pid)[-1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(trainer, signal.SIGKILL)
        broken += job.problems()
        differing += job.differing(first)
        seconds[count] = time.monotonic() - begin
        if without := [line for line in job.lines if "--mps has no effect" in line]:
            return Found(Verdict.IMPOSSIBLE, without[0])
    attempts = job.events("attempt")
    text = ", ".join(f"{count} trainers {taken:.1f} s" for count, taken in seconds.items())
    text = f"{text}; {len(attempts)} networks trained again after a trainer was killed"
    return here.conclude(text, broken, differing, job_seconds=seconds, attempts=attempts)


def _first(here: Here) -> Job:
    """Return the job that others are compared with; run it if no check has done so.

    Raises:
        RuntimeError: it failed.
    """
    job = Job(here.folder / FIRST)
    if not any(end["status"] == ExitStatus.DONE.name for end in job.events("end")):
        job = Job.start(here, FIRST)
        if wrong := job.problems():
            raise RuntimeError(wrong[0].text)
    return job


def _trainers(agent: int) -> list[int]:
    """Return the process IDs of an agent's trainers in the order of their starts: proc(5)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == agent and b"nnlc.training" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)
