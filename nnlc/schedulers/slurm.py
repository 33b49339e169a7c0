"""Slurm: sbatch, squeue, scancel and srun, from their manual pages."""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.errors import SchedulerError
from nnlc.schedulers.answers import State, check_answered, check_unread
from nnlc.schedulers.scheduler import Queue, number_of
from nnlc.schedulers.slurm_options import SBATCH, SRUN

if TYPE_CHECKING:
    from nnlc.schedulers.accounting import AccountedRun
    from nnlc.schedulers.job_rules import JobRules

_SUBMITTED = re.compile(
    r"^[ \t]*(?:(\d+)(?:;(\S+))?|Submitted batch job (\d+)(?: on cluster (\S+))?)[ \t]*$",
    re.MULTILINE,
)
_HEADER = re.compile(r"\s*ARRAY_JOB_ID\s")  # of %F, squeue(1)
_TIMES = (
    r"(?P<m>\d{1,9})(:(?P<s>\d{1,9}))?",
    r"(?P<h>\d{1,9}):(?P<m>\d{1,9}):(?P<s>\d{1,9})",
    r"(?P<d>\d{1,9})-(?P<h>\d{1,9})(:(?P<m>\d{1,9})(:(?P<s>\d{1,9}))?)?",
)
_BY_HAND = (
    'give --element, such as --element "$SLURM_ARRAY_TASK_ID" of an array that began at 0, or '
    '--element "$((SLURM_ARRAY_TASK_ID - 1))" of one that began at 1'
)
_CLUSTERS = "SLURM_CLUSTERS"
_NO_ACCOUNTING = "accounting storage is disabled"


class Slurm(Queue):
    """Slurm. A job that is unfinished puts itself into the queue again."""

    name, title = "slurm", "Slurm"
    sentinel, launcher, submit_commands = "#SBATCH", "srun", ("sbatch",)
    directive_options, launcher_options, has_plugins = SBATCH, SRUN, True
    account_option, nodes_option, walltime_option = "account", "nodes", "time"
    queue_options, may_bind_gpus = ("partition", "qos"), True
    version_command = ("sinfo", "--version")
    accounting_gaps = "without slurmdbd, Slurm tells jobs that ended, but not elements of arrays"
    walltime_forms = "Slurm takes M, M:S, H:M:S, D-H, D-H:M and D-H:M:S"
    memory_directive, exclusive_directives = "--mem={}G", ("--exclusive", "--mem=0")
    array_option, array_forms = "array", "it must be as 0-9, 0-9:3 or 1,4%2"
    index_variable, index_expression = "SLURM_ARRAY_TASK_ID", '"$SLURM_ARRAY_TASK_ID"'
    logs, log_index, log_example = ("output", "error"), "%[0-9]*[aj]", "%A_%a"
    early_minutes = 1  # sbatch(1), --signal: "up to 60 seconds earlier"
    over = frozenset(["REVOKED"])  # squeue leaves the others out
    ending = frozenset(["COMPLETING"])
    waiting = frozenset(["PENDING", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"])
    removed_variables = re.compile(
        r"(SBATCH|SQUEUE|SACCT|SCANCEL|SCONTROL|SALLOC|SRUN|SINFO|_?SLURMD?)_"
    )
    kept_variables = frozenset(["SLURM_CONF", "SLURM_CONF_SERVER", _CLUSTERS, "SLURM_JWT"])
    wishes = re.compile(r"(?!SLURM_JOB_)\w+_(ACCOUNT|PARTITION|RESERVATION|QOS|WCKEY|CLUSTERS)$")
    no_answer = re.compile(r"timed out|time out|Zero Bytes were transmitted|not responding", re.I)

    def minutes(self, walltime: str) -> float | None:
        if walltime.upper() in ("UNLIMITED", "INFINITE", "-1"):
            return math.inf
        for form in _TIMES:
            if found := re.fullmatch(form, walltime, re.ASCII):
                parts = {key: int(value) for key, value in found.groupdict(0).items()}
                d, h, m, s = (parts.get(key, 0) for key in "dhms")
                return (d * 24 + h) * 60 + m + math.ceil(s / 60) or math.inf
        return None

    def rules(self) -> "type[JobRules]":
        from nnlc.schedulers.slurm_rules import SlurmRules

        return SlurmRules

    def leaving_out(self, directives: tuple[str, ...], hosts: Sequence[str]) -> tuple[str, ...]:
        if not hosts:
            return directives
        # A line with other options stays: of several --exclude, sbatch takes the last.
        others = (line for line in directives if not _only_leaves_out(line))
        return (*others, f"--exclude={','.join([*self.left_out(directives), *hosts])}")

    def left_out(self, directives: Sequence[str]) -> list[str]:
        options = [each for line in directives for each in SBATCH.read_line(line)[0]]
        return [each.value for each in options if each.name == "exclude" and each.value]

    def seconds_left(self, environment: Mapping[str, str]) -> float | None:
        """Return the seconds until SLURM_JOB_END_TIME, which Slurm 22.05 does not set yet.

        A time in the past comes from the job that submitted this one: sbatch passes variables on.
        """
        try:
            seconds = float(environment["SLURM_JOB_END_TIME"]) - time.time()
        except (KeyError, ValueError):
            return None
        return seconds if 0 < seconds < math.inf else None

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return the element of the task SLURM_ARRAY_TASK_ID.

        An array with as many tasks as elements is complete: its first task is element 0, whatever
        its index. An array with fewer tasks is a part of it, submitted again by hand. Slurm does
        not tell whether the complete array began at 0 or at 1. If the part's indices are possible
        for only one of these, the task's element follows; else it is refused.

        | tasks with --elements 4       | element of a task        |
        | ---                           | ---                      |
        | 0-3, 1-4, 5-8, 0-6:2          | by its place: 0, 1, 2, 3 |
        | 0,2 (0 is no index from 1)    | its index                |
        | 3,4 (4 is no element from 0)  | its index less 1         |
        | 2,3 or 0,4 or 0-4             | refused                  |
        """
        if "SLURM_ARRAY_TASK_ID" not in environment:
            return None
        index = number_of(environment, "SLURM_ARRAY_TASK_ID")
        # Old versions of Slurm set only some of these: by default the array is complete.
        first = number_of(environment, "SLURM_ARRAY_TASK_MIN", 0)
        last = number_of(environment, "SLURM_ARRAY_TASK_MAX", first + elements - 1)
        count = number_of(environment, "SLURM_ARRAY_TASK_COUNT", elements)
        step = number_of(environment, "SLURM_ARRAY_TASK_STEP", 1)
        inside = first <= index <= last and step > 0 and (index - first) % step == 0
        if inside and count == elements and last - first == (elements - 1) * step:
            return (index - first) // step
        from_0, from_1 = last < elements, first >= 1 and last <= elements
        if not inside or count >= elements or not (from_0 or from_1):
            raise ValueError(
                f"task {index} of {count} tasks from {first} to {last} is not in --elements "
                f"{elements}: give the number of tasks of the whole array"
            )
        if from_0 and from_1:
            raise ValueError(
                f"tasks from {first} to {last} are a part of an array of --elements {elements}, "
                f"which may have begun at 0 or at 1: {_BY_HAND}"
            )
        return index if from_0 else index - 1

    def submit(self, script: Path, mark: str, command: str) -> str:
        comment = f"{self._directive(script, 'comment')} {mark}".strip()
        own = {_CLUSTERS} if self._directive(script, "clusters") else set()
        words = (command, "--parsable", f"--comment={comment}", str(script))
        said = self._run(*words, without=own)
        found = (
            _job(answer[1] or answer[3], answer[2] or answer[4] or "")
            for answer in _SUBMITTED.finditer(said)
        )
        return self._one_job(said, found, mark, script)

    def find(self, mark: str, script: Path) -> str | None:
        for clusters in dict.fromkeys([self._directive(script, "clusters"), asked_clusters(), ""]):
            for cluster, line in self._squeue(clusters, [mark], "--me", "--format=%F %k"):
                number, _, about = line.partition(" ")
                if mark in about:
                    return _job(number, cluster)
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        pairs = [_parts(job) for job in jobs]
        for clusters in dict.fromkeys(clusters for _, clusters in pairs):
            numbers = [number for number, place in pairs if place == clusters]
            words = ["--array", f"--jobs={','.join(numbers)}", "--format=%F %T %r"]
            for _, line in self._squeue(clusters, numbers, *words):
                number, _, rest = line.partition(" ")
                state, _, why = rest.partition(" ")
                if (job := _job(number, clusters)) in found and state not in self.over:
                    is_told = state in self.waiting and why != "None"
                    found[job].append(State(state, why if is_told else ""))
        return found

    def cancel(self, job: str) -> None:
        number, clusters = _parts(job)
        where = [f"--clusters={clusters}"] if clusters else []
        gone = ["Invalid job id", "already completing or completed"]
        self._run("scancel", *where, number, without=[_CLUSTERS], gone_is_fine=gone)

    def accounting(self, jobs: Sequence[str]) -> "list[AccountedRun]":
        from nnlc.schedulers.accounting import SACCT_FORMAT, completed_runs, sacct_runs

        pairs = [_parts(job) for job in jobs]
        runs: list[AccountedRun] = []
        for cluster in dict.fromkeys(cluster for _, cluster in pairs):
            where = [f"--clusters={cluster}"] if cluster else []
            ids = ",".join(dict.fromkeys(number for number, place in pairs if place == cluster))
            words = [*where, "--noheader", "--parsable2", f"--format={SACCT_FORMAT}"]
            try:
                every = ["--duplicates", "--allocations"]
                said = self._run("sacct", *every, *words, f"--jobs={ids}", without=[_CLUSTERS])
            except SchedulerError as problem:
                if cluster or _NO_ACCOUNTING not in str(problem):
                    raise
                try:  # where only completions of jobs are recorded, of this cluster
                    words = ["--completion", *words, f"--jobs={ids}"]
                    said = self._run("sacct", *words, without=[_CLUSTERS])
                except SchedulerError:
                    raise problem from None
                runs += completed_runs(said)
            else:
                runs += sacct_runs(said)
        return runs

    def _squeue(
        self, clusters: str, about: Sequence[str], *words: str
    ) -> Iterator[tuple[str, str]]:
        """Yield the cluster and the line of each job that squeue shows, in all partitions.

        Raises:
            SchedulerError: what it says of the jobs or marks in `about` has another form.
        """
        gone = ["Invalid job id"]
        where = f"--clusters={clusters}" if clusters else "--federation"
        words = ("squeue", "--all", where, *words)
        said = self._run(*words, without=[_CLUSTERS], gone_is_fine=gone)
        check_answered("squeue", said, _HEADER, gone)
        cluster = clusters
        for line in said.splitlines():
            if line.startswith("CLUSTER: "):
                cluster = line.removeprefix("CLUSTER: ").strip()
            elif re.match(r"\s*\d+(\s|$)", line):
                yield cluster, line.strip()
            else:
                check_unread("squeue", line, about, gone)


SCHEDULER = Slurm()


def asked_clusters() -> str:
    """Return the clusters that the user's environment names for Slurm's commands; often none."""
    return os.environ.get(_CLUSTERS, "")


def _only_leaves_out(line: str) -> bool:
    """Return True if a directive has --exclude and nothing else."""
    options, others = SBATCH.read_line(line)
    return [each.name for each in options] == ["exclude"] and not others


def _job(number: str, cluster: str) -> str:
    return f"{number};{cluster}" if cluster else number


def _parts(job: str) -> tuple[str, str]:
    number, _, cluster = job.partition(";")
    return number, cluster
