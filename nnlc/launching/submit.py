"""From a request to jobs in the queue, and what is remembered of them.

A results folder keeps, in `jobs/`, each script and a record of the jobs that it became. A record is
written before the scheduler is asked and completed after: whatever happens between, the next
`nnlc submit` finds out whether the job is there before it submits another.
"""

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.files import write_atomically
from nnlc.launching.prepare import Submission
from nnlc.launching.scheduler import Scheduler, scheduler_named
from nnlc.launching.site import Site
from nnlc.results import ResultsFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One script and the job that it became."""

    mark: str
    """Kept by the queue with the job."""
    script: str
    scheduler: str
    """slurm or lsf."""
    site: str
    time: str
    id: str | None
    """None while the scheduler has not answered."""


def submit(
    submission: Submission, site: Site, scheduler: Scheduler, results: ResultsFolder
) -> list[Record]:
    """Write the scripts and put them into the queue.

    Raises:
        SchedulerError: jobs of this folder are in the queue already, or the scheduler refuses.
        UnansweredError: it does not answer; the next call looks for what may be in the queue.
    """
    settle(results, scheduler)
    waiting = _waiting(results, scheduler)
    if waiting:
        raise SchedulerError(
            f"{results.path}: its jobs {', '.join(waiting)} are in the queue already; "
            f"'nnlc status {results.path}' shows them, 'nnlc cancel {results.path}' ends them"
        )
    submission.keep()
    records = []
    for path, _ in submission.scripts:
        record = Record(
            mark=f"nnlc-{secrets.token_hex(6)}",
            script=str(path),
            scheduler=site.scheduler,
            site=site.name,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            id=None,
        )
        _write(results, record)
        try:
            record = replace(record, id=scheduler.submit(path, record.mark))
        except UnansweredError as problem:
            raise UnansweredError(
                f"{problem}; whether {path} is in the queue is found out by the next 'nnlc submit' "
                "or 'nnlc status'"
            ) from None
        except SchedulerError:
            _forget(results, record)
            raise
        _write(results, record)
        records.append(record)
    return records


def scheduler_of_folder(results: ResultsFolder) -> Scheduler | None:
    """The scheduler that a folder's jobs were given to; None where none ever was."""
    kept = records(results)
    return scheduler_named(kept[-1].scheduler) if kept else None


def settle(results: ResultsFolder, scheduler: Scheduler) -> None:
    """Find out what became of scripts on which the scheduler has not answered."""
    for record in records(results):
        if record.id is None:
            job = scheduler.find(record.mark)
            if job is None:
                _forget(results, record)
            else:
                _write(results, replace(record, id=job))


def records(results: ResultsFolder) -> list[Record]:
    """What is remembered of a folder's jobs, the oldest first; what is no record is passed over."""
    return sorted(_read(results.jobs_folder), key=lambda record: record.time)


def queue(results: ResultsFolder, scheduler: Scheduler) -> dict[str, list[str]]:
    """By ID of each remembered job: the states of its elements in the queue, none when it ended."""
    ids = [record.id for record in records(results) if record.id is not None]
    return scheduler.states([*ids, *_chained(results.jobs_folder)])


def cancel(results: ResultsFolder, scheduler: Scheduler) -> list[str]:
    """End every job of a folder that is in the queue; returns their IDs."""
    settle(results, scheduler)
    there = _waiting(results, scheduler)
    scheduler.cancel(there)
    return there


def _waiting(results: ResultsFolder, scheduler: Scheduler) -> list[str]:
    """The jobs that are in the queue, waiting or running."""
    return [job for job, states in queue(results, scheduler).items() if states]


def _read(folder: Path) -> Iterator[Record]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            yield Record(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            continue


def _chained(folder: Path) -> Iterator[str]:
    """Jobs that LSF scripts have submitted to go on after themselves: bsub's own words, kept."""
    for path in sorted(folder.glob("*.sh.jobs")) if folder.is_dir() else []:
        with contextlib.suppress(OSError):
            yield from re.findall(r"Job <(\d+)> is submitted", path.read_text(errors="replace"))


def _write(results: ResultsFolder, record: Record) -> None:
    content = json.dumps(asdict(record), indent=1).encode()
    write_atomically(results.jobs_folder / f"{record.mark}.json", content)


def _forget(results: ResultsFolder, record: Record) -> None:
    (results.jobs_folder / f"{record.mark}.json").unlink(missing_ok=True)
