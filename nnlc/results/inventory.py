"""Which networks of a campaign have their tables, and what is wrong with the others that stand.

A table is whole when it is a regular file in the published format, describes its own network of
this campaign, and ends where it should. A file that is not whole is left as it is: its network
counts neither as done nor as waiting, until `nnlc retry` sets the file aside.
"""

import hashlib
import os
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.results.history import Finish, read_history
from nnlc.results.paths import ResultsFolder
from nnlc.system.files import NotAFileError, names_in, why_unread
from nnlc.tables.columns import METADATA_COLUMNS
from nnlc.tables.table import wrong_length
from nnlc.wording import counted, first_few

if TYPE_CHECKING:  # NumPy, which no agent needs before tables stand
    from nnlc.tables.fast_parsing import Curve
    from nnlc.tables.table_reading import Reading

_AT_ONCE = 500
"""So many tables are shown to a stop rule together."""
_FIRST_METADATA = 5
"""The column of the first of `METADATA_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class NotWhole:
    """A file in a table's place, and why it is not the table."""

    path: Path
    problem: str
    """In words, with path, line and column."""
    unread: bool = False
    """The file system refused to read it, so that it may be whole all the same."""

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True, slots=True)
class Found:
    """What stands of the tables that were looked for."""

    rows: dict[str, int] = field(default_factory=dict)
    """Half epochs of each whole table, by the ID of its network."""
    not_whole: dict[str, NotWhole] = field(default_factory=dict)
    """By the ID of the network that the file is named after."""


class TableCheck:
    """Looks for tables, and judges each that stands by all of its bytes.

    Where the campaign has a stop rule, the rule is asked of each table whose checksum the journal
    does not know.

    Args:
        results: where they stand.
        campaign: whose tables they should be.
        finishes: what the journal says of finished networks, by ID.
        cache: take unchanged tables from the user's cache of what was read before.
    """

    def __init__(
        self,
        results: ResultsFolder,
        campaign: Campaign,
        finishes: Mapping[str, Finish] | None = None,
        *,
        cache: bool = False,
    ) -> None:
        self._results, self._campaign = results, campaign
        self._finishes = finishes or {}
        self._cache = cache and campaign.stop is None  # the cache knows no checksums
        self._right: dict[str, tuple[Any, ...]] = {}

    def look(self, networks: Sequence[CampaignNetwork]) -> Found:
        """Look for the tables of some networks.

        Raises:
            ResultsError: a folder of tables can't be listed.
        """
        found, by_folder = Found(), defaultdict(list)
        for network in networks:
            by_folder[self._results.models_folder(network.images)].append(network)
        for folder, several in by_folder.items():
            names = _names(folder)
            there = [network for network in several if f"{network.spec.id}.txt" in names]
            self._judge_all(self._read(folder, there, names), found)
        return found

    def look_at(self, network: CampaignNetwork) -> NotWhole | int | None:
        """Look for one table: its half epochs, why it is not whole, or None where none stands.

        Where a stop rule finds the table's end wrong, the journal of this moment has the last word:
        on another processor the rule may have stopped the network elsewhere.
        """
        found = self._judge_one(network)
        if isinstance(found, NotWhole) and self._campaign.stop is not None:
            self._finishes = read_history(self._results.journal_folder).finishes
            found = self._judge_one(network)
        return found

    def _judge_one(self, network: CampaignNetwork) -> NotWhole | int | None:
        found, id_ = Found(), network.spec.id
        self._judge_all(iter([(network, *self._read_now(network))]), found)
        return found.rows.get(id_) or found.not_whole.get(id_)

    def problem(self, network: CampaignNetwork, reading: "Reading") -> TableError | None:
        """Return what is wrong with a table that was read, where no stop rule has to be asked."""
        path = Path(reading.path)
        right = self._right.get(network.spec.id)
        if right is None:
            right = tuple(getattr(network.spec, column.field) for column in METADATA_COLUMNS)
            self._right[network.spec.id] = right
        pairs = enumerate(zip(METADATA_COLUMNS, reading.metadata, right, strict=True))
        for i, (column, found, wanted) in pairs:
            if found != wanted and column.field != "train_gpu":  # the device tells that
                return TableError(
                    f"is of another network than the campaign's {network.spec.id}: "
                    f"{column.write(found)[:80]!r} where {column.write(wanted)[:80]!r} belongs",
                    path=path,
                    line=2,
                    column=_FIRST_METADATA + i,
                    column_name=column.name,
                )
        rows, half_epochs = len(reading.curve), self._campaign.half_epochs
        if rows < half_epochs and self._campaign.stop is not None:
            return None
        return wrong_length(rows, half_epochs, path)

    def _read(
        self, folder: Path, networks: Sequence[CampaignNetwork], names: Collection[str]
    ) -> Iterator[tuple[CampaignNetwork, "Reading | NotWhole | None", str]]:
        """Read each table, or what is wrong with it; with its checksum where that counts."""
        if not networks:
            return
        if not self._cache:
            for network in networks:
                yield network, *self._read_now(network)
            return
        from nnlc.tables.table_folders import TableFiles
        from nnlc.tables.table_reading import read_files

        there = sorted(networks, key=lambda network: f"{network.spec.id}.txt")
        wanted = tuple(f"{network.spec.id}.txt" for network in there)
        files = TableFiles(folder, wanted, whole=len(wanted) == len(names))
        for network, one in zip(
            there, read_files(files, cache=True, follow_link=False), strict=True
        ):
            if isinstance(one, TableError):  # damaged, refused by the file system, or gone by now
                yield network, *self._read_now(network)
            else:
                yield network, one, ""

    def _read_now(self, network: CampaignNetwork) -> tuple["Reading | NotWhole | None", str]:
        """Read a table from its file, and its checksum where there is a stop rule."""
        path = self._results.table_path(network.images, network.spec)
        if not os.path.lexists(path):
            return None, ""
        from nnlc.tables.fast_parsing import parse_arrays
        from nnlc.tables.table_reading import Reading, read_content

        try:
            content, _ = read_content(path, follow_link=False)
        except FileNotFoundError:
            return None, ""
        except OSError as problem:
            unread = not isinstance(problem, NotAFileError)
            return NotWhole(path, f"{path}: {why_unread(problem)}", unread), ""
        try:
            reading = Reading(str(path), *parse_arrays(content, path=path))
        except TableError as damage:
            return NotWhole(path, str(damage)), ""
        stops = self._campaign.stop is not None
        return reading, hashlib.sha256(content).hexdigest() if stops else ""

    def _judge_all(
        self,
        tables: Iterator[tuple[CampaignNetwork, "Reading | NotWhole | None", str]],
        found: Found,
    ) -> None:
        """Note of each table whether it is whole."""
        unknown: list[tuple[Path, str, Curve]] = []
        for network, one, sha256 in tables:
            id_ = network.spec.id
            if isinstance(one, NotWhole):
                found.not_whole[id_] = one
            elif one is not None and (problem := self.problem(network, one)):
                found.not_whole[id_] = NotWhole(Path(one.path), str(problem))
            elif one is not None:
                found.rows[id_] = len(one.curve)
                finish = self._finishes.get(id_)
                if self._campaign.stop is not None and (not finish or finish.sha256 != sha256):
                    unknown.append((Path(one.path), id_, one.curve))
            if len(unknown) == _AT_ONCE:
                self._check_ends(unknown, found)
                unknown = []
        self._check_ends(unknown, found)

    def _check_ends(self, unknown: Sequence[tuple[Path, str, "Curve"]], found: Found) -> None:
        """Ask the stop rule of many tables at once whether each ends where it should."""
        if not unknown or self._campaign.stop is None:
            return
        from nnlc.analysis.stop_ends import wrong_ends

        curves = [curve for _, _, curve in unknown]
        ends = wrong_ends(curves, self._campaign.half_epochs, self._campaign.stop)
        for (path, id_, _), wrong in zip(unknown, ends, strict=True):
            if wrong is not None:
                del found.rows[id_]
                problem = TableError(wrong.problem, path=path, line=wrong.line)
                found.not_whole[id_] = NotWhole(path, str(problem))


def not_whole_lines(not_whole: Collection[NotWhole], results: Path) -> list[str]:
    """Say which tables are not whole, why, and what to do; nothing where all are."""
    if not not_whole:
        return []
    number = counted(len(not_whole), "table is", "tables are")
    which = "those that can be read" if any(one.unread for one in not_whole) else "such files"
    return [
        f"{number} not whole; 'nnlc retry {shlex.quote(str(results))}' moves {which} aside, and "
        "the next start trains their networks again:",
        *first_few([f"  {one}" for one in not_whole]),
    ]


def _names(folder: Path) -> Collection[str]:
    """List what may be tables in a folder; nothing where there is none.

    Raises:
        ResultsError: it can't be listed.
    """
    try:
        return {name for name in names_in(folder) if name.endswith(".txt")}
    except OSError as problem:
        raise ResultsError(f"{folder}: {why_unread(problem)}") from None
