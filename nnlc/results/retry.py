"""`nnlc retry`: clear failures, and move damaged and foreign tables aside."""

import shutil
from collections.abc import Iterator, Sequence

from nnlc.errors import ResultsError
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.inventory import Entry, inventory
from nnlc.results.journal import Journal
from nnlc.results.readable_networks import readable_networks
from nnlc.system.files import ignored_lines
from nnlc.wording import some_of

_NAMED = 5
"""Number of networks that an error names."""


def retry(results: ResultsFolder, ids: Sequence[str] = ()) -> Iterator[str]:
    """Make the next job train networks again, and yield lines on what was done.

    Failures are cleared. Damaged and foreign tables are moved to `aside`; no file is deleted.

    Args:
        results: the folder.
        ids: IDs of the networks; by default all, except networks whose files can't be read.

    Raises:
        ResultsError: this is no results folder; a network of these IDs has neither failed nor a
            damaged or foreign table; a file can't be moved; or the journal can't be written.
    """
    campaign = results.campaign()
    history = read_history(results.journal_folder)
    readable, warning = readable_networks(results, campaign)
    if warning:
        yield f"warning: {warning}"
    networks = [n for n in readable if not ids or n.spec.id in ids]
    found = inventory(results, campaign, networks, history.finishes)
    not_whole, occupied = found.not_whole, found.entries.keys() - found.to_train
    failed = [i for i in history.failures if (not ids or i in ids) and i not in occupied]
    if unknown := [i for i in ids if i not in not_whole and i not in failed]:
        names = f"those that failed are {some_of(history.failures, _NAMED)}"
        raise ResultsError(
            f"{results.path}: neither failed nor with a damaged table: {some_of(unknown, _NAMED)}; "
            + (names if history.failures else "none has failed")
        )
    aside = {i: wrong for i, wrong in not_whole.items() if ids or not wrong.unread}
    yield from _set_aside(results, aside)
    if chosen := [*failed, *aside]:
        journal = Journal(results.journal_folder)
        journal.write("retry", ids=chosen, after=history.last_time)
        if journal.trouble:
            raise ResultsError(f"{journal.trouble}; no failure is cleared")
        yield from (f"{id_} is no longer failed" for id_ in failed)
        yield "the next start of the campaign trains them again"
    yield from ignored_lines(results.unusable_entries())
    left = not_whole.keys() - aside.keys()
    for id_ in sorted(left):
        yield f"{not_whole[id_].reason}; it stays there: correct this, or name {id_} to move it"
    if not chosen and not left:
        yield f"{results.path}: no network has failed, and no table is damaged or foreign"


def _set_aside(results: ResultsFolder, files: dict[str, Entry]) -> Iterator[str]:
    """Move files into a new folder in `aside`, and yield two lines per file.

    Raises:
        ResultsError: a file can't be moved.
    """
    if not files:
        return
    try:
        place = results.make_aside_folder()
        for wrong in files.values():
            yield wrong.reason
            shutil.move(wrong.path, place / wrong.path.name)  # to another disk too
            yield f"  moved to {place / wrong.path.name}"
    except OSError as problem:
        raise ResultsError(
            f"{problem.filename or results.aside_folder}: can't be moved aside: "
            f"{problem.strerror or problem}; move it away yourself"
        ) from None
