"""Text of `nnlc status`: tables, failures and warnings of a results folder, and its queued jobs."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from nnlc.console import make_console, say
from nnlc.errors import SchedulerError
from nnlc.launching.submit import count_states, queue, scheduler_of_folder, settle
from nnlc.results.folder import ResultsFolder
from nnlc.results.inventory import not_whole_lines
from nnlc.results.status import Status, read_status
from nnlc.wording import first_few


def show_status(path: Path) -> None:
    """Print the state of a results folder.

    Raises:
        ResultsError: the path is no results folder.
    """
    results = ResultsFolder(path)
    found = read_status(results)
    make_console().print(_grid(found))
    if found.stop is not None:
        say(_stop_line(found))
    for id_, failure in found.failures.items():
        say(f"{id_} {failure}")
    if found.failures:
        say(f"nnlc retry {shlex.quote(str(path))} clears failures")
    for line in not_whole_lines(found.not_whole.values(), path):
        say(line)
    if len(found.makers) > 1:
        say(f"warning: tables come from {len(found.makers)} devices or libraries:")
        for words, count in found.makers:
            say(f"{count:>6} from {words}")
    if found.mixture.is_mixed:
        say(f"warning: {found.mixture.words}")
    for line in first_few([*found.ignored_lines, *found.unsaid_ends]):
        say(f"warning: {line}")
    if found.trouble:
        say(f"last problem of a running network: {found.trouble}")
    for line in _queue_lines(results):
        say(line)


def _grid(found: Status) -> Table:
    grid = Table(title=f"campaign {found.campaign}", title_justify="left")
    grid.add_column("dataset", overflow="fold")
    states = ["done", "under_way", "waiting", "failed", *(["unusable"] if found.not_whole else [])]
    for name in (*states, "rows"):
        grid.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for name, counts in found.datasets.items():
        numbers = [getattr(counts, state) for state in states]
        rows = f"{counts.rows} of {sum(numbers) * found.half_epochs}"
        grid.add_row(name, *map(str, numbers), rows)
    return grid


def _stop_line(found: Status) -> str:
    done, stopped, saved = (
        sum(getattr(counts, name) for counts in found.datasets.values())
        for name in ("done", "stopped", "saved")
    )
    of_all = done * found.half_epochs
    share = f", {100 * saved / of_all:.1f} %" if of_all else ""
    return (
        f"{found.stop}: {stopped} of {done} networks stopped, {saved / 2:g} of {of_all / 2:g} "
        f"epochs saved{share}"
    )


def _queue_lines(results: ResultsFolder) -> Iterator[str]:
    """Yield a line for each submitted job, or one line if the scheduler can't be asked."""
    try:
        scheduler = scheduler_of_folder(results)
        if scheduler is None:
            return
        settle(results, scheduler)
        for job, states in queue(results, scheduler).items():
            yield f"job {job}: {count_states(states) or 'no longer in the queue'}"
    except SchedulerError as problem:
        yield f"the queue is unknown: {problem}"
