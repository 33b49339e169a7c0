"""State of a results folder: its campaign's networks and the progress of each."""

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.families.registry import naming_folder
from nnlc.networks.specification import ID_PATTERN
from nnlc.reporting.campaign_facts import campaign_facts, log_facts, seconds_of, stop_of
from nnlc.reporting.network_state import (
    LEFT,
    NO_CURVE,
    Curve,
    DatasetProgress,
    NetworkState,
    PageNetwork,
    PageSubject,
    Snapshot,
    State,
    flags_of,
)
from nnlc.reporting.progress_lines import progress_lines
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import counted_size, read_folder_costs
from nnlc.results.history import History, Reached, as_number, read_history
from nnlc.results.inventory import Entry, judge
from nnlc.results.open_jobs import networks_under_way, unsaid_ends
from nnlc.results.status import read_reached
from nnlc.system.files import ignored_lines, names_in, read_regular, why_unread
from nnlc.tables.folder_names import EVENTS, TABLE, table_name
from nnlc.tables.frames import frames_of
from nnlc.tables.record import Record, read_records
from nnlc.tables.table_folders import TableFiles
from nnlc.wording import counted

READING_SHARE = 0.05
"""Largest share of the time spent on reading the journal, and on reading altogether."""
_LONGEST_CAMPAIGN_BYTES = 1_000_000

_Stamp = tuple[int, ...]
"""Size, times and inode of a file; at least one of them differs after a change."""


class FolderWatcher:
    """Watcher of one folder of tables.

    Args:
        folder: the folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamps: dict[str, _Stamp] = {}
        self.found: dict[str, Record | TableError] = {}
        """Each table, or what is wrong with it, by the ID in the file's name."""

    def look(self) -> set[str]:
        """Read the tables that are new or changed, and return their IDs and those of deleted ones.

        Raises:
            ResultsError: the folder can't be read.
        """
        stamps = self._look_at_names()
        gone = self.found.keys() - stamps.keys()
        for id_ in gone:
            del self.found[id_]
        changed = [id_ for id_, stamp in stamps.items() if self._stamps.get(id_) != stamp]
        self._stamps = stamps
        files = TableFiles(self.folder, tuple(map(table_name, changed)), whole=True)
        read = read_records(files) if changed else ()
        for id_, one in zip(changed, read, strict=True):
            self.found[id_] = one
            if isinstance(one, TableError) and one.unread:
                del self._stamps[id_]  # a failing disk: read again at the next look
        return gone | set(changed)

    def _look_at_names(self) -> dict[str, _Stamp]:
        found = {}
        try:
            for name in names_in(self.folder):
                id_ = name.removesuffix(TABLE)
                if id_ != name and ID_PATTERN.fullmatch(id_):
                    with suppress(FileNotFoundError):  # gone in between
                        found[id_] = _file_stamp(os.lstat(self.folder / name))
        except OSError as problem:
            raise ResultsError(f"{self.folder}: {why_unread(problem)}") from None
        return found


class CampaignFolder:
    """Reader of a results folder, called repeatedly; it never writes.

    A long journal is not read after each of its changes.

    Args:
        results: the folder.
        clock: function that returns seconds, and never fewer than before.

    Raises:
        ResultsError: the folder is no results folder.
    """

    def __init__(self, results: ResultsFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.results = results
        self.campaign = results.campaign()
        with naming_folder(results.path):
            self.networks: tuple[CampaignNetwork, ...] = tuple(self.campaign.networks())
        self._watchers = {
            name: FolderWatcher(results.models_folder(images))
            for name, images in self.campaign.image_sets().items()
        }
        self._entries: dict[str, Entry] = {}
        self._flags: dict[str, int] = {}
        self._journal_stamp: object = None
        self._journal_due = -math.inf
        self._history = History()
        self._watched: dict[str, dict[int, float]] = {}

    def subject(self) -> PageSubject:
        """Return the content that never changes: the networks and the campaign."""
        read_folder_costs(self.results, self.networks)
        networks = [
            PageNetwork(n.spec, n.images.name, n.images, n.family, counted_size(n))
            for n in self.networks
        ]
        try:
            text = read_regular(self.results.campaign_file, most=_LONGEST_CAMPAIGN_BYTES)
        except OSError as problem:
            raise ResultsError(f"{self.results.campaign_file}: {why_unread(problem)}") from None
        return PageSubject(
            f"campaign {self.campaign.name}", networks, text.decode("utf-8", "replace")
        )

    def look(self) -> Snapshot:
        """Return the state of all networks; only what has changed is read.

        Raises:
            ResultsError: the folder is gone, or a folder of tables can't be read.
        """
        # Else an unmounted disk would look like lost tables.
        if not self.results.campaign_file.exists():
            raise ResultsError(f"{self.results.campaign_file} is gone: what is shown is older")
        self._look_at_journal()
        under_way = networks_under_way(self.results.journal_folder, self._history.open_jobs)
        self._look_at_tables()
        self._watch(under_way)
        reached = read_reached(self.results, self.campaign, self._history, under_way, self._entries)
        states = [self._state(n, under_way, reached) for n in self.networks]
        left = {
            n.spec.id: reached.get(n.spec.id, Reached())
            for n, one in zip(self.networks, states, strict=True)
            if one.state in LEFT
        }
        trouble = self._history.trouble if under_way else None
        return Snapshot(
            states,
            [
                *campaign_facts(self.campaign, self.networks, states, self._history),
                *log_facts(self.results.logs_folder),
            ],
            self._count(states),
            progress_lines(self.results, self.campaign, self.networks, self._history, left),
            trouble,
            self._notes(states),
        )

    def _look_at_journal(self) -> None:
        folder, start = self.results.journal_folder, self._clock()
        stamp = _stamp(folder)
        if stamp != self._journal_stamp and start >= self._journal_due:
            self._history = read_history(folder)
            self._journal_stamp, end = stamp, self._clock()
            self._journal_due = end + (end - start) / READING_SHARE

    def _look_at_tables(self) -> None:
        """Judge the tables that are new or changed, and again the damaged and foreign ones."""
        changed = {id_ for watcher in self._watchers.values() for id_ in watcher.look()}
        wrong = {id_ for id_, entry in self._entries.items() if entry.problem}
        first = not self._entries
        tables = [
            (network, self.results.table_path(network.images, network.spec), self._table(network))
            for network in self.networks
            if first or network.spec.id in changed or network.spec.id in wrong
        ]
        entries = judge(self.campaign, tables, self._history.finishes)
        self._entries |= entries
        with_tables = {id_ for id_, entry in entries.items() if entry.has_table}
        read = [one for n, _, one in tables if isinstance(one, Record) and n.spec.id in with_tables]
        if read:
            self._flags |= flags_of(frames_of(read))

    def _table(self, network: CampaignNetwork) -> Record | TableError | None:
        return self._watchers[network.images.name].found.get(network.spec.id)

    def _watch(self, running: Mapping[str, Mapping[str, Any]]) -> None:
        """Add the accuracies that jobs record for networks under way, by half epoch."""
        for id_ in self._watched.keys() - running.keys():
            del self._watched[id_]
        for id_, entry in running.items():
            reached, accuracy = entry["half_epochs"], entry.get("accuracy")
            points = self._watched.setdefault(id_, {})
            for later in [number for number in points if number > reached]:
                del points[later]  # the network continued from an earlier checkpoint
            value = as_number(accuracy)
            if 0 < reached <= self.campaign.half_epochs and value is not None:
                points[reached] = value

    def _state(
        self, network: CampaignNetwork, running: Container[str], reached: Mapping[str, Reached]
    ) -> NetworkState:
        id_ = network.spec.id
        entry, table = self._entries[id_], self._table(network)
        if entry.problem:
            return NetworkState(State.DAMAGED, reason=entry.reason)
        if isinstance(table, Record) and entry.has_table:
            return NetworkState(
                State.DONE,
                table.curve,
                len(table.curve),
                self._flags.get(id_, 0),
                seconds=seconds_of(self._history, id_),
                stop=stop_of(self._history, id_),
            )
        attempts = self._history.attempts.get(id_, 0)
        half_epochs = reached.get(id_, Reached()).half_epochs
        if id_ in running:
            curve = _partial(self._watched[id_])
            return NetworkState(State.UNDER_WAY, curve, half_epochs, attempts=attempts)
        if id_ in self._history.failures:
            return NetworkState(State.FAILED, reason=self._history.failures[id_], attempts=attempts)
        # A table from before the campaign got more epochs.
        curve = table.curve if isinstance(table, Record) else NO_CURVE
        return NetworkState(State.WAITING, curve, half_epochs, attempts=attempts)

    def _count(self, states: Sequence[NetworkState]) -> list[DatasetProgress]:
        groups: dict[str, list[NetworkState]] = {name: [] for name in self._watchers}
        for network, state in zip(self.networks, states, strict=True):
            groups[network.images.name].append(state)
        return [_progress(name, group, self.campaign.half_epochs) for name, group in groups.items()]

    def _notes(self, states: Sequence[NetworkState]) -> list[str]:
        ids = {network.spec.id for network in self.networks}
        notes = ignored_lines(self.results.unusable_entries())
        notes += unsaid_ends(self.results.journal_folder, self._history.open_jobs)
        damaged = [one.reason for one in states if one.state == State.DAMAGED]
        notes += [f"A table can't be used: {reason}" for reason in damaged]
        for watcher in self._watchers.values():
            for id_, one in watcher.found.items():
                if isinstance(one, TableError) and id_ not in ids:
                    notes.append(f"A table can't be used: {one}")
            if foreign := len(watcher.found.keys() - ids):
                what = counted(foreign, "table is", "tables are")
                what += " of no network of this campaign, and not shown"
                notes.append(f"{what}: {watcher.folder.name}")
        return notes


def _progress(name: str, group: Sequence[NetworkState], half_epochs: int) -> DatasetProgress:
    states = Counter(one.state for one in group)
    short = [half_epochs - one.half_epochs for one in group if one.state == State.DONE]
    return DatasetProgress(
        name=name,
        done=states[State.DONE],
        under_way=states[State.UNDER_WAY],
        waiting=states[State.WAITING],
        failed=states[State.FAILED],
        unusable=states[State.DAMAGED],
        rows=sum(one.half_epochs for one in group),
        all_rows=len(group) * half_epochs,
        stopped=sum(rest > 0 for rest in short),
        saved=sum(short),
    )


def _partial(points: Mapping[int, float]) -> Curve:
    """Return a curve of which only some accuracies are known."""
    curve = np.full((max(points, default=0), 3), math.nan)
    for number, accuracy in points.items():
        curve[number - 1, 2] = accuracy
    return curve


def _stamp(folder: Path) -> object:
    """Return names, sizes and times of a journal's files; they show that it has changed."""
    found = []
    for path in sorted(folder.glob(f"*{EVENTS}")):
        with suppress(OSError):
            found.append((path.name, _file_stamp(path.stat())))
    return found


def _file_stamp(about: os.stat_result) -> _Stamp:
    # A user can set st_mtime back, but not st_ctime.
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino
