"""Answers of the schedulers' accounting commands: how long each job ran, on how many nodes."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nnlc.schedulers.answers import unreadable


@dataclass(frozen=True, slots=True)
class AccountedRun:
    """One run of a job or of an array's element; a job that was requeued has several."""

    job: str
    """ID as the job's own script knows it."""
    began: float
    """Time of its start, in seconds since 1970."""
    seconds: float
    nodes: int
    gpus: int | None
    """GPUs of all nodes; None if the scheduler does not say."""
    state: str


_WHEN = r"^(\w{3} \w{3} +\d+ [\d:]{8})(?: (\d{4}))?: "
_DISPATCHED = re.compile(
    _WHEN + r".*?[Dd]ispatched (?:\d+ Task\(s\) on Host\(s\)|to(?: \d+ Hosts/Processors)?) "
    r"((?:<[^>]+>\s*)+)",
    re.MULTILINE,
)
_TIMES = re.compile(r"^ *CPU_T +WAIT +TURNAROUND.*\n *[\d.]+ +(\d+) +(\d+) +(\w+)", re.MULTILINE)
SACCT_FORMAT = "JobID,NNodes,State,Start,ElapsedRaw,AllocTRES"


def sacct_runs(said: str) -> Iterator[AccountedRun]:
    """Yield the runs in the answer of sacct --parsable2 with `SACCT_FORMAT`, from sacct(1).

    Raises:
        SchedulerError: the answer has another form.
    """
    understood = False
    for line in said.splitlines():
        job, *fields = line.split("|")
        if len(fields) != 5 or not re.fullmatch(r"\d+(_\d+)?", job):
            # A step, or what waits of an array, such as 8_[4-9%2].
            understood |= bool(re.match(r"\d[^|\s]*\|", line)) and len(fields) == 5
            continue
        nodes, state, start, elapsed, tres = fields
        began = _local_time(start, "%Y-%m-%dT%H:%M:%S")
        if began is None:  # it waits: Unknown or None
            understood |= start in ("Unknown", "None", "")
        elif nodes.isdigit() and elapsed.isdigit():
            understood = True
            words = state.partition(" ")[0]
            yield AccountedRun(job, began, int(elapsed), int(nodes), _slurm_gpus(tres), words)
    if not understood and "|" in said:
        raise unreadable("sacct", said)


def _slurm_gpus(tres: str) -> int | None:
    """Return the GPUs in a list of resources: of all types, or if only types are there, their sum.

    slurm.conf(5), AccountingStorageTRES, decides which are there.
    """
    counts = {kind: int(count) for kind, count in re.findall(r"gres/gpu(:[^=,]+)?=(\d+)", tres)}
    return counts.get("", sum(counts.values())) if counts else None


def completed_runs(said: str) -> Iterator[AccountedRun]:
    """Yield the runs in the answer of sacct --completion, where Slurm records only ends of jobs.

    Slurm 22.05 records a job that is requeued as pending, and one that is cancelled while it waits
    without nodes. It gives an element of an array a number of its own, except the last, which gets
    the array's; sacct does not know these words of its file, and complains of them.

    Raises:
        SchedulerError: the answer has another form.
    """
    arrays = re.findall(r"Unknown type ArrayJobId: (\d+)", said)
    for run in sacct_runs(said):
        if run.nodes and run.job not in arrays:
            yield replace(run, state="REQUEUED") if run.state == "PENDING" else run


def bacct_runs(said: str) -> Iterator[AccountedRun]:
    """Yield the runs in the answer of bacct -UF -l, from its manual page: one a job that ended.

    Raises:
        SchedulerError: the answer has another form.
    """
    found = False
    for about in re.split(r"^(?=Job <\d)", said, flags=re.MULTILINE):
        job = re.match(r"Job <(\d+(?:\[\d+\])?)>", about)
        if job is None:
            continue
        started, times = _DISPATCHED.search(about), _TIMES.search(about)
        if started is None or times is None:
            found |= started is None and times is not None  # it ended before it began
            continue
        began = _lsf_time(started[1], started[2])
        nodes = _lsf_nodes(re.findall(r"<([^>]+)>", started[3]))
        if began is None or not nodes:
            continue
        found = True
        seconds = max(0, int(times[2]) - int(times[1]))
        yield AccountedRun(job[1], began, seconds, nodes, None, times[3].upper())
    if not found and "Job <" in said:
        raise unreadable("bacct", said)


def qstat_run(job: str, about: Mapping[str, Any]) -> AccountedRun | None:
    """Return the run of a job by its attributes in qstat -x -f -F json; None if it did not run.

    The attributes are those of pbs_job_attributes(7B).

    Raises:
        SchedulerError: its times have another form.
    """
    used, asked = about.get("resources_used"), about.get("Resource_List")
    used, asked = used if isinstance(used, dict) else {}, asked if isinstance(asked, dict) else {}
    walltime = re.fullmatch(r"(\d+):(\d\d):(\d\d)", str(used.get("walltime")))
    began = _local_time(str(about.get("stime")), "%a %b %d %H:%M:%S %Y")
    if used.get("walltime") is None:
        return None
    if walltime is None or began is None:
        raise unreadable("qstat", f"{job} {used.get('walltime')} {about.get('stime')}")
    hours, minutes, seconds = map(int, walltime.groups())
    nodes, gpus = _count(asked.get("nodect")), _count(asked.get("ngpus"))
    length = 3600 * hours + 60 * minutes + seconds
    status = about.get("Exit_status")
    state = "runs" if status is None else f"exit status {status}"
    return AccountedRun(job, began, length, nodes or 1, gpus, state)


def _count(value: object) -> int | None:
    return int(str(value)) if re.fullmatch(r"\d{1,9}", str(value)) else None


def _local_time(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).timestamp()
    except (ValueError, OverflowError):
        return None


def _lsf_nodes(hosts: list[str]) -> int:
    """Return the number of nodes of a job, given its hosts as LSF tells them: NAME or SLOTS*NAME.

    Where jsrun starts ranks, a launch node with one slot comes first, which is no node of the job.
    """
    slots = Counter[str]()
    for host in hosts:
        count, _, name = host.rpartition("*")
        slots[name] += int(count) if count.isdigit() else 1
    first, *others = slots.values()
    return len(others) if first == 1 and others and min(others) > 1 else len(slots)


def _lsf_time(text: str, year: str | None) -> float | None:
    """Return a time that LSF prints without a year if it is of the last months."""
    this = datetime.now().astimezone()
    found = _local_time(f"{text} {year or this.year}", "%a %b %d %H:%M:%S %Y")
    if found is not None and year is None and found > this.timestamp() + 24 * 3600:
        return _local_time(f"{text} {this.year - 1}", "%a %b %d %H:%M:%S %Y")
    return found
