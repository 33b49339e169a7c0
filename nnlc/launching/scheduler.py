"""Slurm and LSF as their users meet them: submit a script, look into the queue, cancel.

Every call has an end: a scheduler that does not answer is an error with what to do about it.
"""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.launching.site import Site

ANSWER_SECONDS = 60.0
"""For a scheduler to answer; busy ones take their time."""


class Scheduler(ABC):
    """A scheduler's commands on this machine."""

    name: str

    @abstractmethod
    def submit(self, script: Path, mark: str) -> str:
        """Put a script into the queue; returns the job's ID.

        Args:
            script: the job script.
            mark: a word that the queue keeps with the job, to find it again.

        Raises:
            SchedulerError: it is absent or refuses; nothing was submitted.
            UnansweredError: nobody knows whether it was.
        """

    @abstractmethod
    def find(self, mark: str) -> str | None:
        """The ID of the job with this mark, while the queue knows it."""

    @abstractmethod
    def states(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """By ID, the state of each element that the queue knows, or of the job itself."""

    @abstractmethod
    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs, all elements of them; those that are gone are no error."""

    def _ask(self, words: Sequence[str], *, gone_is_fine: Iterable[str] = ()) -> str:
        if shutil.which(words[0]) is None:
            raise SchedulerError(
                f"{words[0]}: not found on this machine; run this where {self.name}'s commands are"
            )
        try:
            done = subprocess.run(  # noqa: S603  a list, no shell
                list(words),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnansweredError(
                f"{words[0]} did not answer within {ANSWER_SECONDS:.0f} s"
            ) from None
        said = f"{done.stdout}{done.stderr}"
        if done.returncode and not any(word in said for word in gone_is_fine):
            raise SchedulerError(f"{words[0]} refused: {said.strip() or 'it said nothing'}")
        return done.stdout


class Slurm(Scheduler):
    """sbatch, squeue and scancel."""

    name = "Slurm"

    def submit(self, script: Path, mark: str) -> str:
        said = self._ask(["sbatch", "--parsable", f"--comment={mark}", str(script)])
        # ID, or ID;CLUSTER in a federation; a site's own words may come before.
        found = re.search(r"^(\d+)(?:;\S+)?$", said, re.MULTILINE)
        if not found:
            raise UnansweredError(f"sbatch said {said.strip()!r}, which names no job")
        return found[1]

    def find(self, mark: str) -> str | None:
        lines = self._ask(["squeue", "--noheader", "--me", "--format=%F %k"]).splitlines()
        return _with_mark(lines, " ", mark)

    def states(self, ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in ids}
        if not ids:
            return found
        words = ["squeue", "--noheader", "--array", f"--jobs={','.join(ids)}", "--format=%F %T"]
        for line in self._ask(words, gone_is_fine=["Invalid job id"]).splitlines():
            job, _, state = line.strip().partition(" ")
            if job in found:
                found[job].append(state)
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        for job in ids:
            self._ask(["scancel", job], gone_is_fine=["Invalid job id"])


class Lsf(Scheduler):
    """bsub, bjobs and bkill."""

    name = "LSF"

    def __init__(self, *, reads_input: bool) -> None:
        self._reads_input = reads_input

    def submit(self, script: Path, mark: str) -> str:
        words = ["bsub", "-Jd", mark, str(script)]
        if self._reads_input:
            words = ["bash", "-c", 'bsub -Jd "$1" < "$2"', "bsub", mark, str(script)]
        said = self._ask(words)
        found = re.search(r"Job <(\d+)> is submitted", said)
        if not found:
            raise UnansweredError(f"bsub said {said.strip()!r}, which names no job")
        return found[1]

    def find(self, mark: str) -> str | None:
        words = ["bjobs", "-noheader", "-o", "jobid job_description delimiter='|'"]
        lines = self._ask(words, gone_is_fine=["No unfinished job"]).splitlines()
        return _with_mark(lines, "|", mark)

    def states(self, ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in ids}
        if not ids:
            return found
        words = ["bjobs", "-noheader", "-a", "-o", "jobid stat", *ids]
        for line in self._ask(words, gone_is_fine=["is not found"]).splitlines():
            job, _, state = line.strip().partition(" ")
            if job in found and state.strip() not in ("DONE", "EXIT"):
                found[job].append(state.strip())
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        for job in ids:
            self._ask(["bkill", job], gone_is_fine=["is not found", "already finished"])


def _with_mark(lines: list[str], separator: str, mark: str) -> str | None:
    pairs = (line.strip().partition(separator) for line in lines)
    return next((job for job, _, about in pairs if about.strip() == mark), None)


def scheduler_of(site: Site) -> Scheduler:
    """The scheduler of a site.

    Raises:
        SchedulerError: it has none.
    """
    if site.scheduler == "local":
        raise SchedulerError(
            f"the site {site.name} has no scheduler: run the script that 'nnlc render' writes "
            "with bash"
        )
    return scheduler_named(site.scheduler, reads_input=site.submit.endswith("<"))


def scheduler_named(name: str, *, reads_input: bool = False) -> Scheduler:
    """The scheduler with this name in a site file: slurm or lsf."""
    return Lsf(reads_input=reads_input) if name == "lsf" else Slurm()
