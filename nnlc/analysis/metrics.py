"""What learning curves come to in a few numbers, for thousands of networks at once."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.errors import NnlcError
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.frames import Tables
from nnlc.tables.images_of_table import image_sets_of

COLUMNS_OF_INTEREST = (
    *("batch_size", "learning_rate", "momentum", "dampening", "weight_decay"),
    *("depth", "dropout_rate", "fc_dropout_rate"),
)
"""What `metrics` tells of a network beside the numbers, unless it is asked for other columns."""
NEAR_BEST = 0.9
CHANCE_DEVIATIONS = 5
"""An accuracy is no chance where it is so many standard deviations above it."""

_NULLABLE = {"half_epochs_to_90_percent": "Int64", "diverged": "boolean"}
"""Columns of whole numbers and truths that a network may lack."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def metrics(
    tables: Tables,
    *,
    epochs: tuple[float, float] = (0.0, math.inf),
    columns: Sequence[str] = COLUMNS_OF_INTEREST,
) -> pd.DataFrame:
    """Each network's curve in a few numbers, over its lifespan or a part of it.

    Args:
        tables: what `load_tables` gave.
        epochs: the first and the last that count, both included.
        columns: of `tables.networks`, to stand beside the numbers.

    Returns:
        A row for each network, in the order of `tables.networks`; losses in nats, accuracies in
        percent. What a curve doesn't yield is NaN, or missing where the others are whole or true.

        - `id`, `dataset`, the chosen columns; `counted_half_epochs`.
        - `train_loss_max`, `_min`, `_mean`, `_final`, and the same of `val_loss` and
          `val_accuracy_percent`: `_final` is the last value as it is, the others are over the
          finite ones.
        - `best_epoch`: where `val_accuracy_percent_max` was first reached.
        - `half_epochs_to_90_percent`: of training, until the accuracy was first 0.9 of that best.
        - `accuracy_area`: under the accuracy's curve, percent × epochs, by the trapezoid rule.
        - `accuracy_roughness`: the root mean square of the curve's second differences.
        - `saw_tooth`: how far the training loss at whole epochs stands above that at half epochs,
          each less the mean of its two neighbours, so that a trend counts for nothing. It is
          positive where a network remembers the images that it saw last.
        - `diverged`, `diverged_epoch`: the first half epoch with a loss that is not finite.
        - `never_learned`: the best accuracy is no more than naming the commonest class gives, but
          for five standard deviations of chance; missing for images that aren't known.

    Raises:
        NnlcError: an unknown column, epochs that no table has, or frames that were changed.
    """
    check_columns(tables, columns)
    check_rows(tables)
    networks = tables.networks
    with np.errstate(over="ignore"):  # the mean of the largest doubles is infinite
        parts = [_measure(group) for group in _groups(tables, epochs)]
    if not parts and len(networks):
        raise NnlcError(f"no table has a half epoch from epoch {epochs[0]:g} to {epochs[1]:g}")
    measured = pd.concat(parts) if parts else _measure(_NOTHING)
    beside = list(dict.fromkeys(["id", "dataset", *columns]))
    found = networks[beside].join(measured.reindex(networks.index))
    found["counted_half_epochs"] = found["counted_half_epochs"].fillna(0).astype("int64")
    best, limit = found["val_accuracy_percent_max"], _chance_limits(networks)
    unknown = best.isna() | np.isnan(limit)
    found["never_learned"] = (best <= limit).astype("boolean").mask(unknown)
    found.attrs.update(networks.attrs)
    return found


def check_columns(tables: Tables, columns: Sequence[str]) -> None:
    """See that there are such columns of networks.

    Raises:
        NnlcError: one is unknown; those that there are.
    """
    for name in columns:
        if name not in tables.networks:
            known = ", ".join(map(str, tables.networks))
            raise NnlcError(f"networks have no column {name!r}, but {known}")


def check_rows(tables: Tables) -> None:
    """See that the frames are as they were loaded, row by row.

    Raises:
        NnlcError: they are not.
    """
    networks = tables.networks
    owners = np.repeat(networks["id"].to_numpy(), networks["half_epochs"])
    if not np.array_equal(owners, tables.curves["id"].to_numpy()):
        raise NnlcError(
            "curves and networks don't belong together: leave the rows of both frames as they "
            "were loaded, and choose among the metrics"
        )


class _Group(NamedTuple):
    """Networks that have equally many half epochs."""

    owners: Integers
    """Their positions in `Tables.networks`."""
    numbers: Integers
    """Of the half epochs that count."""
    values: Floats
    """Networks × half epochs × `CURVE_COLUMNS`."""


_NOTHING = _Group(np.empty(0, np.int64), np.array([1]), np.empty((0, 1, len(CURVE_COLUMNS))))


def _groups(tables: Tables, epochs: tuple[float, float]) -> Iterator[_Group]:
    values = tables.curves[[column.field for column in CURVE_COLUMNS]].to_numpy()
    lengths = tables.networks["half_epochs"].to_numpy()
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(lengths):
        numbers = np.arange(1, length + 1)
        numbers = numbers[(numbers / 2 >= epochs[0]) & (numbers / 2 <= epochs[1])]
        owners = np.flatnonzero(lengths == length)
        if len(numbers):
            yield _Group(owners, numbers, values[starts[owners, np.newaxis] + numbers - 1])


def _measure(group: _Group) -> pd.DataFrame:
    owners, numbers, values = group
    found = {"counted_half_epochs": np.full(len(owners), float(len(numbers)))}
    for i, column in enumerate(CURVE_COLUMNS):
        found |= _extremes(column.field, values[:, :, i])
    train_loss, val_loss, accuracy = np.moveaxis(values, 2, 0)
    best = found["val_accuracy_percent_max"][:, np.newaxis]
    found["best_epoch"] = _first(accuracy == best, numbers) / 2
    near_best = _first(accuracy >= NEAR_BEST * best, numbers)
    found["half_epochs_to_90_percent"] = near_best
    found["accuracy_area"] = (accuracy[:, 1:] + accuracy[:, :-1]).sum(axis=1) / 4
    found["accuracy_roughness"] = _roughness(accuracy)
    found["saw_tooth"] = _saw_tooth(train_loss, numbers)
    infinite = ~(np.isfinite(train_loss) & np.isfinite(val_loss))
    found["diverged"] = infinite.any(axis=1)
    found["diverged_epoch"] = _first(infinite, numbers) / 2
    return pd.DataFrame(found, index=owners).astype(_NULLABLE)


def _extremes(name: str, values: Floats) -> dict[str, Floats]:
    finite = np.isfinite(values)
    count = finite.sum(axis=1)
    some = count > 0
    total = values.sum(axis=1, where=finite)
    return {
        f"{name}_max": np.where(some, values.max(axis=1, where=finite, initial=-np.inf), np.nan),
        f"{name}_min": np.where(some, values.min(axis=1, where=finite, initial=np.inf), np.nan),
        f"{name}_mean": np.divide(total, count, where=some, out=np.full(len(values), np.nan)),
        f"{name}_final": values[:, -1],
    }


def _first(holds: NDArray[np.bool_], numbers: Integers) -> Floats:
    """The number of the first half epoch for which something holds; NaN if it never does."""
    return np.where(holds.any(axis=1), numbers[holds.argmax(axis=1)], np.nan)


def _roughness(values: Floats) -> Floats:
    if values.shape[1] < 3:
        return np.full(len(values), np.nan)
    second_differences = np.diff(values, n=2, axis=1)
    return np.asarray(np.sqrt(np.square(second_differences).mean(axis=1)))


def _saw_tooth(values: Floats, numbers: Integers) -> Floats:
    if len(numbers) < 4:
        return np.full(len(values), np.nan)
    with np.errstate(invalid="ignore"):  # infinite losses, which make it NaN
        above = values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2
        whole = numbers[1:-1] % 2 == 0
        return np.asarray(above[:, whole].mean(axis=1) - above[:, ~whole].mean(axis=1)) / 2


def _chance_limits(networks: pd.DataFrame) -> Floats:
    """The accuracy in percent that chance may give each network; NaN for unknown images."""
    paths = networks["path"] if "path" in networks else [""] * len(networks)
    limits = np.full(len(networks), np.nan)
    found = image_sets_of(networks["dataset"], paths)
    for images in filter(None, set(found)):
        rows = np.array([one == images for one in found])
        sizes = networks["batch_size"].to_numpy()[rows]
        validated = images.validation_images // sizes * sizes
        share = images.majority_share
        deviation = np.sqrt(share * (1 - share) / np.maximum(validated, 1))
        limits[rows] = 100 * (share + CHANCE_DEVIATIONS * deviation)
    return limits
