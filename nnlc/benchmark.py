"""Tables as a benchmark: what training a network would give after so many half epochs, at once.

An optimiser asks for networks and half epochs in place of training them. Successive halving among
27 networks, and random search with the same epochs, each network of it trained to the end:

    import nnlc

    bench = nnlc.Benchmark("results/paper")
    images = "CIFAR-100"

    def accuracy(id, epoch):
        value = bench.query(id, epoch).val_accuracy_percent
        return value if value == value else 0.0  # blank in some published tables

    alive, spent, before = bench.sample(27, 1, dataset=images), 0.0, 0.0
    for epoch in (1, 3, 9, 27):
        spent += len(alive) * (epoch - before)  # each goes on where it was left
        alive.sort(key=lambda id: accuracy(id, epoch), reverse=True)
        alive, before = alive[: max(1, len(alive) // 3)], epoch
    halving = accuracy(alive[0], 27)

    rivals = bench.sample(int(spent // 27), 2, dataset=images)
    random_search = max(accuracy(id, 27) for id in rivals)

    best = bench.best(dataset=images, epoch=27).val_accuracy_percent
    print(f"{spent:g} epochs: {best - halving:.1f} and {best - random_search:.1f} below the best")

Of 27 networks 27 × 1 + 9 × 2 + 3 × 6 + 1 × 18 = 81 epochs are spent, as many as three whole
networks take. What a network cost before counts even where it was dropped.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.collection.journals import Journals, half_epoch_seconds
from nnlc.collection.selection import Range, are_of, draw_sample
from nnlc.errors import NnlcError
from nnlc.networks import NetworkSpec
from nnlc.tables import CURVE_COLUMNS, read_table
from nnlc.tables.frames import Damaged, ValLoss, load_tables
from nnlc.tables.table_folders import Skipped
from nnlc.tables.table_reading import read_bytes

_FIELDS = [column.field for column in CURVE_COLUMNS]
_ACCURACY = _FIELDS.index("val_accuracy_percent")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """A network after a half epoch; NaN for what its table leaves blank."""

    id: str
    epoch: float
    train_loss: float
    """Nats, over the half epoch's own batches."""
    val_loss: float
    """Nats."""
    val_accuracy_percent: float
    seconds: float | None
    """Recorded for all half epochs so far (`Benchmark.seconds`); None where none are."""


class Benchmark:
    """The tables of a folder, or of several, to be asked one half epoch at a time.

    Args:
        folders: what `load_tables` takes; and `val_loss`, `damaged` and `cache` are as there.

    Attributes:
        ids: of all networks, sorted.
        networks: a row for each, in that order, with the columns of `load_tables`.
        skipped: what was found beside the tables and not read, and why.

    Raises:
        TableError: nothing there to read, a damaged table, or two of one ID: `nnlc merge` makes one
            folder of several.
        NnlcError: every table is damaged, or no folder was given.
    """

    def __init__(
        self,
        folders: str | Path | Iterable[str | Path],
        *,
        val_loss: ValLoss = "as-published",
        damaged: Damaged = "refuse",
        cache: bool = True,
    ) -> None:
        paths = [folders] if isinstance(folders, str | Path) else list(folders)
        tables = load_tables(paths, val_loss=val_loss, damaged=damaged, cache=cache)
        if not len(tables):
            why = f": {tables.skipped[0]}" if tables.skipped else ", as no folder was given"
            raise NnlcError(f"there is no table to ask{why}")
        self.networks = tables.networks.sort_values("id", ignore_index=True)
        self.ids: tuple[str, ...] = tuple(self.networks["id"])
        ends = np.cumsum(tables.networks["half_epochs"].to_numpy())
        curves = np.split(tables.curves[_FIELDS].to_numpy(), ends[:-1])
        self._curves: dict[str, Floats] = dict(zip(tables.networks["id"], curves, strict=True))
        journals = Journals(map(Path, paths))
        self._seconds = self._read_seconds(journals)
        self.skipped: tuple[Skipped, ...] = (*tables.skipped, *journals.skipped)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._curves

    def query(self, id: str, epoch: float) -> Observation:
        """A network after so many epochs: 0.5, 1, 1.5 and so on to the end of its table.

        Raises:
            NnlcError: no such network, or its table has no such half epoch; the nearest are named.
        """
        number = self._half_epoch(id, epoch)
        train_loss, val_loss, accuracy = self._curves[id][number - 1].tolist()
        seconds = self._seconds.get(id)
        until_then = None if seconds is None else float(seconds[number - 1])
        return Observation(id, number / 2, train_loss, val_loss, accuracy, until_then)

    def seconds(self, id: str, epoch: float | None = None) -> float | None:
        """Recorded seconds of training and validation until then, by default until the table's end.

        They are the journal's, of the attempt that finished this very table (by its sha256), on the
        device it had and with whatever shared that device. What an interruption made an attempt do
        again counts once; what an attempt did in vain doesn't count. Checkpoints are included, and
        the start of the process, the loading of images and all waiting are not. The half epochs
        that a diverged network repeats were filled in, and took next to nothing.

        Returns:
            None where no journal in the folder tells of every half epoch: published tables have no
            journal, and that of a results folder is found only if the results folder is given, not
            a folder in it.

        Raises:
            NnlcError: as `query`.
        """
        curve = self._curve(id)
        number = self._half_epoch(id, len(curve) / 2 if epoch is None else epoch)
        seconds = self._seconds.get(id)
        return None if seconds is None else float(seconds[number - 1])

    def trajectory(self, id: str, start: float = 0.5, stop: float | None = None) -> pd.DataFrame:
        """A network's half epochs from `start` to `stop`, both included; by default all.

        Returns:
            A row for each: `epoch`, `train_loss`, `val_loss`, `val_accuracy_percent` and `seconds`,
            as in `Observation`; NaN for seconds that were not recorded.

        Raises:
            NnlcError: no such network, or none of its half epochs lies between these.
        """
        curve = self._curve(id)
        epochs = np.arange(1, len(curve) + 1) / 2
        chosen = (epochs >= start) & (epochs <= (math.inf if stop is None else stop))
        if not chosen.any():
            raise NnlcError(
                f"network {id} has no half epoch from {start} to {stop}: "
                f"its table goes from 0.5 to {len(curve) / 2}"
            )
        seconds = self._seconds.get(id, np.full(len(curve), np.nan))
        columns = dict(zip(_FIELDS, curve.T, strict=True))
        frame = pd.DataFrame({"epoch": epochs, **columns, "seconds": seconds})
        return frame[chosen].reset_index(drop=True)

    def sample(
        self,
        count: int,
        rng: int | np.random.Generator,
        *,
        dataset: str | None = None,
        depth: int | Range | None = None,
    ) -> list[str]:
        """Draw networks at random, each once.

        Args:
            count: how many.
            rng: a seed, which gives the same networks everywhere, however their folders are
                ordered; or a generator, of which one number is taken.
            dataset: only of this one; the column's value or the name in folders.
            depth: only with so many convolutions, or from so many to so many.

        Raises:
            NnlcError: there are not so many, or there is no such dataset.
        """
        ids = self._ids_of(dataset, depth)
        if isinstance(rng, np.random.Generator):
            rng = int(rng.integers(2**63))
        elif not isinstance(rng, int | np.integer):
            raise NnlcError(f"rng is a {type(rng).__name__}: give a whole number or a Generator")
        return draw_sample(ids, count, int(rng))

    def best(
        self,
        *,
        dataset: str | None = None,
        depth: int | Range | None = None,
        epoch: float | None = None,
    ) -> Observation:
        """The highest validation accuracy that any network has, and whose and when it is.

        Args:
            dataset: as in `sample`, and so is `depth`.
            epoch: only after so many epochs, among the networks that have them; by default ever.

        Raises:
            NnlcError: no network has one, or there is no such dataset.
        """
        ids = self._ids_of(dataset, depth)
        found = self._best_half_epochs if epoch is None else self._all_at(epoch)
        accuracies = {
            id_: self._curves[id_][found[id_] - 1, _ACCURACY] for id_ in ids if id_ in found
        }
        accuracies = {id_: value for id_, value in accuracies.items() if not math.isnan(value)}
        if not accuracies:
            raise NnlcError(
                "no network of those asked for has an accuracy"
                + ("" if epoch is None else f" at epoch {epoch!r}")
            )
        best = max(accuracies, key=accuracies.__getitem__)
        return self.query(best, found[best] / 2)

    def _all_at(self, epoch: float) -> dict[str, int]:
        """The half epoch that ends then, of each network that has it."""
        number = _twice(epoch)
        if not number.is_integer() or number < 1:
            return {}
        return {id_: int(number) for id_, curve in self._curves.items() if number <= len(curve)}

    @cached_property
    def _best_half_epochs(self) -> dict[str, int]:
        """The first half epoch with each network's best accuracy."""
        found: dict[str, int] = {}
        for id_, curve in self._curves.items():
            accuracy = curve[:, _ACCURACY]
            found[id_] = int(np.argmax(np.where(np.isnan(accuracy), -1, accuracy))) + 1
        return found

    def specification(self, id: str) -> NetworkSpec:
        """A network's specification to the last bit, from its table once more.

        Raises:
            NnlcError: no such network, or its table can't be read any more.
        """
        self._curve(id)
        path = self.networks["path"].iloc[self.ids.index(id)]
        return read_table(path).spec

    def _curve(self, id: str) -> Floats:
        try:
            return self._curves[id]
        except (KeyError, TypeError):
            raise NnlcError(f"no network {id!r} is among these {len(self)}") from None

    def _half_epoch(self, id: str, epoch: float) -> int:
        last = len(self._curve(id))
        number = _twice(epoch)
        if number.is_integer() and 1 <= number <= last:
            return int(number)
        inside = min(max(number, 1), last)
        nearest = dict.fromkeys((math.floor(inside) / 2, math.ceil(inside) / 2))
        raise NnlcError(
            f"network {id} has no half epoch at epoch {epoch!r}: nearest is "
            f"{' or '.join(map(str, nearest))}, and its table goes from 0.5 to {last / 2}"
        )

    def _ids_of(self, dataset: str | None, depth: int | Range | None) -> list[str]:
        bounds = depth if depth is None or isinstance(depth, tuple) else (depth, depth)
        datasets = () if dataset is None else (dataset,)
        if not datasets and bounds is None:
            return list(self.ids)
        return list(self.networks.loc[are_of(self.networks, datasets, bounds), "id"])

    def _read_seconds(self, journals: Journals) -> dict[str, Floats]:
        """By ID: recorded seconds until each half epoch's end."""
        found: dict[str, Floats] = {}
        for id_, path in zip(self.ids, map(Path, self.networks["path"]), strict=True):
            if not journals.candidates(path, id_):
                continue
            content, _ = read_bytes(path, follow_link=True)
            event = journals.finish(path, id_, sha256(content).hexdigest())
            half_epochs = len(self._curves[id_])
            if event and (seconds := half_epoch_seconds(event, half_epochs)) is not None:
                found[id_] = np.cumsum(seconds)
        return found


def _twice(epoch: float) -> float:
    """Half epochs in so many epochs.

    Raises:
        NnlcError: that is no number.
    """
    try:
        number = 2 * float(epoch)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise NnlcError(f"epoch {epoch!r} is no number of epochs; 0.5, 1, 1.5 and so on are")
    return number
