"""Rules of learning curves: possible losses and accuracies, for thousands of curves at once."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import log

import numpy as np
from numpy.typing import NDArray

from nnlc.analysis.metrics import CHANCE_DEVIATIONS
from nnlc.auditing.audited_table import AuditedTable
from nnlc.tables.columns import FIRST_COLUMNS

OTHER_ORDER = 4 * np.finfo(np.float64).eps
"""Relative tolerance of published accuracies. In nnlc's tables and all published tables at hand, an
accuracy is 100 c / n, rounded once, for c correct predictions of n. A published accuracy may be
rounded twice, by up to half of the machine epsilon each time, if it was computed in another order.
The accuracies of c and c + 1 differ by far more."""
FLOAT32_ROUNDING = 1e-4
"""Relative error of a mean loss, which is a sum of thousands of float32 numbers."""
_NUMBERS = {column.field: number for number, column in enumerate(FIRST_COLUMNS, 1)}
"""Numbers of the first columns, which are the same in every table."""
LARGEST_LOSS = float(np.finfo(np.float32).max)
FAR_ABOVE = 10
"""Multiple of ln(classes) above which a first training loss gets a note."""

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Words = Callable[[int, int], tuple[str, str]]
"""Function that returns, for the positions of a table and a row, the texts `found` and `right`."""


def check_curves(tables: Iterable[AuditedTable]) -> None:
    """Add errors, warnings and notes on each table's curve to the table's findings."""
    by_length: defaultdict[int, list[AuditedTable]] = defaultdict(list)
    for table in tables:
        if table.curve is not None and len(table.curve):
            by_length[len(table.curve)].append(table)
    with np.errstate(invalid="ignore", over="ignore"):
        for group in by_length.values():
            _Group(group).check()


def validated_images(tables: Iterable[AuditedTable]) -> Floats:
    """Return each table's number of images in full validation batches; NaN if unknown."""
    counts = [t.validation_batches[0] * t.values.get("batch_size", 0) for t in tables]
    return np.array([count or np.nan for count in counts], dtype=np.float64)


def slip_factors(tables: Iterable[AuditedTable]) -> Floats:
    """Return ⌊N/b⌋/⌈N/b⌉ of each table, for N validation images in batches of b; NaN if unknown."""
    batches = [table.validation_batches for table in tables]
    return np.array([full / total if full else np.nan for full, total in batches])


def chance_limits(tables: Iterable[AuditedTable]) -> Floats:
    """Return the greatest accuracy in percent that chance may give; NaN if unknown.

    `nnlc.metrics` uses the same limit for networks that never learned.
    """
    chosen = list(tables)
    shares = np.array([t.images.majority_share if t.images else np.nan for t in chosen])
    deviations = np.sqrt(shares * (1 - shares) / validated_images(chosen))
    return np.asarray(100 * (shares + CHANCE_DEVIATIONS * deviations))


def log_classes(tables: Iterable[AuditedTable]) -> Floats:
    """Return ln(classes), the loss if all classes are equally likely; NaN if unknown."""
    return np.array([log(t.images.classes) if t.images else np.nan for t in tables])


class _Group:
    """Tables with the same number of rows; arrays have the shape tables × rows."""

    def __init__(self, tables: list[AuditedTable]) -> None:
        self._tables = tables
        curves = np.stack([table.curve for table in tables if table.curve is not None])
        self._train, self._val, self._accuracy = np.moveaxis(curves, 2, 0)
        losses = ("train_loss", "trainLoss", self._train), ("val_loss", "valLoss", self._val)
        self._losses = losses

    def check(self) -> None:
        in_range = self._check_accuracies()
        self._check_losses(in_range)
        self._check_nan()
        self._tell_notes()

    def _check_accuracies(self) -> Truths:
        accuracy = self._accuracy
        in_range: Truths = (accuracy >= 0) & (accuracy <= 100) & ~np.signbit(accuracy)
        self._add(
            "accuracy-range",
            "val_accuracy_percent",
            ~in_range,
            lambda i, j: (f"valAcc is {_value(accuracy[i, j])}", "a number from 0.0 to 100.0"),
        )
        validated = validated_images(self._tables)[:, np.newaxis]
        counts = np.rint(accuracy * validated / 100)
        right = 100 * counts / validated
        published = np.array([table.is_published for table in self._tables])[:, np.newaxis]
        off = np.abs(accuracy - right) > np.where(published, OTHER_ORDER, 0.0) * right
        self._add(
            "accuracy-step",
            "val_accuracy_percent",
            off & in_range,
            lambda i, j: (
                f"valAcc is {accuracy[i, j]!s}, no whole number of {validated[i, 0]:.0f} images",
                f"{right[i, j]!s}, which is {counts[i, j]:.0f} of them, or another count",
            ),
        )
        return in_range

    def _check_losses(self, in_range: Truths) -> None:
        for field, name, loss in self._losses:
            self._add(
                "loss-range",
                field,
                (loss < 0) | (np.isfinite(loss) & (loss > LARGEST_LOSS)),
                lambda i, j, name=name, loss=loss: (  # type: ignore[misc]
                    f"{name} is {loss[i, j]!s}",
                    f"0.0 to {LARGEST_LOSS}, or nan or inf",
                ),
            )
        published = np.array([table.is_published for table in self._tables])
        factors = np.where(published, slip_factors(self._tables), 1.0)[:, np.newaxis]
        least = (1 - self._accuracy / 100) * log(2) * factors * (1 - FLOAT32_ROUNDING)
        self._add(
            "loss-accuracy",
            "val_loss",
            in_range & (self._val >= 0) & (self._val < least),
            lambda i, j: (
                f"valLoss is {self._val[i, j]!s} at an accuracy of {self._accuracy[i, j]!s} %",
                f"at least {least[i, j]:.6g}: where a wrong class is predicted, the right one "
                "has no more than 1/2",
            ),
        )

    def _check_nan(self) -> None:
        is_nan = np.isnan(self._train)
        first = np.where(is_nan.any(axis=1), is_nan.argmax(axis=1), is_nan.shape[1])[:, np.newaxis]
        rows = np.arange(is_nan.shape[1])
        after = rows >= first
        for field, name, loss in self._losses:
            self._add(
                "nan-stays",
                field,
                after & ~np.isnan(loss),
                lambda i, j, name=name, loss=loss: (  # type: ignore[misc]
                    f"{name} is {loss[i, j]!s}, though trainLoss became NaN in line "
                    f"{first[i, 0] + 2}",
                    "nan",
                ),
            )
        last = np.minimum(first, is_nan.shape[1] - 1)
        constant = np.take_along_axis(self._accuracy, last, axis=1)
        self._add(
            "nan-accuracy",
            "val_accuracy_percent",
            after & (self._accuracy != constant) & np.isfinite(self._accuracy),
            lambda i, j: (
                f"valAcc is {self._accuracy[i, j]!s}, though trainLoss became NaN in line "
                f"{first[i, 0] + 2}",
                f"{constant[i, 0]!s}, as in that line",
            ),
        )

    def _tell_notes(self) -> None:
        missing = ~(np.isfinite(self._train) & np.isfinite(self._val))
        begins, sums = np.zeros_like(missing), missing.sum(axis=1)
        some = missing.any(axis=1)
        begins[some, missing.argmax(axis=1)[some]] = True
        self._add(
            "non-finite",
            None,
            begins,
            lambda i, j: (
                f"losses that aren't finite: the first at epoch {(j + 1) / 2}, in {sums[i]} rows",
                "",
            ),
        )
        far = np.zeros_like(missing)
        chance_losses = log_classes(self._tables)
        far[:, 0] = np.isfinite(self._train[:, 0]) & (self._train[:, 0] > FAR_ABOVE * chance_losses)
        self._add(
            "first-loss",
            "train_loss",
            far,
            lambda i, j: (
                f"the first trainLoss is {self._train[i, j]!s}",
                f"near ln(classes), {chance_losses[i]:.4g}, unless it diverges",
            ),
        )
        best = np.fmax.reduce(self._accuracy, axis=1)
        limits = chance_limits(self._tables)
        for i in np.flatnonzero(best <= limits):
            self._tables[i].findings.add(
                "never-learned", f"its best accuracy is {best[i]!s} %, as chance may give"
            )

    def _add(self, rule: str, field: str | None, where: Truths, words: Words) -> None:
        column = _NUMBERS[field] if field else None
        for i, j in np.argwhere(where).tolist():
            found, right = words(i, j)
            self._tables[i].findings.add(rule, found, right, line=j + 2, column=column)


def _value(number: float) -> str:
    return "blank or nan" if np.isnan(number) else str(number)
