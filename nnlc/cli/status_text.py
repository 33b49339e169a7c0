"""Text of `nnlc status`: tables, failures and warnings of a results folder, and its queued jobs."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from nnlc.console import make_console, say
from nnlc.errors import ExitStatus, SchedulerError
from nnlc.launching.notify_source import notify_command
from nnlc.launching.submit import queue, scheduler_of_folder, settle
from nnlc.reporting.progress_lines import progress_lines
from nnlc.results.bad_nodes import remembered
from nnlc.results.event_sender import EventSender
from nnlc.results.folder import ResultsFolder
from nnlc.results.inventory import not_whole_lines
from nnlc.results.logs import job_number, logs_of, telling_log
from nnlc.results.open_jobs import running_jobs
from nnlc.results.stall import StallWatch
from nnlc.results.status import Status, read_status
from nnlc.schedulers.answers import count_states
from nnlc.wording import counted, first_few


def watch_status(path: Path, seconds: float) -> ExitStatus:
    """Print the state of a results folder again and again until nothing is left to train.

    Args:
        path: the folder.
        seconds: time between two readings.

    Returns:
        The exit status of a job that ended now.
    """
    watch = StallWatch()
    while True:
        found, is_busy = show_status(path)
        if not found.left:
            lacks_tables = found.failures or found.not_whole
            return ExitStatus.DONE_WITH_FAILURES if lacks_tables else ExitStatus.DONE
        if not is_busy:
            say("no job is running or in the queue: waiting for one; Ctrl-C ends")
        _tell_stall(ResultsFolder(path), found, watch, is_busy=is_busy)
        time.sleep(seconds)
        make_console().clear()


def _tell_stall(results: ResultsFolder, found: Status, watch: StallWatch, *, is_busy: bool) -> None:
    """Print that a campaign stalls, and tell its notify command."""
    is_running = bool(running_jobs(results.journal_folder, found.history.open_jobs))
    if not (stall := watch.look(found, is_busy=is_busy, is_running=is_running)):
        return
    say(f"the campaign stalls: {stall}")
    try:
        command = notify_command(results, found.campaign)
    except SchedulerError as unread:
        say(f"warning: {unread}")
        return
    if command is not None:
        sender = EventSender(command, results, found.campaign.name)
        if problem := sender.tell_stall(found, f"campaign {found.campaign.name} stalls: {stall}"):
            say(f"warning: {problem}")


def show_status(path: Path) -> tuple[Status, bool]:
    """Print the state of a results folder.

    Returns:
        The state, and True if a job is running or may be in the queue.

    Raises:
        ResultsError: the path is no results folder.
    """
    results = ResultsFolder(path)
    found = read_status(results)
    make_console().print(_grid(found))
    for line in _lines(found, path):
        say(line)
    lines, is_busy = _queue_lines(results)
    about = found.campaign, found.networks, found.history, found.left
    for line in [*progress_lines(results, *about, in_queue=is_busy), *lines]:
        say(line)
    return found, is_busy or bool(running_jobs(results.journal_folder, found.history.open_jobs))


def _lines(found: Status, path: Path) -> Iterator[str]:
    """Yield lines on stopped networks, failures, damaged tables and warnings."""
    if found.without_code:
        yield f"warning: {found.without_code}"
    if found.campaign.stop is not None:
        yield _stop_line(found)
    for id_, failure in found.failures.items():
        yield f"{id_} {failure}"
    if found.failures:
        yield f"nnlc retry {shlex.quote(str(path))} clears failures"
    if short := sum(counts.short for counts in found.datasets.values()):
        tables = counted(short, "table is", "tables are")
        yield f"{tables} from before the campaign grew, and there until the network has all epochs"
    yield from not_whole_lines(found.not_whole.values(), path)
    if len(found.makers) > 1:
        yield f"warning: tables come from {len(found.makers)} devices or libraries:"
        for words, count in found.makers:
            yield f"{count:>6} from {words}"
    if found.mixture.is_mixed:
        yield f"warning: {found.mixture.words}"
    for line in first_few([*found.ignored_lines, *found.unsaid_ends]):
        yield f"warning: {line}"
    for node in remembered(found.history.bad_nodes, found.campaign.run):
        days, site = found.campaign.run.bad_node_days, node.site
        yield f"bad node {node.words}" + (f"; jobs leave it out for {days:g} days" if site else "")
    if found.trouble:
        yield f"last problem of a running network: {found.trouble}"


def _grid(found: Status) -> Table:
    grid = Table(title=f"campaign {found.campaign.name}", title_justify="left")
    grid.add_column("dataset", overflow="fold")
    states = ["done", "under_way", "waiting", "failed", *(["unusable"] if found.not_whole else [])]
    for name in (*states, "rows"):
        grid.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for name, counts in found.datasets.items():
        numbers = [getattr(counts, state) for state in states]
        rows = f"{counts.rows} of {sum(numbers) * found.campaign.half_epochs}"
        grid.add_row(name, *map(str, numbers), rows)
    return grid


def _stop_line(found: Status) -> str:
    done, stopped, saved = (
        sum(getattr(counts, name) for counts in found.datasets.values())
        for name in ("done", "stopped", "saved")
    )
    of_all = done * found.campaign.half_epochs
    share = f", {100 * saved / of_all:.1f} %" if of_all else ""
    return (
        f"{found.campaign.stop}: {stopped} of {done} networks stopped, {saved / 2:g} of "
        f"{of_all / 2:g} epochs saved{share}"
    )


def _queue_lines(results: ResultsFolder) -> tuple[list[str], bool]:
    """Return lines on submitted jobs, and True if one is or may be in the queue."""
    try:
        scheduler = scheduler_of_folder(results)
        if scheduler is None:
            return [], False
        settle(results, scheduler)
        found = queue(results, scheduler)
    except SchedulerError as problem:
        return [f"the queue is unknown: {problem}"], True
    there = {job: states for job, states in found.items() if states}
    lines = [
        f"job {job}: {count_states(states)}{_log_words(logs_of(results.logs_folder, job))}"
        for job, states in sorted(there.items(), key=lambda each: job_number(each[0]))
    ]
    gone = sorted(found.keys() - there.keys(), key=job_number)
    return [*_end_lines(results, gone), *lines], bool(there)


def _end_lines(results: ResultsFolder, gone: list[str]) -> Iterator[str]:
    """Yield lines on the last of the jobs that have left the queue, which may have failed early."""
    if not gone:
        return
    before = f", nor {counted(len(gone) - 1, 'job')} before it" if gone[1:] else ""
    logs = logs_of(results.logs_folder, gone[-1])
    if not logs:
        yield f"job {gone[-1]}: no longer in the queue{before}; no log in {results.logs_folder}"
        return
    log, last = telling_log(logs)
    yield f"job {gone[-1]}: no longer in the queue{before}{_log_words(logs, log)}"
    if last:
        yield f"  {last}"


def _log_words(logs: list[Path], chosen: Path | None = None) -> str:
    """Return the log of a job, or one element's and the number of the others, for its line."""
    if not logs:
        return ""
    return f"; log: {chosen or logs[-1]}" + (f" and {len(logs) - 1} more" if logs[1:] else "")
