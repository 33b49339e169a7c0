"""Running networks of a job: their rows as they come in, and their tables at the end."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import NnlcError
from nnlc.ranks.job import Job
from nnlc.ranks.table_writer import FinishedTable, TableWriter
from nnlc.results.inventory import State, entry_of
from nnlc.system import messages
from nnlc.system.files import read_regular
from nnlc.tables import Row, Table

_ROUTING_KEYS = ("kind", "index", "trainer")


@dataclass(slots=True)
class RunningNetwork:
    """A network in training, and its rows so far."""

    network: CampaignNetwork
    rank: int
    rows: list[Row] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Seconds of the half epochs that this attempt has finished."""

    @property
    def pace(self) -> float | None:
        """Mean seconds of these half epochs; None before the first."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else None

    @property
    def trained(self) -> bool:
        """True if this attempt has finished a half epoch."""
        return bool(self.seconds)

    @property
    def id(self) -> str:
        return self.network.spec.id


class RunningNetworks:
    """Running networks of a job, and finished ones whose tables are not yet written.

    Args:
        job: this job.

    Attributes:
        tables: writer of the finished tables.
        eager_because: reason why a network's steps could not be captured as CUDA graphs, by the
            index of a network that is trained without graphs in this job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._networks: dict[int, RunningNetwork] = {}
        self._finished: dict[int, tuple[RunningNetwork, dict[str, Any]]] = {}
        self.eager_because: dict[int, str] = {}
        self.tables = TableWriter(
            60 * job.campaign.run.disk_minutes,
            job.clock,
            job.results.ready,
            self._may_replace,
        )

    def __bool__(self) -> bool:
        """Return True if a network is running, or finished and not yet written."""
        return bool(self._networks or self._finished)

    def add(self, network: CampaignNetwork, rank: int) -> None:
        """Add a network that is handed to a rank."""
        self._networks[network.index] = RunningNetwork(network, rank)

    def remove(self, index: int) -> RunningNetwork:
        """Remove and return a network that is no longer running."""
        return self._networks.pop(index)

    def take_back(self, message: messages.Message) -> CampaignNetwork:
        """Remove and return a network that no trainer took, or whose steps can't be captured."""
        running = self.remove(message["index"])
        if message["kind"] == "uncaptured":
            reason = self.eager_because[message["index"]] = message["reason"]
            self._job.journal.write("uncaptured", id=running.id, rank=running.rank, reason=reason)
            self._job.progress.message(
                f"{running.id}: its steps can't be captured, so it is trained without CUDA graphs, "
                f"more slowly and with the same result: {reason}"
            )
        return running.network

    def add_row(self, message: messages.Message) -> RunningNetwork:
        """Add the row of a half epoch.

        Raises:
            NnlcError: the half epoch before it is missing.
        """
        running = self._networks[message["index"]]
        if message["half_epoch"] != len(running.rows) + 1:
            raise NnlcError(
                f"network {running.id}: half epoch {message['half_epoch']} came after "
                f"{len(running.rows)}; please report this as a bug in nnlc"
            )
        running.rows.append(Row(*message["values"]))
        running.seconds.append(message["seconds"])
        self._job.progress.row(running.network, len(running.rows), running.rows[-1])
        return running

    def on_checkpoint(self, message: messages.Message) -> None:
        """Handle a trainer's message on a checkpoint: loaded, saved, put aside or unwritable."""
        running, kind, facts = self._networks[message["index"]], message["kind"], _facts(message)
        match kind:
            case "resumed":
                running.rows = [Row(*values) for values in facts.pop("rows")]
                half_epoch = len(running.rows)
                self._job.journal.write("resume", id=running.id, half_epoch=half_epoch, **facts)
                self._job.progress.resumed(running.network, running.rows)
            case "saved":
                self._job.time_left.record_save(message["seconds"])
                self._job.journal.write("checkpoint", id=running.id, **facts)
            case "aside" | "trouble":
                self._job.journal.write(kind, id=running.id, **facts)
                where = f"{message['path']}: " if kind == "aside" else ""
                self._job.progress.message(f"{running.id}: {where}{message['reason']}")

    def finish(self, message: messages.Message) -> RunningNetwork:
        """Queue the table of a network that is finished, or was stopped by the campaign's rule.

        Raises:
            NnlcError: half epochs are missing.
        """
        running = self.remove(message["index"])
        network, half_epochs = running.network, self._job.campaign.half_epochs
        stop = message.get("stop")
        wanted = round(2 * stop["epoch"]) if stop and stop["stopped"] else half_epochs
        if len(running.rows) != wanted:
            raise NnlcError(
                f"network {running.id}: {len(running.rows)} half epochs of {wanted} came; "
                "please report this as a bug in nnlc"
            )
        facts = _facts(message)
        if network.index in self.eager_because:
            facts["eager_because"] = self.eager_because[network.index]
        self._finished[network.index] = running, facts
        path = self._job.results.table_path(network.images, network.spec)
        self.tables.add(network.index, Table(network.spec, tuple(running.rows)), path)
        return running

    def write(self, *, now: bool = False) -> None:
        """Write finished tables, as far as the disk permits.

        Args:
            now: True to try even if the last attempt is recent.
        """
        job = self._job
        for table, same in self.tables.write(now=now):
            running, facts = self._finished.pop(table.index)
            if same:
                attempts = job.attempts.count(running.id) + 1
                facts |= {"rank": running.rank, "attempts": attempts, "sha256": table.sha256}
                job.journal.write("finish", id=running.id, **facts)
            else:
                self._report_different_table(running, table)
            if running.id not in job.work.not_whole:
                with contextlib.suppress(OSError):  # files that stay only take space
                    job.results.remove_checkpoints(running.id)
            job.leases.release(running.id)
            job.progress.finished(
                running.network, running.rows, facts["seconds"], facts.get("stop")
            )

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return half epochs, last accuracy and pace of each running network, by ID."""
        return {
            running.id: {
                "half_epochs": len(running.rows),
                "accuracy": running.rows[-1].val_accuracy_percent if running.rows else None,
                "seconds_a_half_epoch": running.pace,
            }
            for running in self._networks.values()
        }

    def _may_replace(self, table: FinishedTable) -> bool:
        """Return True if a table is in the place of a shorter one, from before the campaign grew.

        The shorter table is put aside if the longer one does not begin with its bytes.
        """
        job, running = self._job, self._finished[table.index][0]
        if entry_of(job.results, job.campaign, running.network).state is not State.SHORT:
            return False
        if not table.content.startswith(read_regular(table.path)):
            place = job.results.make_aside_folder() / table.path.name
            table.path.rename(place)
            reason = (
                f"{table.path}: the longer table begins with other values than the one from before "
                "the campaign grew, perhaps since it was trained on another device or with another "
                f"version; that one is now {place}"
            )
            job.journal.write("trouble", id=running.id, reason=reason)
            job.progress.message(reason)
        return True

    def _report_different_table(self, running: RunningNetwork, table: FinishedTable) -> None:
        reason = (
            f"{table.path}: another job has written this table with other bytes than this job's, "
            "perhaps on another device or with another version; the file is kept"
        )
        entry = entry_of(self._job.results, self._job.campaign, running.network)
        if entry.problem:
            reason = f"{entry.reason}; it appeared while the network trained, and is kept"
            self._job.work.not_whole[running.id] = entry
        self._job.journal.write("trouble", id=running.id, reason=reason, sha256=table.sha256)
        self._job.progress.message(reason)


def _facts(message: messages.Message) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in _ROUTING_KEYS}
