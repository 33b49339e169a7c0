"""Inventory of a campaign: the state of every network's table, and the reason for it.

A table can be used if it is a regular file in the published format, describes the network of its
name in this campaign, and has the right length. nnlc leaves any other file in place; its network
is neither done nor waiting until `nnlc retry` moves the file to `aside`.

| state | file in the table's place |
| --- | --- |
| missing | none |
| whole | the network's table, with all half epochs of the campaign |
| stopped | the network's table, which the campaign's stop rule has ended early |
| short | the network's table from before the campaign got more epochs: training goes on |
| damaged | a file that is no table, a table of the wrong length, or a file that can't be read |
| foreign | a whole table of another network, or of another campaign |
"""

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish, read_history
from nnlc.results.paths import ResultsPaths
from nnlc.results.weights_header import kept_half_epochs
from nnlc.system.files import names_in, why_unread
from nnlc.tables.table import wrong_length
from nnlc.wording import counted, first_few

if TYPE_CHECKING:  # NumPy, which no agent needs before tables exist
    from nnlc.tables.record import Record

    Found = Record | TableError | None
    """Table that was read, the reason why it can't be read, or None if there is no file."""

_AT_ONCE = 500
"""Number of tables that are given to a stop rule at a time."""
_FIRST_METADATA = 5
"""Column of the first value of metadata in a table."""


class State(Enum):
    """State of a network's table."""

    MISSING = "missing"
    WHOLE = "whole"
    STOPPED = "stopped"
    SHORT = "short"
    DAMAGED = "damaged"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of one network in an inventory."""

    path: Path
    """Path of the table."""
    state: State
    half_epochs: int = 0
    """Rows of the network's own table."""
    kept: int = 0
    """Half epochs of a short table after which training goes on from kept weights; 0: none kept."""
    problem: TableError | None = None
    """Reason why the file is not the network's table."""

    @property
    def has_table(self) -> bool:
        """True if the network's own table is there, whole or stopped early."""
        return self.state in (State.WHOLE, State.STOPPED)

    @property
    def reason(self) -> str:
        """Return the problem in words, with path, line and column; "" without one."""
        return str(self.problem or "")

    @property
    def unread(self) -> bool:
        """True if the file system refused to read the file; its content may be right."""
        return self.problem is not None and self.problem.unread


@dataclass(frozen=True, slots=True)
class Inventory:
    """Entries of networks by ID, in the campaign's order."""

    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def with_tables(self) -> dict[str, Entry]:
        """Return the entries of networks that have their tables."""
        return {id_: one for id_, one in self.entries.items() if one.has_table}

    @property
    def not_whole(self) -> dict[str, Entry]:
        """Return the entries that are damaged or foreign."""
        return {id_: one for id_, one in self.entries.items() if one.problem is not None}

    @property
    def short(self) -> dict[str, Entry]:
        """Return the entries of networks whose tables lack the epochs by which a campaign grew."""
        return {id_: one for id_, one in self.entries.items() if one.state is State.SHORT}

    @property
    def to_train(self) -> set[str]:
        """Return the IDs of networks to train: with a short table, or no file in its place."""
        states = (State.MISSING, State.SHORT)
        return {id_ for id_, one in self.entries.items() if one.state in states}


def inventory(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    finishes: Mapping[str, Finish] | None = None,
) -> Inventory:
    """Return the state of every network's table; each existing file is read in full.

    Args:
        results: the folder.
        campaign: campaign of the folder.
        networks: networks of the campaign to look at.
        finishes: finish events of the journal, by ID.

    Raises:
        ResultsError: a folder of tables can't be listed.
    """
    by_folder = defaultdict(list)
    for network in networks:
        by_folder[results.models_folder(network.images)].append(network)
    entries: dict[str, Entry] = {}
    for folder, several in by_folder.items():
        names = _names(folder)
        places = ((n, results.table_path(n.images, n.spec)) for n in several)
        tables = ((n, path, _read(path) if path.name in names else None) for n, path in places)
        entries |= judge(campaign, tables, finishes or {})
    return Inventory({n.spec.id: entries[n.spec.id] for n in networks})


def entry_of(results: ResultsFolder, campaign: Campaign, network: CampaignNetwork) -> Entry:
    """Return the state of one network's table.

    If the stop rule would end the table elsewhere, the journal is read now and decides: on
    another processor, the rule may stop at another half epoch.
    """
    path, id_ = results.table_path(network.images, network.spec), network.spec.id
    found = _read(path) if os.path.lexists(path) else None
    entry = judge(campaign, [(network, path, found)], {})[id_]
    if entry.problem is not None and campaign.stop is not None:
        finishes = read_history(results.journal_folder).finishes
        return judge(campaign, [(network, path, found)], finishes)[id_]
    return entry


def judge(
    campaign: Campaign,
    tables: Iterable[tuple[CampaignNetwork, Path, "Found"]],
    finishes: Mapping[str, Finish],
) -> dict[str, Entry]:
    """Return the entry of each network, by ID, from the file in its table's place.

    The stop rule is applied only to tables whose digest is not in the journal.

    Args:
        campaign: campaign that the tables should belong to.
        tables: networks with the paths of their tables, and what was read there.
        finishes: finish events of the journal, by ID.
    """
    entries: dict[str, Entry] = {}
    unknown: list[tuple[str, Record]] = []
    for network, path, found in tables:
        id_ = network.spec.id
        entry = entries[id_] = _entry(campaign, network, path, found)
        if campaign.stop is None or found is None or isinstance(found, TableError):
            continue
        finish = finishes.get(id_)
        if entry.has_table and (finish is None or finish.sha256 != found.sha256):
            unknown.append((id_, found))
        if len(unknown) == _AT_ONCE:
            entries |= _wrong_ends(campaign, unknown)
            unknown = []
    return entries | _wrong_ends(campaign, unknown)


def not_whole_lines(not_whole: Collection[Entry], results: Path) -> list[str]:
    """Return lines on damaged and foreign tables: reasons, and what to do."""
    if not not_whole:
        return []
    states = Counter(one.state.value for one in not_whole)
    kinds = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    which = "those that can be read" if any(one.unread for one in not_whole) else "such files"
    return [
        f"{counted(len(not_whole), 'table')} can't be used ({kinds}); 'nnlc retry "
        f"{shlex.quote(str(results))}' moves {which} aside, and the next start trains their "
        "networks again:",
        *first_few([f"  {one.reason}" for one in not_whole]),
    ]


def _entry(campaign: Campaign, network: CampaignNetwork, path: Path, found: "Found") -> Entry:
    """Return a network's entry without applying the stop rule."""
    if found is None:
        return Entry(path, State.MISSING)
    if isinstance(found, TableError):
        return Entry(path, State.DAMAGED, problem=found)
    if problem := _difference(network, path, found):
        return Entry(path, State.FOREIGN, problem=problem)
    rows, half_epochs = len(found.curve), campaign.half_epochs
    if rows < half_epochs and campaign.stop is not None:
        return Entry(path, State.STOPPED, rows)
    if rows in campaign.earlier_half_epochs:
        kept = kept_half_epochs(ResultsPaths(path.parent.parent).weights_path(found.id))
        return Entry(path, State.SHORT, rows, kept=rows if kept == rows else 0)
    if problem := wrong_length(rows, half_epochs, path):
        return Entry(path, State.DAMAGED, problem=problem)
    return Entry(path, State.WHOLE, rows)


def _difference(network: CampaignNetwork, path: Path, record: "Record") -> TableError | None:
    """Return the first difference between a table's metadata and its network's, if any."""
    if record.layout != network.spec.layout:
        return TableError(
            f"is of another family than the campaign's network {network.spec.id}",
            path=path,
            line=1,
        )
    for i, (column, found) in enumerate(zip(record.layout.columns, record.metadata, strict=True)):
        wanted = getattr(network.spec, column.field)
        if found != wanted and column.field != "train_gpu":  # depends on the device; not drawn
            return TableError(
                f"is of another network than the campaign's {network.spec.id}: "
                f"{column.write(found)[:80]!r} where {column.write(wanted)[:80]!r} belongs",
                path=path,
                line=2,
                column=_FIRST_METADATA + i,
                column_name=column.name,
            )
    return None


def _wrong_ends(campaign: Campaign, tables: Sequence[tuple[str, "Record"]]) -> dict[str, Entry]:
    """Return entries for the tables that end elsewhere than the campaign's stop rule says."""
    if not tables or campaign.stop is None:
        return {}
    from nnlc.analysis.stop_ends import wrong_ends

    curves = [record.curve for _, record in tables]
    ends = wrong_ends(curves, campaign.half_epochs, campaign.stop)
    return {
        id_: Entry(
            record.path,
            State.DAMAGED,
            problem=TableError(wrong.problem, path=record.path, line=wrong.line),
        )
        for (id_, record), wrong in zip(tables, ends, strict=True)
        if wrong is not None
    }


def _read(path: Path) -> "Found":
    """Read the file at a table's path."""
    from nnlc.tables.record import read_record

    try:
        return read_record(path, follow_link=False)
    except TableError as problem:
        gone = problem.unread and not os.path.lexists(path)  # removed after the folder was listed
        return None if gone else problem


def _names(folder: Path) -> Collection[str]:
    """Return the names of the files in a folder of tables; none if the folder is missing.

    Raises:
        ResultsError: the folder can't be listed.
    """
    try:
        return set(names_in(folder))
    except OSError as problem:
        raise ResultsError(f"{folder}: {why_unread(problem)}") from None
