"""`nnlc merge` and `nnlc subset`: tables of many folders, or some of them, in a new folder."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nnlc.collection.clashes import Merger, merge_sources, notes, refuse_clashes
from nnlc.collection.folder import write_collection
from nnlc.collection.journals import Journals
from nnlc.collection.selection import check_known
from nnlc.collection.sources import Paths, as_paths, check_destination, read_sources
from nnlc.errors import NnlcError
from nnlc.tables.frames import Damaged, Tables, check_choice, frames_of
from nnlc.tables.table_folders import Skipped, skipped_lines

OnClash = Literal["refuse", "skip"]
Chooser = Callable[[Tables], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of a merger or a subset."""

    tables: int
    """That were written."""
    among: int
    """So many different ones were read."""
    recorded: int
    """Of those written have an event in the journal that says how they were finished."""
    notes: tuple[str, ...]
    """What is odd about them, in words."""
    skipped: tuple[Skipped, ...]
    """What was found beside the tables and not read, and why."""

    def remarks(self) -> Iterator[str]:
        """What a user should know of, a line each."""
        yield from skipped_lines(self.skipped)
        yield from (f"note: {one}" for one in self.notes)


def merge_tables(
    paths: Paths,
    folder: str | Path,
    *,
    on_clash: OnClash = "refuse",
    damaged: Damaged = "refuse",
    link: bool = False,
) -> Collected:
    """Put the tables of many folders into one, byte for byte, with a record of where they were.

    Two tables of one ID with the same bytes are one table. With other bytes they clash: no table
    is ever given another ID, which would change its bytes and lose the network's name.

    Args:
        paths: what `load_tables` takes: tables, folders of them, results folders, downloads.
        folder: a new or empty folder; it is there whole in the end, or not at all.
        on_clash: "skip" leaves out what clashes with a table that was found before.
        damaged: "skip" leaves out damaged tables.
        link: hard links in place of copies: no room is needed, and a change shows in both places.

    Raises:
        TableError: nothing there to read, or a damaged table; nothing is written.
        NnlcError: clashes, or the folder is in use or can't be written; nothing is written.
    """
    places, folder = as_paths(paths), Path(folder)
    merger, skipped = _read(places, folder, on_clash, damaged)
    return _write(merger, merger, folder, places, skipped, link=link)


def subset_tables(
    paths: Paths,
    folder: str | Path,
    ids: Iterable[str] | Chooser,
    *,
    on_clash: OnClash = "refuse",
    damaged: Damaged = "refuse",
    link: bool = False,
) -> Collected:
    """Put some of the tables into a new folder, as `merge_tables` does with all of them.

    Args:
        paths: as there, and so are `folder`, `on_clash`, `damaged` and `link`.
        ids: of the tables, or a function that is given all of them and chooses.

    Raises:
        NnlcError: as there, and for an ID that has no table, or where none is chosen.
    """
    places, folder = as_paths(paths), Path(folder)
    merger, skipped = _read(places, folder, on_clash, damaged)
    chosen = ids(frames_of(one.reading for one in merger.firsts)) if callable(ids) else ids
    part = _part(merger, chosen)
    return _write(part, merger, folder, places, skipped, link=link)


def _read(
    paths: Sequence[Path], folder: Path, on_clash: OnClash, damaged: Damaged
) -> tuple[Merger, list[Skipped]]:
    check_choice("on_clash", on_clash, ("refuse", "skip"))
    check_choice("damaged", damaged, ("refuse", "skip"))
    check_destination(folder, paths)
    sources, skipped = read_sources(paths, damaged)
    merger = merge_sources(sources)
    if on_clash == "refuse":
        refuse_clashes(merger)
    return merger, skipped


def _part(merger: Merger, ids: Iterable[str]) -> Merger:
    chosen = dict.fromkeys(ids)
    check_known(chosen, merger.taken)
    clashes = [clash for clash in merger.clashes if clash.first.id in chosen]
    return replace(merger, taken={id_: merger.taken[id_] for id_ in chosen}, clashes=clashes)


def _write(
    part: Merger,
    merger: Merger,
    folder: Path,
    paths: Sequence[Path],
    skipped: Sequence[Skipped],
    *,
    link: bool,
) -> Collected:
    if not part.taken:
        raise NnlcError(f"none of the {len(merger.taken)} tables is chosen; nothing is written")
    journals = Journals(paths)
    return Collected(
        recorded=write_collection(part, folder, paths, journals, link=link),
        tables=len(part.taken),
        among=len(merger.taken),
        notes=tuple(notes(part)),
        skipped=(*skipped, *journals.skipped),
    )
