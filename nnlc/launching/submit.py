"""Submission of jobs, and their records in a results folder.

The folder `jobs/` has each script and a record of its job. A record is written before the script is
submitted, and completed afterwards. If this is interrupted, the next `nnlc submit` checks whether
the job is in the queue before it submits another.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.launching.prepare import Submission
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.answers import count_states
from nnlc.schedulers.scheduler import Queue
from nnlc.schedulers.scheduler_registry import queue_named
from nnlc.schedulers.site import Site
from nnlc.schedulers.slurm import asked_clusters
from nnlc.system.files import names_in, read_regular, why_unread, write_atomically

LEAVE_SECONDS = 45.0
"""Time that a cancelled job has to leave the queue; LSF needs up to 20 s."""


class Record(BaseModel):
    """Record of a script and its job."""

    model_config = ConfigDict(frozen=True, strict=True)

    mark: str
    """Word in the job's comment or description, by which the queue finds the job."""
    script: str
    scheduler: str
    """Name of the scheduler, such as slurm."""
    site: str
    time: str
    id: Annotated[str, Field(pattern=r"^[0-9][\w.\[\]-]*$")] | None
    """Number of the job; None while the scheduler has not answered."""
    cluster: str = Field(default_factory=asked_clusters)
    """Cluster of the job; empty for this machine's own. Old records lack it: their jobs are on the
    cluster that the user's environment names."""
    notify: str | None = None  # the site's command, for `nnlc status --watch`

    @property
    def job(self) -> str:
        """Job as its scheduler names it."""
        return f"{self.id};{self.cluster}" if self.cluster else str(self.id)

    def of(self, job: str) -> "Record":
        """Return this record with the job that the scheduler named."""
        number, _, cluster = job.partition(";")
        return self.model_copy(update={"id": number, "cluster": cluster})


def submit(
    submission: Submission,
    site: Site,
    scheduler: Queue,
    results: ResultsFolder,
    tell: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Write the scripts and put them into the queue, after a call of `tell` if all is well so far.

    Raises:
        SchedulerError: jobs of this folder are in the queue already, or the scheduler refuses.
        UnansweredError: the scheduler does not answer; the next call looks for the job.
    """
    with _alone(results):
        settle(results, scheduler, forget=True)
        if waiting := [job for job, states in queue(results, scheduler).items() if states]:
            noun, verb = ("jobs", "are") if waiting[1:] else ("job", "is")
            raise SchedulerError(
                f"{results.path}: its {noun} {', '.join(waiting)} {verb} in the queue already; see "
                f"'nnlc status {results.path}', or end all by 'nnlc cancel {results.path}'"
            )
        tell()
        submission.keep()
        return list(_submit_all(submission, site, scheduler, results))


@contextlib.contextmanager
def _alone(results: ResultsFolder) -> Iterator[None]:
    """Lock the folder against another `nnlc submit`.

    The lock ends with its process. On a file system without locks two calls may submit at the same
    time; their jobs share the networks, as all jobs of a folder do.

    Raises:
        SchedulerError: another `nnlc submit` has the lock.
    """
    lock = results.jobs_folder / ".submit"
    try:
        results.jobs_folder.mkdir(exist_ok=True)
        # Slurm ends a job without a word if the folder of its log is missing.
        results.logs_folder.mkdir(exist_ok=True)
        no_wait = os.O_NONBLOCK | os.O_NOFOLLOW  # in case the path is a pipe or a link
        file = os.fdopen(os.open(lock, os.O_WRONLY | os.O_CREAT | no_wait, 0o666), "wb")
    except OSError as problem:
        place = problem.filename or lock
        raise SchedulerError(f"{place}: can't be written: {problem.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SchedulerError(
                f"{results.path}: another 'nnlc submit' is running for this folder"
            ) from None
        except OSError:
            pass  # no locks here
        yield


def _submit_all(
    submission: Submission, site: Site, scheduler: Queue, results: ResultsFolder
) -> Iterator[Record]:
    before: str | None = None
    for path, link in product((path for path, _ in submission.scripts), range(site.links_at_once)):
        record = Record(
            mark=f"nnlc-{secrets.token_hex(6)}",
            script=str(path),
            scheduler=site.scheduler.name,
            site=site.name,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            id=None,
            cluster="",
            notify=site.notify,
        )
        _write(results, record)
        try:
            if link and before is not None:
                job = scheduler.submit_after(before, path, record.mark, site.submit)
            else:
                job = scheduler.submit(path, record.mark, site.submit)
            before, record = job, record.of(job)
        except UnansweredError as problem:
            raise UnansweredError(
                f"{problem}; the next 'nnlc submit' or 'nnlc status' checks whether {path} is in "
                "the queue"
            ) from None
        except SchedulerError as problem:
            _forget(results, record)
            stays = f"\n{results.path} stays there, for the next 'nnlc submit'"
            raise SchedulerError(str(problem) + stays) from None
        _write(results, record)
        yield record


def scheduler_of_folder(results: ResultsFolder) -> Queue | None:
    """Return the scheduler of a folder's jobs; None if no job was ever submitted.

    Raises:
        SchedulerError: this nnlc does not know the scheduler, or a record can't be read.
    """
    kept = records(results)
    return queue_named(kept[-1].scheduler) if kept else None


def settle(results: ResultsFolder, scheduler: Queue, *, forget: bool = False) -> None:
    """Look for the jobs of scripts on which the scheduler has not answered.

    Args:
        results: the folder.
        scheduler: its scheduler.
        forget: True to remove the records of jobs that are not in the queue. Use it only under the
            lock, since another process may be submitting them.
    """
    for record in records(results):
        if record.id is None:
            job = scheduler.find(record.mark, Path(record.script))
            if job is not None:
                _write(results, record.of(job))
            elif forget:
                _forget(results, record)


def records(results: ResultsFolder) -> list[Record]:
    """Return the valid records of a folder's jobs, the oldest first.

    Raises:
        SchedulerError: a file can't be read.
    """
    return sorted(_read(results.jobs_folder), key=lambda record: record.time)


def jobs_of(results: ResultsFolder, scheduler: Queue) -> list[str]:
    """Return a folder's jobs of a scheduler, whether they are in the queue or have ended."""
    kept = (each for each in records(results) if scheduler.name == each.scheduler)
    jobs = [record.job for record in kept if record.id is not None]
    return [*jobs, *(job for _, job in _chained(results.jobs_folder, scheduler))]


def queue(results: ResultsFolder, scheduler: Queue) -> dict[str, list[str]]:
    """Return the states of each job's elements in the queue; none if the job has ended."""
    return scheduler.states(jobs_of(results, scheduler))


def in_queue(results: ResultsFolder, scheduler: Queue) -> list[tuple[str, Record]]:
    """Return the jobs that are in the queue, each with the record of its script.

    Jobs on which the scheduler has not answered are looked for; no record is changed.

    Raises:
        SchedulerError: a record can't be read, or the scheduler refuses.
    """
    kept = records(results)
    by_script = {Path(record.script).name: record for record in kept}
    jobs = [(record.job, record) for record in kept if record.id is not None]
    chained = _chained(results.jobs_folder, scheduler)
    jobs += [(job, by_script[name]) for name, job in chained if name in by_script]
    states = queue(results, scheduler)
    sought = [(scheduler.find(r.mark, Path(r.script)), r) for r in kept if r.id is None]
    return [
        *((job, record) for job, record in jobs if states.get(job)),
        *((job, record) for job, record in sought if job is not None),
    ]


def cancel(results: ResultsFolder, scheduler: Queue) -> list[str]:
    """End every job of a folder, wait until all have left the queue, and return them.

    Jobs that are submitted meanwhile, such as the next job of a chain, are ended too.

    Raises:
        SchedulerError: some jobs are still in the queue, or the scheduler refuses.
    """
    settle(results, scheduler)
    told, asked, refused = list[str](), list[str](), dict[str, str]()
    end, pause = time.monotonic() + LEAVE_SECONDS, 0.1
    while True:
        found = queue(results, scheduler)
        # Ending jobs too: a job that is requeued is first shown as ending.
        # A chain's last job first: the end of a job would let the next one start.
        for job in [job for job, states in found.items() if states and job not in told][::-1]:
            told.append(job)
            try:
                scheduler.cancel(job)
            except SchedulerError as problem:
                refused[job] = str(problem)
        there = _staying(found, scheduler)
        asked += [job for job in there if job not in asked]
        if not there:
            return asked
        if there.keys() <= refused.keys() or time.monotonic() > end:
            raise SchedulerError(_remains(results, there, asked, refused))
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _staying(found: dict[str, list[str]], scheduler: Queue) -> dict[str, list[str]]:
    """Return the states of each job's elements that are in the queue and not ending."""
    return {
        job: [state for state in states if state not in scheduler.ending]
        for job, states in found.items()
        if not scheduler.ending.issuperset(states)
    }


def _remains(
    results: ResultsFolder, there: dict[str, list[str]], asked: list[str], refused: dict[str, str]
) -> str:
    """Return a message on the jobs that were cancelled, and on those still in the queue."""
    gone = [job for job in asked if job not in there]
    lines = [f"cancelled {', '.join(gone)}"] if gone else []
    for job, states in there.items():
        lines.append(f"job {job} is still in the queue: {count_states(states)}")
        lines += [refused[job]] if job in refused else []
    lines.append(f"'nnlc cancel {results.path}' tries again")
    return "\n".join(lines)


def _read(folder: Path) -> Iterator[Record]:
    for path, text in _contents(folder, ".json"):
        with contextlib.suppress(ValueError, RecursionError):  # no JSON, or no record
            record = Record.model_validate(json.loads(text))
            if record.mark == path.stem:
                yield record


def _chained(folder: Path, scheduler: Queue) -> Iterator[tuple[str, str]]:
    """Yield the name of each script that has submitted a successor, with the successor's job."""
    for path, text in _contents(folder, ".sh.jobs"):
        for job in scheduler.submitted_jobs(text):
            yield path.name.removesuffix(".jobs"), job


def _contents(folder: Path, ending: str) -> Iterator[tuple[Path, str]]:
    """Yield path and content of the files in a folder of jobs whose names have this ending.

    Raises:
        SchedulerError: a file can't be read, so its jobs are unknown.
    """
    path = folder
    try:
        for path in [folder / name for name in names_in(folder) if name.endswith(ending)]:
            with contextlib.suppress(FileNotFoundError):  # another process has removed it
                yield path, read_regular(path).decode("utf-8-sig", errors="replace")
    except OSError as problem:
        raise SchedulerError(
            f"{path}: {why_unread(problem)}; it records jobs that may be in the queue"
        ) from None


def _write(results: ResultsFolder, record: Record) -> None:
    content = json.dumps(record.model_dump(), indent=1).encode()
    write_atomically(results.jobs_folder / f"{record.mark}.json", content)


def _forget(results: ResultsFolder, record: Record) -> None:
    (results.jobs_folder / f"{record.mark}.json").unlink(missing_ok=True)
