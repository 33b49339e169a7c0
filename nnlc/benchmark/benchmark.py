"""Benchmark of tables: each network's observations, looked up by ID and epoch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from nnlc.analysis.metrics import check_rows
from nnlc.benchmark.other_tools import OtherTools
from nnlc.benchmark.tabular import FOR_SECONDS, Floats
from nnlc.collection.loading import load_tables
from nnlc.collection.selection import Range, draw_sample, select_networks
from nnlc.errors import NnlcError
from nnlc.networks import Specification
from nnlc.tables import CURVE_COLUMNS, read_table
from nnlc.tables.frames import Damaged, Tables, ValLoss

_FIELDS = [column.field for column in CURVE_COLUMNS]
_ACCURACY = _FIELDS.index("val_accuracy_percent")


@dataclass(frozen=True, slots=True)
class Observation:
    """One network's losses, accuracy and seconds after a half epoch; NaN for a blank field."""

    id: str
    epoch: float
    train_loss: float
    """Mean training loss in nats over the batches of this half epoch."""
    val_loss: float
    """Validation loss in nats."""
    val_accuracy_percent: float
    seconds: float | None
    """Recorded seconds of all half epochs so far (`Benchmark.seconds`); None without a record."""


class Benchmark(OtherTools):
    """Tables of one or several folders, looked up half epoch by half epoch.

    Args:
        folders: as for `load_tables`, like `val_loss` and `damaged`; or `Tables`, to which these
            don't apply, such as those of `Tables.from_frames`. `cache` has no effect.

    Attributes:
        ids: IDs of all networks, sorted.
        networks: a row for each network, in that order, with the columns of `load_tables`.
        skipped: files and folders that were not read, with the reason.

    Raises:
        TableError: there is no table, one is damaged, or two have the same ID (`nnlc merge` merges
            folders into one).
        NnlcError: all tables are damaged, or no folder was given.
    """

    def __init__(
        self,
        folders: str | Path | Iterable[str | Path] | Tables,
        *,
        val_loss: ValLoss = "as-published",
        damaged: Damaged = "refuse",
        cache: bool = False,  # noqa: ARG002  accepted, and without effect, until 0.3.0
    ) -> None:
        if isinstance(folders, Tables):
            tables = folders
            check_rows(tables)
        else:
            tables = load_tables(folders, val_loss=val_loss, damaged=damaged)
        if not len(tables):
            why = f": {tables.skipped[0]}" if tables.skipped else ", as no folder was given"
            raise NnlcError(f"there is no table to look up{why}")
        self._step = tables.step
        self.networks = tables.networks.sort_values("id", ignore_index=True)
        self.ids: tuple[str, ...] = tuple(self.networks["id"])
        ends = np.cumsum(tables.networks["half_epochs"].to_numpy())
        curves = np.split(tables.curves[_FIELDS].to_numpy(), ends[:-1])
        self._curves: dict[str, Floats] = dict(zip(tables.networks["id"], curves, strict=True))
        seconds = map(np.cumsum, np.split(tables.curves["seconds"].to_numpy(), ends[:-1]))
        self._seconds = dict(zip(tables.networks["id"], seconds, strict=True))
        self.skipped = tables.skipped

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._curves

    def query(self, id: str, epoch: float) -> Observation:
        """Return a network's losses and accuracy at an epoch: 0.5, 1, 1.5, … up to its table's end.

        Raises:
            NnlcError: there is no such network, or its table does not have this epoch; the message
                names the nearest ones.
        """
        number = self._half_epoch(id, epoch)
        train_loss, val_loss, accuracy = self._curves[id][number - 1].tolist()
        seconds = float(self._seconds[id][number - 1])
        recorded = None if math.isnan(seconds) else seconds
        return Observation(id, number * self._step, train_loss, val_loss, accuracy, recorded)

    def at(self, id: str, seconds: float) -> Observation:
        """Return a network's last half epoch that is completed after at most so many seconds.

        The seconds are those of `seconds`, from the start of its training, to the nanosecond. After
        the end of its table, this is its last half epoch.

        Raises:
            NnlcError: there is no such network, its seconds are not recorded, or they are more for
                its first half epoch.
        """
        self._curve(id)
        ends, budget = self._seconds[id], _number(seconds)
        if math.isnan(budget):
            raise NnlcError(f"{seconds!r} is no number of seconds")
        if math.isnan(ends[-1]):
            raise NnlcError(
                f"network {id} has no recorded seconds: {FOR_SECONDS}, or ask by epoch with query"
            )
        # Sums of seconds are inexact in their last digits.
        number = int(np.searchsorted(ends, budget + 1e-9, side="right"))
        if number < 1:
            raise NnlcError(
                f"network {id} completes no half epoch in {seconds} s: the first takes {ends[0]} s"
            )
        return self.query(id, number * self._step)

    def seconds(self, id: str, epoch: float | None = None) -> float | None:
        """Return the recorded seconds of training and validation up to an epoch; default: the last.

        The seconds come from the journals that `load_tables` reads. Other networks may have used
        the same device at the same time. Half epochs that were repeated after an interruption count
        once, and failed attempts don't count. Writing checkpoints is included; the start of the
        process, loading images and waiting are not. After a network has diverged, its half epochs
        are not trained and take almost no time.

        Returns:
            The seconds, or None if no journal has those of every half epoch.

        Raises:
            NnlcError: as for `query`.
        """
        last = len(self._curve(id)) * self._step
        return self.query(id, last if epoch is None else epoch).seconds

    def trajectory(self, id: str, start: float = 0.5, stop: float | None = None) -> pd.DataFrame:
        """Return a network's half epochs from epoch `start` to `stop`, both included; default: all.

        Returns:
            A row for each half epoch: `epoch`, `train_loss`, `val_loss`, `val_accuracy_percent`
            and `seconds`, as in `Observation`; NaN for seconds that were not recorded.

        Raises:
            NnlcError: there is no such network, or its table has no half epoch in this range.
        """
        curve = self._curve(id)
        epochs = np.arange(1, len(curve) + 1) * self._step
        chosen = (epochs >= start) & (epochs <= (math.inf if stop is None else stop))
        if not chosen.any():
            raise NnlcError(
                f"network {id} has no half epoch from {start} to {stop}: "
                f"its table goes from {epochs[0]} to {epochs[-1]}"
            )
        columns = dict(zip(_FIELDS, curve.T, strict=True))
        frame = pd.DataFrame({"epoch": epochs, **columns, "seconds": self._seconds[id]})
        return frame[chosen].reset_index(drop=True)

    def sample(
        self,
        count: int,
        rng: int | np.random.Generator,
        *,
        dataset: str | None = None,
        depth: int | Range | None = None,
    ) -> list[str]:
        """Draw different networks at random and return their IDs.

        Args:
            count: number of networks.
            rng: a seed, which gives the same networks on every machine and for every order of the
                folders; or a generator, from which one number is drawn.
            dataset: draw only from this dataset, named as in the column or in folders' names.
            depth: draw only networks with this number of convolutions, or in this range.

        Raises:
            NnlcError: there are fewer networks than `count`, or there is no such dataset.
        """
        ids = self._ids_of(dataset, depth)
        if isinstance(rng, np.random.Generator):
            rng = int(rng.integers(2**63))
        elif isinstance(rng, bool) or not isinstance(rng, int | np.integer):
            raise NnlcError(f"rng is a {type(rng).__name__}: give an integer or a Generator")
        return draw_sample(ids, count, int(rng))

    def best(
        self,
        *,
        dataset: str | None = None,
        depth: int | Range | None = None,
        epoch: float | None = None,
    ) -> Observation:
        """Return the network and half epoch with the highest validation accuracy.

        Args:
            dataset: as for `sample`, like `depth`.
            epoch: compare only at this epoch, among the networks that have it; default: at all
                epochs.

        Raises:
            NnlcError: no network has an accuracy, or there is no such dataset.
        """
        ids = self._ids_of(dataset, depth)
        found = self._best_half_epochs if epoch is None else self._all_at(epoch)
        accuracies = {
            id_: self._curves[id_][found[id_] - 1, _ACCURACY] for id_ in ids if id_ in found
        }
        accuracies = {id_: value for id_, value in accuracies.items() if not math.isnan(value)}
        if not accuracies:
            raise NnlcError(
                "none of the chosen networks has an accuracy"
                + ("" if epoch is None else f" at epoch {epoch!r}")
            )
        best = max(accuracies, key=accuracies.__getitem__)
        return self.query(best, found[best] * self._step)

    def _all_at(self, epoch: float) -> dict[str, int]:
        """Return the number of the half epoch at an epoch, for each network that has it."""
        number = self._rows_until(epoch)
        if not number.is_integer() or number < 1:
            return {}
        return {id_: int(number) for id_, curve in self._curves.items() if number <= len(curve)}

    @cached_property
    def _best_half_epochs(self) -> dict[str, int]:
        """Return the number of the first half epoch with each network's best accuracy."""
        found: dict[str, int] = {}
        for id_, curve in self._curves.items():
            accuracy = curve[:, _ACCURACY]
            found[id_] = int(np.argmax(np.where(np.isnan(accuracy), -1, accuracy))) + 1
        return found

    def specification(self, id: str) -> Specification:
        """Return a network's exact specification, read from its table again.

        Raises:
            NnlcError: there is no such network, or its table can no longer be read.
        """
        self._curve(id)
        path = self.networks["path"].iloc[self.ids.index(id)]
        if not path:
            raise NnlcError(f"network {id} has no table: its curve is from elsewhere")
        return read_table(path).spec

    def _curve(self, id: str) -> Floats:
        try:
            return self._curves[id]
        except (KeyError, TypeError):
            raise NnlcError(f"none of the {len(self)} networks has the ID {id!r}") from None

    def _half_epoch(self, id: str, epoch: float) -> int:
        last = len(self._curve(id))
        number = self._rows_until(epoch)
        if number.is_integer() and 1 <= number <= last:
            return int(number)
        inside = min(max(number, 1), last)
        nearest = dict.fromkeys(n * self._step for n in (math.floor(inside), math.ceil(inside)))
        raise NnlcError(
            f"network {id} has no half epoch at epoch {epoch!r}: the nearest is "
            f"{' or '.join(map(str, nearest))}, and its table goes from {self._step} to "
            f"{last * self._step}"
        )

    def _rows_until(self, epoch: float) -> float:
        """Return the number of a curve's rows up to an epoch, which may be between two rows.

        Raises:
            NnlcError: the argument is no number.
        """
        number = _number(epoch) / self._step
        if math.isnan(number):
            raise NnlcError(f"epoch {epoch!r} is no number; give 0.5, 1, 1.5, …")
        return number

    def _ids_of(self, dataset: str | None, depth: int | Range | None) -> list[str]:
        bounds = depth if depth is None or isinstance(depth, tuple) else (depth, depth)
        datasets = () if dataset is None else (dataset,)
        if not datasets and bounds is None:
            return list(self.ids)
        return list(self.networks.loc[select_networks(self.networks, datasets, bounds), "id"])


def _number(value: object) -> float:
    """Return a user's value as a number; NaN if it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
