"""Text of `nnlc spent`: hours by the journal and by the scheduler, and what is left to pay."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nnlc.errors import SchedulerError
from nnlc.launching.submit import jobs_of, records
from nnlc.reporting.progress_lines import TrainingTimes, training_times
from nnlc.results.folder import ResultsFolder
from nnlc.results.open_jobs import running_jobs
from nnlc.results.spent import PARTS, JobTime, job_times, total_hours
from nnlc.results.status import read_status
from nnlc.schedulers.accounting import AccountedRun
from nnlc.schedulers.scheduler import Queue
from nnlc.schedulers.scheduler_registry import queue_named
from nnlc.wording import counted, first_few, printable

MOST_JOBS = 40
"""Most jobs that have a line of their own."""
SAME_START_SECONDS = 3600
"""Longest time between the starts of one run by its scheduler and by its script, on slow nodes."""


def spent_lines(path: Path) -> Iterator[str]:
    """Yield the lines of `nnlc spent`.

    Raises:
        ResultsError: the path is no results folder.
    """
    results = ResultsFolder(path)
    status = read_status(results)
    running = running_jobs(results.journal_folder, status.history.open_jobs)
    jobs = job_times(results.journal_folder, {job.name for job in running}, time.time())
    if not jobs:
        yield f"{path}: no job has begun"
        return
    yield from _hours_lines(jobs)
    runs, told = _accounted(results, jobs)
    yield from first_few(list(_job_lines(jobs, runs)), MOST_JOBS)
    yield from told
    times = training_times(results, status.campaign, status.networks, status.history, status.left)
    yield from _price_lines(jobs, times)


def _hours_lines(jobs: Sequence[JobTime]) -> Iterator[str]:
    whole = total_hours(jobs)
    yield f"{counted(len(jobs), 'job')}, by the journal:"
    for part in (None, *PARTS):
        nodes, gpus = total_hours(jobs, part)
        share = f", {100 * nodes / whole[0]:.1f} %" if part and whole[0] else ""
        on_gpus = f", {_hours(gpus)} GPU-hours" if whole[1] else ""
        yield f"  {part or 'all':<16} {_hours(nodes)} node-hours{on_gpus}{share}"


def _accounted(
    results: ResultsFolder, jobs: Sequence[JobTime]
) -> tuple[dict[str, AccountedRun], list[str]]:
    """Return the accounted run of each job in the journal, by its file, and lines on all runs."""
    found: dict[str, AccountedRun] = {}
    lines, unasked = list[str](), {job.name for job in jobs if job.job}
    try:
        names = dict.fromkeys(record.scheduler for record in records(results))
    except SchedulerError as problem:
        return found, [_no_figures(problem)]
    for name in names:
        try:
            scheduler = queue_named(name)
            asked = list(dict.fromkeys(jobs_of(results, scheduler)))
            numbers = {_number(job) for job in asked}
            theirs = [job for job in jobs if job.name in unasked and _number(job.job) in numbers]
            unasked.difference_update(job.name for job in theirs)
            runs = scheduler.accounting(asked) if asked else []
        except SchedulerError as problem:
            lines.append(_no_figures(problem))
        else:
            pairs = _pairs(theirs, runs)
            found |= pairs
            lines += _sum_lines(scheduler, asked, runs, len(pairs), len(theirs) - len(pairs))
    if unasked:
        many = counted(len(unasked), "job above was", "jobs above were")
        lines.append(f"{many} not submitted by 'nnlc submit': only the journal's figures")
    return found, lines


def _number(job: str) -> str:
    """Return the number in a job's ID, such as 7 of 7_2, 7[2] and 7[2].server."""
    return re.sub(r"\D.*", "", job)


def _no_figures(problem: SchedulerError) -> str:
    return f"no figures of the scheduler, only the journal's: {' '.join(str(problem).split())}"


def _sum_lines(
    scheduler: Queue,
    asked: Sequence[str],
    runs: Sequence[AccountedRun],
    in_journal: int,
    missing: int,
) -> Iterator[str]:
    """Yield a line on the accounted runs, and one on the starts that accounting lacks."""
    title = scheduler.title
    gaps = f": {scheduler.accounting_gaps}" if scheduler.accounting_gaps else ""
    if not runs:
        if asked:
            yield f"only the journal's figures: none of these jobs is in {title}'s accounting{gaps}"
        return
    nodes = sum(run.nodes * run.seconds for run in runs) / 3600
    gpus = sum((run.gpus or 0) * run.seconds for run in runs) / 3600
    on_gpus = f", {_hours(gpus)} GPU-hours" if gpus else ""
    total = f"{counted(len(runs), 'run')} by {title}'s accounting"
    unknown = len(runs) - in_journal
    note = f"; {counted(unknown, 'run')} of them not in the journal" if unknown else ""
    yield f"{total}: {_hours(nodes)} node-hours{on_gpus}{note}"
    if missing:
        many = counted(missing, "job above is", "jobs above are")
        yield f"{many} not in {title}'s accounting{gaps}"


def _pairs(jobs: Sequence[JobTime], runs: Sequence[AccountedRun]) -> dict[str, AccountedRun]:
    """Return the run of each job, by its file: of runs with its ID, the one that began nearest."""
    near = sorted(
        (abs(run.began - job.began), at, job.name)
        for at, run in enumerate(runs)
        for job in jobs
        if run.job == job.job and abs(run.began - job.began) < SAME_START_SECONDS
    )
    found: dict[str, AccountedRun] = {}
    taken = set[int]()
    for _, at, name in near:
        if at not in taken and name not in found:
            taken.add(at)
            found[name] = runs[at]
    return found


def _job_lines(jobs: Sequence[JobTime], runs: Mapping[str, AccountedRun]) -> Iterator[str]:
    """Yield a line for each job, with its accounted run."""
    for job in jobs:
        began = datetime.fromtimestamp(job.began, UTC)
        name = f"job {job.job}" if job.job else "a job without a script"
        words = f"{name}, {began:%Y-%m-%d %H:%M} UTC, {counted(job.nodes, 'node')}: "
        state = "" if job.is_over else ", runs" if job.runs else ", ended without a word"
        words += f"{job.seconds:,.0f} s{state}"
        if run := runs.get(job.name):
            words += (
                f"; accounted {run.seconds:,.0f} s on {counted(run.nodes, 'node')}, {run.state}"
            )
        yield printable(words)


def _price_lines(jobs: Sequence[JobTime], times: TrainingTimes | None) -> Iterator[str]:
    """Yield lines on predicted times beside measured ones, and on what is left at the price."""
    if times is None:
        yield "what is left is unknown: no network is finished yet, and no machine is fitted"
        return
    if times.measured and times.predicted:
        yield (
            "training of the finished networks, in hours of one trainer: "
            f"{_hours(times.measured / 3600)} measured, {_hours(times.predicted / 3600)} predicted"
        )
    left = sum(times.left)
    if not left:
        yield "nothing is left to train"
        return
    trained = sum(job.trained for job in jobs)
    yield f"left to train: {_hours(left / 3600)} hours of one trainer"
    nodes, gpus = total_hours(jobs)
    if trained:
        on_gpus = f", {_hours(gpus * left / trained)} GPU-hours" if gpus else ""
        price = f"{_hours(nodes * left / trained)} node-hours{on_gpus}"
        yield f"at the price so far: {price}, starts, losses and idle time included"


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2f}" if hours >= 1 else f"{hours:.4f}"
