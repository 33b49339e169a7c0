"""Answers of the schedulers' accounting commands: how long each job ran, on how many nodes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
            understood |= bool(re.match(r"\d[\w.+\[\]-]*\|", line)) and len(fields) == 5
            continue
        nodes, state, start, elapsed, tres = fields
        began = _local_time(start, "%Y-%m-%dT%H:%M:%S")
        if began is None:  # it waits: Unknown or None
            understood |= start in ("Unknown", "None", "")
        elif nodes.isdigit() and elapsed.isdigit():
            understood = True
            gpus = re.search(r"(?:^|,)gres/gpu=(\d+)", tres)
            words = state.partition(" ")[0]
            yield AccountedRun(
                job, began, int(elapsed), int(nodes), int(gpus[1]) if gpus else None, words
            )
    if not understood and "|" in said:
        raise unreadable("sacct", said)


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
        hosts = {name.rpartition("*")[2] for name in re.findall(r"<([^>]+)>", started[3])}
        if began is None or not hosts:
            continue
        found = True
        seconds = max(0, int(times[2]) - int(times[1]))
        yield AccountedRun(job[1], began, seconds, len(hosts), None, times[3].upper())
    if not found and "Job <" in said:
        raise unreadable("bacct", said)


def qstat_run(job: str, about: Mapping[str, Any]) -> AccountedRun | None:
    """Return the run of a job by its attributes in qstat -x -f -F json; None if it did not run.

    The attributes are those of pbs_job_attributes(7B).
    """
    used, asked = about.get("resources_used"), about.get("Resource_List")
    used, asked = used if isinstance(used, dict) else {}, asked if isinstance(asked, dict) else {}
    walltime = re.fullmatch(r"(\d+):(\d\d):(\d\d)", str(used.get("walltime")))
    began = _local_time(str(about.get("stime")), "%a %b %d %H:%M:%S %Y")
    if walltime is None or began is None:
        return None
    hours, minutes, seconds = map(int, walltime.groups())
    nodes, gpus = _count(asked.get("nodect")), _count(asked.get("ngpus"))
    length = 3600 * hours + 60 * minutes + seconds
    return AccountedRun(job, began, length, nodes or 1, gpus, str(about.get("job_state")))


def _count(value: object) -> int | None:
    return int(str(value)) if re.fullmatch(r"\d{1,9}", str(value)) else None


def _local_time(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).timestamp()
    except (ValueError, OverflowError):
        return None


def _lsf_time(text: str, year: str | None) -> float | None:
    """Return a time that LSF prints without a year if it is of the last months."""
    this = datetime.now().astimezone()
    found = _local_time(f"{text} {year or this.year}", "%a %b %d %H:%M:%S %Y")
    if found is not None and year is None and found > this.timestamp() + 24 * 3600:
        return _local_time(f"{text} {this.year - 1}", "%a %b %d %H:%M:%S %Y")
    return found
