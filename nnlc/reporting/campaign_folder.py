"""A results folder: its campaign's networks, and where each of them stands at this moment."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.reporting.campaign_facts import (
    JobFacts,
    campaign_facts,
    read_job_facts,
    seconds_of,
    stop_of,
)
from nnlc.reporting.folder_watcher import FolderWatcher
from nnlc.reporting.network_state import Curve, PageNetwork, Standing, State, flags_of
from nnlc.reporting.page_subject import DatasetProgress, Moment, Progress, Subject
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import History, as_number, read_history
from nnlc.results.inventory import Entry, judge
from nnlc.results.journal import read_progress
from nnlc.results.open_jobs import unsaid_ends
from nnlc.system.files import ignored_lines, open_regular, why_unread
from nnlc.tables.folder_names import EVENTS
from nnlc.tables.frames import frames_of
from nnlc.tables.record import Record
from nnlc.wording import counted

MOST_OF_THE_TIME = 0.05
"""Reading a journal takes no larger part of one processor, and neither does looking at all."""
_LONGEST_CAMPAIGN_BYTES = 1_000_000


class CampaignFolder:
    """Looks at a results folder, again and again; it writes nothing there.

    A long journal that grows is read again only now and then.

    Args:
        results: the folder.
        clock: seconds, never set back.

    Raises:
        ResultsError: no results folder.
    """

    def __init__(self, results: ResultsFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.results = results
        self.campaign = results.campaign()
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
        self.jobs = JobFacts()
        self._watched: dict[str, dict[int, float]] = {}

    def subject(self) -> Subject:
        """What never changes of it."""
        networks = [PageNetwork(n.spec, n.images.name, n.images) for n in self.networks]
        try:
            with open_regular(self.results.campaign_file) as file:
                text = file.read(_LONGEST_CAMPAIGN_BYTES).decode("utf-8", "replace")
        except OSError as problem:
            raise ResultsError(f"{self.results.campaign_file}: {why_unread(problem)}") from None
        return Subject(f"campaign {self.campaign.name}", networks, text)

    def look(self) -> Moment:
        """Where everything stands now; only what changed since the last time is read.

        Raises:
            ResultsError: the folder is gone, or a folder of tables can't be read.
        """
        if not self.results.campaign_file.exists():  # an unmounted disk has no tables either
            raise ResultsError(f"{self.results.campaign_file} is gone: what is shown is older")
        running = read_progress(self.results.journal_folder)
        self._look_at_journal()
        self._look_at_tables()
        self._watch(running)
        standings = [self._standing(network, running) for network in self.networks]
        trouble = self._history.trouble if running else None
        return Moment(
            standings,
            campaign_facts(self.campaign, self.networks, standings, self._history, self.jobs),
            Progress(tuple(self._count(standings)), trouble),
            self._notes(standings),
        )

    def _look_at_journal(self) -> None:
        folder, start = self.results.journal_folder, self._clock()
        stamp = _stamp(folder)
        if stamp != self._journal_stamp and start >= self._journal_due:
            self._history, self.jobs = read_history(folder), read_job_facts(folder)
            self._journal_stamp, end = stamp, self._clock()
            self._journal_due = end + (end - start) / MOST_OF_THE_TIME

    def _look_at_tables(self) -> None:
        """Judge tables that are new or changed, and again those that were found wrong."""
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
        standing = {id_ for id_, entry in entries.items() if entry.stands}
        read = [one for n, _, one in tables if isinstance(one, Record) and n.spec.id in standing]
        if read:
            self._flags |= flags_of(frames_of(read))

    def _table(self, network: CampaignNetwork) -> Record | TableError | None:
        return self._watchers[network.images.name].found.get(network.spec.id)

    def _watch(self, running: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the accuracies that jobs tell of networks under way, by half epoch."""
        for id_ in self._watched.keys() - running.keys():
            del self._watched[id_]
        for id_, entry in running.items():
            reached, accuracy = entry["half_epochs"], entry.get("accuracy")
            points = self._watched.setdefault(id_, {})
            for later in [number for number in points if number > reached]:
                del points[later]  # it went on from a checkpoint
            value = as_number(accuracy)
            if 0 < reached <= self.campaign.half_epochs and value is not None:
                points[reached] = value

    def _standing(
        self, network: CampaignNetwork, running: Mapping[str, Mapping[str, Any]]
    ) -> Standing:
        id_ = network.spec.id
        entry, table = self._entries[id_], self._table(network)
        if entry.problem:
            return Standing(State.DAMAGED, reason=entry.reason)
        if isinstance(table, Record):
            return Standing(
                State.DONE,
                table.curve,
                len(table.curve),
                self._flags.get(id_, 0),
                seconds=seconds_of(self._history, id_),
                stop=stop_of(self._history, id_),
            )
        attempts = self._history.attempts.get(id_, 0)
        if id_ in running:
            reached = max(0, min(running[id_]["half_epochs"], self.campaign.half_epochs))
            curve = _partial(self._watched[id_])
            return Standing(State.UNDER_WAY, curve, reached, attempts=attempts)
        if id_ in self._history.failures:
            return Standing(State.FAILED, reason=self._history.failures[id_], attempts=attempts)
        return Standing(State.WAITING, attempts=attempts)

    def _count(self, standings: Sequence[Standing]) -> list[DatasetProgress]:
        groups: dict[str, list[Standing]] = {name: [] for name in self._watchers}
        for network, standing in zip(self.networks, standings, strict=True):
            groups[network.images.name].append(standing)
        return [_progress(name, group, self.campaign.half_epochs) for name, group in groups.items()]

    def _notes(self, standings: Sequence[Standing]) -> list[str]:
        ids = {network.spec.id for network in self.networks}
        journal = self.results.journal_folder
        pairs = zip(self.networks, standings, strict=True)
        missing = [n.spec.id for n, one in pairs if one.state not in (State.DONE, State.DAMAGED)]
        notes = ignored_lines(self.results.unusable_entries())
        notes += unsaid_ends(journal, self._history.open_jobs, missing)
        damaged = [one.reason for one in standings if one.state == State.DAMAGED]
        notes += [f"A table is damaged: {reason}" for reason in damaged]
        for watcher in self._watchers.values():
            for id_, one in watcher.found.items():
                if isinstance(one, TableError) and id_ not in ids:
                    notes.append(f"A table is damaged: {one}")
            if foreign := len(watcher.found.keys() - ids):
                what = counted(foreign, "table is", "tables are")
                what += " of no network of this campaign, and not shown"
                notes.append(f"{what}: {watcher.folder.name}")
        return notes


def _progress(name: str, group: Sequence[Standing], half_epochs: int) -> DatasetProgress:
    states = Counter(one.state for one in group)
    short = [half_epochs - one.half_epochs for one in group if one.state == State.DONE]
    return DatasetProgress(
        name=name,
        done=states[State.DONE],
        under_way=states[State.UNDER_WAY],
        waiting=states[State.WAITING],
        failed=states[State.FAILED],
        not_whole=states[State.DAMAGED],
        rows=sum(one.half_epochs for one in group),
        all_rows=len(group) * half_epochs,
        stopped=sum(rest > 0 for rest in short),
        saved=sum(short),
    )


def _partial(points: Mapping[int, float]) -> Curve:
    """A curve of which only some accuracies are known."""
    curve = np.full((max(points, default=0), 3), math.nan)
    for number, accuracy in points.items():
        curve[number - 1, 2] = accuracy
    return curve


def _stamp(folder: Path) -> object:
    """What changes when a journal does."""
    found = []
    for path in sorted(folder.glob(f"*{EVENTS}")):
        try:
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns))
        except OSError:
            continue
    return found
