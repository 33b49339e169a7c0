"""Slurm and LSF as their users meet them: submit a script, look into the queue, cancel.

A job is named as `sbatch --parsable` names it: by its ID, or ID;CLUSTER where it is not on this
machine's own cluster.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.launching.commands import run_command
from nnlc.launching.script import Script
from nnlc.launching.site import Site
from nnlc.system.files import read_regular

SUBMITTED_BY_LSF = re.compile(r"Job <(\d+)(?:\[[^]>]*\])?> is submitted")
_SUBMITTED_BY_SLURM = re.compile(
    r"^[ \t]*(?:(\d+)(?:;(\S+))?|Submitted batch job (\d+)(?: on cluster (\S+))?)[ \t]*$",
    re.MULTILINE,
)


class Scheduler(ABC):
    """A scheduler's commands on this machine."""

    name: str
    over: frozenset[str]
    """States of a job that has ended, or goes on in another queue."""
    ending: frozenset[str] = frozenset()
    """States of a job that was ended and that the queue still shows for a while."""

    @abstractmethod
    def submit(self, script: Path, mark: str) -> str:
        """Put a script into the queue; returns the job.

        Args:
            script: the job script.
            mark: a word that the queue keeps with the job, to find it again, behind what the
                script itself has it keep.

        Raises:
            SchedulerError: it is absent or refuses; nothing was submitted.
            UnansweredError: nobody knows whether it was.
        """

    @abstractmethod
    def find(self, mark: str, script: Path) -> str | None:
        """Return the job with this mark, made of this script, while the queue knows it."""

    @abstractmethod
    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        """Return by job the state of each element that is in the queue, or of the job itself."""

    @abstractmethod
    def cancel(self, job: str) -> None:
        """End a job, all elements of it; one that is gone is no error."""

    def _asked(self, script: Path, name: str) -> str:
        """Return the value of a script's own directive; nothing where it or the script lacks."""
        try:
            text = read_regular(script).decode(errors="replace")
        except OSError:
            return ""
        option = Script(text, self.name.lower()).option(name)
        return (option and option.value) or ""

    def _submitted(self, said: str, jobs: Iterable[str], mark: str, script: Path) -> str:
        """Return the one job that an answer names, else the one that the queue knows by its mark.

        Raises:
            UnansweredError: there is none.
        """
        named = set(jobs)
        try:
            job = named.pop() if len(named) == 1 else self.find(mark, script)
        except SchedulerError:  # it can't be looked up now
            job = None
        if job is None:
            raise UnansweredError(f"{self.name} said {said.strip()!r}, which names no job")
        return job


class Slurm(Scheduler):
    """sbatch, squeue and scancel."""

    name = "Slurm"
    over = frozenset(["REVOKED"])  # squeue leaves the others out
    ending = frozenset(["COMPLETING"])

    def submit(self, script: Path, mark: str) -> str:
        comment = f"{self._asked(script, 'comment')} {mark}".strip()
        words = ["sbatch", "--parsable", f"--comment={comment}", str(script)]
        said = run_command(words, self.name, own_cluster=bool(self._asked(script, "clusters")))
        found = (
            _job(answer[1] or answer[3], answer[2] or answer[4] or "")
            for answer in _SUBMITTED_BY_SLURM.finditer(said)
        )
        return self._submitted(said, found, mark, script)

    def find(self, mark: str, script: Path) -> str | None:
        for clusters in dict.fromkeys([self._asked(script, "clusters"), asked_clusters(), ""]):
            for cluster, line in self._squeue(clusters, "--me", "--format=%F %k"):
                number, _, about = line.partition(" ")
                if mark in about:
                    return _job(number, cluster)
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        pairs = [_parts(job) for job in jobs]
        for clusters in dict.fromkeys(clusters for _, clusters in pairs):
            numbers = ",".join(number for number, place in pairs if place == clusters)
            words = ["--array", f"--jobs={numbers}", "--format=%F %T"]
            for _, line in self._squeue(clusters, *words):
                number, _, state = line.partition(" ")
                if (job := _job(number, clusters)) in found and state not in self.over:
                    found[job].append(state)
        return found

    def cancel(self, job: str) -> None:
        number, clusters = _parts(job)
        where = [f"--clusters={clusters}"] if clusters else []
        gone = ["Invalid job id", "already completing or completed"]
        run_command(["scancel", *where, number], self.name, own_cluster=True, gone_is_fine=gone)

    def _squeue(self, clusters: str, *words: str) -> Iterator[tuple[str, str]]:
        """Ask for jobs in all partitions; returns their lines, each with the cluster it is on."""
        where = f"--clusters={clusters}" if clusters else "--federation"
        words = ("squeue", "--all", where, *words)
        cluster = clusters
        for line in run_command(
            words, self.name, own_cluster=True, gone_is_fine=["Invalid job id"]
        ).splitlines():
            if line.startswith("CLUSTER: "):
                cluster = line.removeprefix("CLUSTER: ").strip()
            else:
                yield cluster, line.strip()


class Lsf(Scheduler):
    """bsub, bjobs and bkill."""

    name = "LSF"
    over = frozenset(["DONE", "EXIT", "POST_DONE", "POST_ERR"])

    def __init__(self, *, reads_input: bool) -> None:
        self._reads_input = reads_input

    def submit(self, script: Path, mark: str) -> str:
        about = f"{self._asked(script, 'Jd')} {mark}".strip()
        words = ["bsub", "-Jd", about, *([] if self._reads_input else [str(script)])]
        said = run_command(words, self.name, script=script if self._reads_input else None)
        return self._submitted(said, SUBMITTED_BY_LSF.findall(said), mark, script)

    def find(self, mark: str, script: Path) -> str | None:  # noqa: ARG002  it has one queue
        for number, about in self._bjobs("jobid job_description delimiter='|'", "|"):
            if mark in about:
                return number
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        for number, state in self._bjobs("jobid stat", " ", "-a", *jobs) if jobs else ():
            if number in found and state not in self.over:
                found[number].append(state)
        return found

    def cancel(self, job: str) -> None:
        gone = ["is not found", "already finished", "No matching job found"]
        run_command(["bkill", job], self.name, gone_is_fine=gone)

    def _bjobs(self, form: str, separator: str, *words: str) -> Iterator[tuple[str, str]]:
        """Ask for jobs; returns the ID of each, without the index of an element, and the rest."""
        said = run_command(
            ["bjobs", "-noheader", *words[:1], "-o", form, *words[1:]],
            self.name,
            gone_is_fine=["No unfinished job", "No job found", "is not found"],
        )
        for line in said.splitlines():
            name, _, rest = line.strip().partition(separator)
            if number := re.match(r"\d+", name):
                yield number[0], rest.strip()


def asked_clusters() -> str:
    """Return the clusters that the user's environment names for Slurm's commands; often none."""
    return os.environ.get("SLURM_CLUSTERS", "")


def _job(number: str, cluster: str) -> str:
    return f"{number};{cluster}" if cluster else number


def _parts(job: str) -> tuple[str, str]:
    number, _, cluster = job.partition(";")
    return number, cluster


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
