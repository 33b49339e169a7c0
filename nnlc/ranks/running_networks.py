"""Learning curves on their way: rows that come in, and tables that are made of them."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.errors import NnlcError
from nnlc.ranks.job import Job
from nnlc.ranks.table_writer import FinishedTable, TableWriter
from nnlc.results.inventory import NotWhole, TableCheck
from nnlc.system import messages
from nnlc.tables import Row, Table

_ENVELOPE = ("kind", "index", "trainer")


@dataclass(slots=True)
class Curve:
    """A network under way and its half epochs so far."""

    network: CampaignNetwork
    rank: int
    rows: list[Row] = field(default_factory=list)
    trained: bool = False
    """A half epoch has been finished in this attempt."""

    @property
    def id(self) -> str:
        return self.network.spec.id


class Curves:
    """The networks under way.

    Args:
        job: what is shared.

    Attributes:
        tables: finished ones, until they stand.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._under_way: dict[int, Curve] = {}
        self._finished: dict[int, tuple[Curve, dict[str, Any]]] = {}
        self.tables = TableWriter(60 * job.campaign.run.disk_minutes, job.clock, job.results.ready)

    def __bool__(self) -> bool:
        """Whether anything is under way, or finished and not yet written."""
        return bool(self._under_way or self._finished)

    def start(self, network: CampaignNetwork, rank: int) -> None:
        """A network is handed to a rank."""
        self._under_way[network.index] = Curve(network, rank)

    def end(self, index: int) -> Curve:
        """A network is no longer under way."""
        return self._under_way.pop(index)

    def row(self, message: messages.Message) -> Curve:
        """The next half epoch.

        Raises:
            NnlcError: one is missing.
        """
        curve = self._under_way[message["index"]]
        if message["half_epoch"] != len(curve.rows) + 1:
            raise NnlcError(
                f"network {curve.id}: half epoch {message['half_epoch']} came after "
                f"{len(curve.rows)}; please report this as a bug in nnlc"
            )
        curve.rows.append(Row(*message["values"]))
        curve.trained = True
        self._job.watcher.row(curve.network, len(curve.rows), curve.rows[-1])
        return curve

    def note(self, message: messages.Message) -> None:
        """What a trainer says of checkpoints."""
        curve, kind, facts = self._under_way[message["index"]], message["kind"], _facts(message)
        match kind:
            case "resumed":
                curve.rows = [Row(*values) for values in facts.pop("rows")]
                half_epoch = len(curve.rows)
                self._job.journal.write("resume", id=curve.id, half_epoch=half_epoch, **facts)
                self._job.watcher.resumed(curve.network, curve.rows)
            case "saved":
                self._job.time_left.saved(message["seconds"])
                self._job.journal.write("checkpoint", id=curve.id, **facts)
            case "aside" | "trouble":
                self._job.journal.write(kind, id=curve.id, **facts)
                where = f"{message['path']}: " if kind == "aside" else ""
                self._job.watcher.message(f"{curve.id}: {where}{message['reason']}")

    def finished(self, message: messages.Message) -> Curve:
        """All half epochs of a network are there, or those up to where the campaign's rule has
        stopped it: `write` has its table stand.

        Raises:
            NnlcError: some are missing.
        """
        curve = self.end(message["index"])
        network, half_epochs = curve.network, self._job.campaign.half_epochs
        stop = message.get("stop")
        wanted = round(2 * stop["epoch"]) if stop and stop["stopped"] else half_epochs
        if len(curve.rows) != wanted:
            raise NnlcError(
                f"network {curve.id}: {len(curve.rows)} half epochs of {wanted} came; "
                "please report this as a bug in nnlc"
            )
        self._finished[network.index] = curve, _facts(message)
        path = self._job.results.table_path(network.images, network.spec)
        self.tables.add(network.index, Table(network.spec, tuple(curve.rows)), path)
        return curve

    def write(self, *, now: bool = False) -> None:
        """Have finished tables stand, as far as the disk lets them; `now`: without waiting."""
        job = self._job
        for table, same in self.tables.write(now=now):
            curve, facts = self._finished.pop(table.index)
            if same:
                attempts = job.attempts.count(curve.id) + 1
                facts |= {"rank": curve.rank, "attempts": attempts, "sha256": table.sha256}
                job.journal.write("finish", id=curve.id, **facts)
            else:
                self._say_it_differs(curve, table)
            if curve.id not in job.work.not_whole:
                with contextlib.suppress(OSError):  # what is left costs room, and is passed over
                    job.results.remove_checkpoints(curve.id)
            job.leases.release(curve.id)
            job.watcher.finished(curve.network, curve.rows, facts["seconds"], facts.get("stop"))

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """By ID of the networks under way: half epochs so far, and the last accuracy."""
        return {
            curve.id: {
                "half_epochs": len(curve.rows),
                "accuracy": curve.rows[-1].val_accuracy_percent if curve.rows else None,
            }
            for curve in self._under_way.values()
        }

    def _say_it_differs(self, curve: Curve, table: FinishedTable) -> None:
        reason = (
            f"{table.path}: another job has written this table with other bytes than this one "
            "has: on another device or with another version? It is left as it is"
        )
        found = TableCheck(self._job.results, self._job.campaign).look_at(curve.network)
        if isinstance(found, NotWhole):
            reason = f"{found}; it has come to stand in the table's place, and is left as it is"
            self._job.work.not_whole[curve.id] = found
        self._job.journal.write("trouble", id=curve.id, reason=reason, sha256=table.sha256)
        self._job.watcher.message(reason)


def _facts(message: messages.Message) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in _ENVELOPE}
