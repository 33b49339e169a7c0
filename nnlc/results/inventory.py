"""Inventory of a campaign: the state of every network's table, and the reason for it.

A table is whole when it is a regular file in the published format, describes its own network of
this campaign, and ends where it should. Any other file is left as it is: its network counts neither
as done nor as waiting, until `nnlc retry` sets the file aside.

| state | file in the table's place |
| --- | --- |
| missing | none |
| whole | the network's table, with all half epochs of the campaign |
| stopped | the network's table, which the campaign's stop rule has ended early |
| damaged | no table, one that was cut or is of another length, or a file that can't be read |
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
from nnlc.system.files import names_in, why_unread
from nnlc.tables.columns import METADATA_COLUMNS
from nnlc.tables.table import wrong_length
from nnlc.wording import counted, first_few

if TYPE_CHECKING:  # NumPy, which no agent needs before tables exist
    from nnlc.tables.record import Record

    Found = Record | TableError | None
    """Table that was read, the reason why it can't be read, or None if there is no file."""

_AT_ONCE = 500
"""Number of tables that a stop rule is shown together."""
_FIRST_METADATA = 5
"""Column of the first of `METADATA_COLUMNS` in a table."""


class State(Enum):
    """State of a network's table."""

    MISSING = "missing"
    WHOLE = "whole"
    STOPPED = "stopped"
    DAMAGED = "damaged"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of one network in an inventory."""

    path: Path
    """Place of the table."""
    state: State
    half_epochs: int = 0
    """Rows of the network's own table."""
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
        """True if the file system refused to read the file, which may be whole all the same."""
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
    def missing(self) -> set[str]:
        """Return the IDs of networks without a table or any other file in its place."""
        return {id_ for id_, one in self.entries.items() if one.state is State.MISSING}


def inventory(
    results: ResultsFolder,
    campaign: Campaign,
    networks: Sequence[CampaignNetwork],
    finishes: Mapping[str, Finish] | None = None,
) -> Inventory:
    """Return the state of every network's table; each existing file is read whole.

    Args:
        results: the folder.
        campaign: the folder's.
        networks: those of the campaign that are asked for.
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

    Where a stop rule finds the table's end wrong, the journal of this moment has the last word:
    on another processor the rule may have stopped the network elsewhere.
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

    A stop rule is asked only where the journal does not know the table's digest.

    Args:
        campaign: the one that the tables should be of.
        tables: networks with the places of their tables, and what was read there.
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
    """Return lines that name damaged and foreign tables, why, and what to do."""
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
    """Return a network's entry, as far as no stop rule is needed."""
    if found is None:
        return Entry(path, State.MISSING)
    if isinstance(found, TableError):
        return Entry(path, State.DAMAGED, problem=found)
    if problem := _difference(network, path, found):
        return Entry(path, State.FOREIGN, problem=problem)
    rows, half_epochs = len(found.curve), campaign.half_epochs
    if rows < half_epochs and campaign.stop is not None:
        return Entry(path, State.STOPPED, rows)
    if problem := wrong_length(rows, half_epochs, path):
        return Entry(path, State.DAMAGED, problem=problem)
    return Entry(path, State.WHOLE, rows)


def _difference(network: CampaignNetwork, path: Path, record: "Record") -> TableError | None:
    """Return the first difference between a table's metadata and its network's, if any."""
    for i, (column, found) in enumerate(zip(METADATA_COLUMNS, record.metadata, strict=True)):
        wanted = getattr(network.spec, column.field)
        if found != wanted and column.field != "train_gpu":  # told by the device, not drawn
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
    """Return entries of those tables that do not end where the campaign's stop rule ends them."""
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
    """Read the file in a table's place."""
    from nnlc.tables.record import read_record

    try:
        return read_record(path, follow_link=False)
    except TableError as problem:
        gone = problem.unread and not os.path.lexists(path)  # since its folder was listed
        return None if gone else problem


def _names(folder: Path) -> Collection[str]:
    """Return the names in a folder of tables, none where there is no folder.

    Raises:
        ResultsError: it can't be listed.
    """
    try:
        return set(names_in(folder))
    except OSError as problem:
        raise ResultsError(f"{folder}: {why_unread(problem)}") from None
