"""Text of `nnlc spent`: hours by the journal and by the scheduler, and what is left to pay."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nnlc.errors import SchedulerError
from nnlc.launching.submit import jobs_of, scheduler_of_folder
from nnlc.reporting.progress_lines import TrainingTimes, training_times
from nnlc.results.folder import ResultsFolder
from nnlc.results.open_jobs import running_jobs
from nnlc.results.spent import PARTS, JobTime, job_times, total_hours
from nnlc.results.status import read_status
from nnlc.schedulers.accounting import AccountedRun
from nnlc.wording import counted, first_few, printable

MOST_JOBS = 40
"""Most jobs that have a line of their own."""


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
    runs, trouble = _accounted(results, jobs)
    yield from first_few(list(_job_lines(jobs, runs)), MOST_JOBS)
    yield from trouble
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
) -> tuple[list[AccountedRun], list[str]]:
    """Return the runs that the scheduler has accounted, and lines on why there are none."""
    try:
        scheduler = scheduler_of_folder(results)
        if scheduler is None:
            return [], []
        asked = list(dict.fromkeys(jobs_of(results, scheduler)))
        runs = scheduler.accounting(asked) if asked else []
    except SchedulerError as problem:
        return [], [f"no figures of the scheduler, only the journal's: {problem}"]
    if not runs:
        return [], [f"{scheduler.title}'s accounting has none of these jobs: only the journal's"]
    nodes = sum(run.nodes * run.seconds for run in runs) / 3600
    gpus = sum((run.gpus or 0) * run.seconds for run in runs) / 3600
    on_gpus = f", {_hours(gpus)} GPU-hours" if gpus else ""
    total = f"{counted(len(runs), 'run')} by {scheduler.title}'s accounting"
    known = {job.job for job in jobs}
    unknown = sum(run.job not in known for run in runs)
    note = f"; {counted(unknown, 'run')} of them not in the journal" if unknown else ""
    return runs, [f"{total}: {_hours(nodes)} node-hours{on_gpus}{note}"]


def _job_lines(jobs: Sequence[JobTime], runs: Sequence[AccountedRun]) -> Iterator[str]:
    """Yield a line for each job, with the accounted run that began nearest to it."""
    by_job = defaultdict[str, list[AccountedRun]](list)
    for each in runs:
        by_job[each.job].append(each)
    for job in jobs:
        there = by_job[job.job]
        distances = [abs(one.began - job.began) for one in there]
        run = there.pop(distances.index(min(distances))) if there else None
        began = datetime.fromtimestamp(job.began, UTC)
        name = f"job {job.job}" if job.job else "a job without a script"
        words = f"{name}, {began:%Y-%m-%d %H:%M} UTC, {counted(job.nodes, 'node')}: "
        state = "" if job.is_over else ", runs" if job.runs else ", ended without a word"
        words += f"{job.seconds:,.0f} s{state}"
        if run is not None:
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
            f"training of the finished networks: {_hours(times.measured / 3600)} hours measured, "
            f"{_hours(times.predicted / 3600)} predicted"
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
