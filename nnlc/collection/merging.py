"""`nnlc merge` and `nnlc subset`: tables of many folders, or some of them, in a new folder."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nnlc.collection.campaigns import KeptCampaigns
from nnlc.collection.clashes import MergedTables, merge_sources, notes, refuse_clashes
from nnlc.collection.collection_writer import write_collection
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
    """Result of a merge or a subset."""

    tables: int
    """Number of tables written."""
    among: int
    """Number of different tables read."""
    recorded: int
    """Number of tables written that have an event "finish" in a journal."""
    notes: tuple[str, ...]
    """Peculiarities of the tables, a line each."""
    skipped: tuple[Skipped, ...]
    """Files and folders that were not read, with the reason."""

    def remarks(self) -> Iterator[str]:
        """Yield the lines that a user should see."""
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
    """Copy the tables of many folders into one, byte for byte, and record their sources.

    The campaigns of their results folders and the kept weights come along, for `verify`, `rebuild`
    and `audit`.

    Two tables with the same ID and the same bytes count as one table. Two with the same ID and
    different bytes clash: IDs are never changed, as this would change a table's bytes.

    Args:
        paths: tables, folders of tables, results folders or downloads, as for `load_tables`.
        folder: a new or empty folder, written whole or not at all.
        on_clash: "refuse", or "skip" to leave out tables that clash with one found before.
        damaged: "refuse", or "skip" to leave out damaged tables.
        link: True to make hard links instead of copies: they need no space, and a change of either
            file changes both.

    Raises:
        TableError: there is no table, or one is damaged; nothing is written.
        NnlcError: tables clash, or the folder is in use or can't be written; nothing is written.
    """
    return _collect(as_paths(paths), Path(folder), None, on_clash, damaged, link)


def subset_tables(
    paths: Paths,
    folder: str | Path,
    ids: Iterable[str] | Chooser,
    *,
    on_clash: OnClash = "refuse",
    damaged: Damaged = "refuse",
    link: bool = False,
) -> Collected:
    """Copy some of the tables of many folders into a new folder, as `merge_tables` copies all.

    Args:
        paths: as for `merge_tables`, like `folder`, `on_clash`, `damaged` and `link`.
        ids: IDs of the tables to copy, or a function that returns them, given all tables.

    Raises:
        NnlcError: as for `merge_tables`; or an ID has no table, or no table is chosen.
    """
    return _collect(as_paths(paths), Path(folder), ids, on_clash, damaged, link)


def _collect(
    paths: Sequence[Path],
    folder: Path,
    ids: Iterable[str] | Chooser | None,
    on_clash: OnClash,
    damaged: Damaged,
    link: bool,
) -> Collected:
    """Copy the tables of these IDs; with None, all."""
    check_choice("on_clash", on_clash, ("refuse", "skip"))
    check_choice("damaged", damaged, ("refuse", "skip"))
    check_destination(folder, paths)
    sources, skipped = read_sources(paths, damaged)
    journals = Journals(paths)
    merged = part = merge_sources(sources)
    if on_clash == "refuse":
        refuse_clashes(merged)
    if ids is not None:
        if callable(ids):
            ids = ids(frames_of(merged.firsts, journals.recorded))
        part = _part(merged, ids)
    if not part.taken:
        raise NnlcError(f"none of the {len(merged.taken)} tables is chosen; nothing is written")
    campaigns = KeptCampaigns(part)
    return Collected(
        recorded=write_collection(part, folder, paths, journals, campaigns, link=link),
        tables=len(part.taken),
        among=len(merged.taken),
        notes=tuple(notes(part)),
        skipped=(*skipped, *journals.skipped, *campaigns.skipped),
    )


def _part(merged: MergedTables, ids: Iterable[str]) -> MergedTables:
    chosen = dict.fromkeys(ids)
    check_known(chosen, merged.taken)
    clashes = [clash for clash in merged.clashes if clash.first.id in chosen]
    return replace(merged, taken={id_: merged.taken[id_] for id_ in chosen}, clashes=clashes)
