"""Metrics: each learning curve summarised in a few numbers, for thousands of networks at once."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.errors import NnlcError
from nnlc.families.layouts import drawn_numbers, own_numbers
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.frames import RECORDED_COLUMNS, Tables, check_tables
from nnlc.tables.images_of_table import image_sets_of

COLUMNS_OF_INTEREST = (
    *("batch_size", "learning_rate", "momentum", "dampening", "weight_decay"),
    *("depth", *drawn_numbers()),
)
"""Columns of networks that `metrics` copies into its result by default, if there are such."""
NEAR_BEST = 0.9
CHANCE_DEVIATIONS = 5
"""Standard deviations by which a network's best accuracy must exceed chance to have learned."""
OVERFIT_RISE = 0.05
"""Rise of the validation loss above its lowest value, relative to it, beyond which it overfits."""
FEWEST_OVERFIT = 2
"""Fewest whole epochs, up to the last, in which a network must overfit."""

_NULLABLE = {"half_epochs_to_90_percent": "Int64", "diverged": "boolean"}
"""Types of the integer and boolean columns that may have missing values."""

_FIELDS = (*(column.field for column in CURVE_COLUMNS), *RECORDED_COLUMNS)
"""Columns of `Tables.curves` that are measured."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def metrics(
    tables: Tables,
    *,
    epochs: tuple[float, float] = (0.0, math.inf),
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return metrics of each network's curve, over all its epochs or some of them.

    Args:
        tables: the result of `load_tables`.
        epochs: the first and the last epoch that count, both included.
        columns: columns of `tables.networks` to copy into the result; default: those of
            `COLUMNS_OF_INTEREST` that the networks have, and numbers of families of the user's own.

    Returns:
        One row for each network, in the order of `tables.networks`. Losses are in nats, accuracies
        in percent. A metric that a curve does not have is NaN, or missing in integer and boolean
        columns.

        - `id`, `dataset`, and the chosen columns.
        - `counted_half_epochs`: number of the curve's rows from the first to the last epoch.
        - `train_loss_max`, `_min`, `_mean`, `_final`, and the same for `val_loss` and
          `val_accuracy_percent`: `_final` is the last value, finite or not; the others are over
          the finite values.
        - `best_epoch`: epoch at which `val_accuracy_percent_max` was first reached.
        - `half_epochs_to_90_percent`: half epochs until the accuracy first reached 0.9 of that
          maximum.
        - `accuracy_area`: area under the accuracy curve, percent × epochs, by the trapezoid rule.
        - `accuracy_roughness`: root mean square of the accuracy's second differences; like
          `saw_tooth`, missing for curves in whole epochs.
        - `saw_tooth`: height of the training loss at epochs 1, 2, … above the loss at epochs 0.5,
          1.5, …. The mean of its two neighbours is subtracted from each loss, so that a trend has
          no effect. Positive if a network remembers the images that it saw last.
        - `diverged`: True if a loss is not finite; `diverged_epoch`: epoch of the first such loss.
          Missing without losses.
        - `never_learned`: True if the best accuracy exceeds the share of the most common class by
          at most five standard deviations; missing for unknown images.
        - `train_accuracy_percent_final`: training accuracy of the last half epoch, if recorded;
          `accuracy_gap_points`: what it has above `val_accuracy_percent_final`, in percentage
          points. It is counted during training, with dropout and before each step, so it can be
          below the validation accuracy of a network that fits well.
        - `overfit_epoch`: epoch from which on the network overfits, until the last. The losses of
          the two halves of each epoch are averaged, so that the saw-tooth has no effect. In at
          least the last two epochs, the validation loss is more than 5% above its lowest value,
          and the last training loss is below that of the epoch with this lowest value. Prechelt
          calls this rise generalization loss, and stops at 5% (Early Stopping - But When?, 1998);
          that it lasts to the end, and that the training loss falls, is our rule. Missing if the
          network does not overfit.
        - `seconds`: recorded seconds of training and validation.
        - `parameters` and `multiply_adds` (of one image).

    Raises:
        NnlcError: a column is unknown, no table has these epochs, or the frames were changed.
    """
    check_rows(tables)
    networks = tables.networks
    if columns is None:
        usual = [name for name in COLUMNS_OF_INTEREST if name in networks]
        columns = [*usual, *own_numbers(networks)]
    check_columns(tables, columns)
    with np.errstate(over="ignore"):  # the mean of the largest doubles is infinite
        parts = [_measure(group) for group in _groups(tables, epochs)]
    if not parts and len(networks):
        raise NnlcError(f"no table has a half epoch from epoch {epochs[0]:g} to {epochs[1]:g}")
    measured = pd.concat(parts) if parts else _measure(_NO_NETWORKS)
    measured = measured.reindex(networks.index).join(networks[["parameters", "multiply_adds"]])
    copied = [name for name in dict.fromkeys(["id", "dataset", *columns]) if name not in measured]
    found = networks[copied].join(measured)
    found["counted_half_epochs"] = found["counted_half_epochs"].fillna(0).astype("int64")
    best, limit = found["val_accuracy_percent_max"], _chance_limits(networks)
    unknown = best.isna() | np.isnan(limit)
    found["never_learned"] = (best <= limit).astype("boolean").mask(unknown)
    found.attrs.update(networks.attrs)
    return found


def check_columns(tables: Tables, columns: Sequence[str]) -> None:
    """Check that `tables.networks` has these columns.

    Raises:
        NnlcError: a column is unknown; the message lists the known ones.
    """
    for name in columns:
        if name not in tables.networks:
            known = ", ".join(map(str, tables.networks))
            raise NnlcError(f"networks have no column {name!r}; they have {known}")


def check_rows(tables: Tables) -> None:
    """Check that the rows of both frames are still as they were loaded.

    Raises:
        NnlcError: rows were removed, added or moved, or these are no tables.
    """
    check_tables(tables)
    networks = tables.networks
    owners = np.repeat(networks["id"].to_numpy(), networks["half_epochs"])
    if not np.array_equal(owners, tables.curves["id"].to_numpy()):
        raise NnlcError(
            "the rows of tables.curves don't match those of tables.networks: leave both as they "
            "were loaded, and select rows of the result"
        )


class _Group(NamedTuple):
    """Networks with the same number of half epochs."""

    owners: Integers
    """Positions of the networks in `Tables.networks`."""
    numbers: Integers
    """Numbers of the half epochs that count: 1, 2, … or, for curves in whole epochs, 2, 4, …"""
    values: Floats
    """Curves: networks × half epochs × `_FIELDS`."""
    apart: int = 1
    """Half epochs from one row to the next: 2 for curves in whole epochs."""
    blank: bool = True
    """True if a loss of NaN has diverged, False if it is unknown."""


_NO_NETWORKS = _Group(np.empty(0, np.int64), np.array([1]), np.empty((0, 1, len(_FIELDS))))


def _groups(tables: Tables, epochs: tuple[float, float]) -> Iterator[_Group]:
    values = tables.curves[list(_FIELDS)].to_numpy()
    lengths = tables.networks["half_epochs"].to_numpy()
    starts, apart = np.cumsum(lengths) - lengths, round(2 * tables.step)
    blank = not tables.from_elsewhere
    for length in np.unique(lengths):
        numbers = apart * np.arange(1, length + 1)
        numbers = numbers[(numbers / 2 >= epochs[0]) & (numbers / 2 <= epochs[1])]
        owners = np.flatnonzero(lengths == length)
        if len(numbers):
            rows = starts[owners, np.newaxis] + numbers // apart - 1
            yield _Group(owners, numbers, values[rows], apart, blank)


def _measure(group: _Group) -> pd.DataFrame:
    owners, numbers, values, apart, blank = group
    found = {"counted_half_epochs": np.full(len(owners), float(len(numbers)))}
    for i, column in enumerate(CURVE_COLUMNS):
        found |= _extremes(column.field, values[:, :, i])
    train_loss, val_loss, accuracy, train_accuracy, seconds = np.moveaxis(values, 2, 0)
    best = found["val_accuracy_percent_max"][:, np.newaxis]
    found["best_epoch"] = _first(accuracy == best, numbers) / 2
    near_best = _first(accuracy >= NEAR_BEST * best, numbers)
    found["half_epochs_to_90_percent"] = near_best
    found["accuracy_area"] = (accuracy[:, 1:] + accuracy[:, :-1]).sum(axis=1) * apart / 4
    halves = slice(None) if apart == 1 else slice(0)
    found["accuracy_roughness"] = _roughness(accuracy[:, halves])
    found["saw_tooth"] = _saw_tooth(train_loss[:, halves], numbers[halves])
    losses = np.array([train_loss, val_loss])
    nonfinite = (~np.isfinite(losses) if blank else np.isinf(losses)).any(axis=0)
    found["diverged"] = nonfinite.any(axis=1).astype(object)
    if not blank:
        found["diverged"][np.isnan(losses).all(axis=(0, 2))] = None
    found["diverged_epoch"] = _first(nonfinite, numbers) / 2
    found["train_accuracy_percent_final"] = train_accuracy[:, -1]
    found["accuracy_gap_points"] = train_accuracy[:, -1] - accuracy[:, -1]
    found["overfit_epoch"] = _overfit_epoch(train_loss, val_loss, numbers, 2 // apart)
    found["seconds"] = seconds.sum(axis=1)
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
    """Return the number of each network's first half epoch that is True; NaN if there is none."""
    return np.where(holds.any(axis=1), numbers[holds.argmax(axis=1)], np.nan)


def _roughness(values: Floats) -> Floats:
    if values.shape[1] < 3:
        return np.full(len(values), np.nan)
    second_differences = np.diff(values, n=2, axis=1)
    return np.asarray(np.sqrt(np.square(second_differences).mean(axis=1)))


def _saw_tooth(values: Floats, numbers: Integers) -> Floats:
    if len(numbers) < 4:
        return np.full(len(values), np.nan)
    with np.errstate(invalid="ignore"):  # infinite losses give NaN
        above = values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2
        whole = numbers[1:-1] % 2 == 0
        return np.asarray(above[:, whole].mean(axis=1) - above[:, ~whole].mean(axis=1)) / 2


def _overfit_epoch(train_loss: Floats, val_loss: Floats, numbers: Integers, rows: int) -> Floats:
    """Return the epoch from which on each network overfits; `rows` is the number for each epoch."""
    skipped = (numbers[0] + 1) % rows  # a range may begin with an epoch's second half
    epochs = (len(numbers) - skipped) // rows
    if epochs <= FEWEST_OVERFIT:
        return np.full(len(train_loss), np.nan)
    train, val = (
        losses[:, skipped : skipped + rows * epochs].reshape(-1, epochs, rows).mean(axis=2)
        for losses in (train_loss, val_loss)
    )
    known = np.where(np.isfinite(val), val, np.inf)
    lowest = known.argmin(axis=1)[:, np.newaxis]
    is_above = val > (1 + OVERFIT_RISE) * np.take_along_axis(known, lowest, 1)
    counts = is_above[:, ::-1].argmin(axis=1)  # from the end; the lowest is never above
    has_learned = train[:, -1] < np.take_along_axis(train, lowest, 1)[:, 0]
    first = (numbers[skipped] + 1) // 2 + epochs - counts
    return np.where((counts >= FEWEST_OVERFIT) & has_learned, first, np.nan)


def _chance_limits(networks: pd.DataFrame) -> Floats:
    """Return the accuracy in percent that chance may give each network; NaN for unknown images."""
    paths = networks.get("path", [""] * len(networks))
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
