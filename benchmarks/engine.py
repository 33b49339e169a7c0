"""PENGUIN and its published engine: `python benchmarks/engine.py TABLE|FOLDER… [--networks N]`.

The engine fits with SciPy's `curve_fit`, one network after the other. nnlc fits many networks at
once with its own code, so that no result depends on SciPy's version. This program runs both on the
same tables and counts the networks for which both stop at the same epoch with the same prediction.
For the other networks SciPy's result depends on the last bits of its input: the program counts for
how many of them SciPy's result changes when the last bits of the accuracies change. Networks with
losses or accuracies that are not finite are left out, as by the engine.

The digests cover the end epochs of all networks. nnlc's is the same for every SciPy; the engine's
may not be.
"""

import argparse
import hashlib
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import curve_fit

import nnlc
from nnlc.analysis.predictors.interface import Curves
from nnlc.analysis.predictors.penguin import Penguin
from nnlc.errors import NnlcError

Floats = NDArray[np.float64]
FIELDS = ("train_loss", "val_loss", "val_accuracy_percent")
NUDGES = (1 + 2.3e-16, 1 - 1.2e-16, 1 + 1e-15, 1 - 1e-15)
"""Factors that change only the last bits of accuracies."""
SAME = 1e-3
"""Predictions closer than this many percent count as the same."""


@dataclass(frozen=True)
class End:
    """End of a network's training: number of half epochs, and the prediction, if there is one."""

    half_epochs: int
    predicted: float | None

    def is_like(self, other: "End") -> bool:
        """Return True for the same number of half epochs and the same prediction, if any."""
        if self.predicted is None or other.predicted is None:
            return self == other
        near = abs(self.predicted - other.predicted) < SAME
        return near and self.half_epochs == other.half_epochs


def saturation(x: Floats, a: float, b: float, c: float) -> Floats:
    """Return a - b^(c - x)."""
    return np.asarray(a - b ** (c - x))


def engine_end(accuracies: Floats) -> End:
    """Return where PENGUIN's rule ends a curve, with SciPy's fits as in the article."""
    last, recorded = len(accuracies), list[float]()
    x = np.arange(1.0, last + 1)
    for count in range(2, last):
        try:
            (a, b, c), _ = curve_fit(
                saturation,
                x[:count],
                accuracies[:count],
                p0=(10, 1.001, 100),
                bounds=((0.5, 1, 0), (200, np.inf, np.inf)),
            )
        except RuntimeError:
            continue
        predicted = float(saturation(np.array(float(last)), a, b, c))
        if a >= 199.99:
            recorded = []
        elif np.isfinite([a, predicted]).all():
            recorded.append(predicted)
            if len(recorded) == 3:
                middle = median(recorded)
                if all(abs(p - middle) <= 0.5 for p in recorded) and 0 < predicted <= 100:
                    return End(count, predicted)
                del recorded[0]
    return End(last, None)


def finite_curves(tables: nnlc.Tables, half_epochs: int, most: int | None) -> Curves:
    """Return the first half epochs of networks that are long enough and have finite values."""
    found = []
    for _, curve in tables.curves.groupby("id", sort=False):
        values = curve[list(FIELDS)].to_numpy()[:half_epochs]
        if len(values) == half_epochs and np.isfinite(values).all():
            found.append(values)
    if not found:
        raise NnlcError(f"no network has {half_epochs} half epochs with finite numbers")
    fields = np.moveaxis(np.array(found[:most]), 2, 0)
    return Curves(np.arange(1, half_epochs + 1) / 2, **dict(zip(FIELDS, fields, strict=True)))


def digest(ends: list[End]) -> str:
    """Return a digest of all end epochs."""
    return hashlib.sha256(",".join(str(end.half_epochs) for end in ends).encode()).hexdigest()[:12]


def measure(curves: Curves) -> None:
    """Run both, and print results and seconds."""
    start = time.perf_counter()
    stops = Penguin(epoch=curves.epochs[-1]).decide(curves)
    ours_seconds = time.perf_counter() - start
    ours = [
        End(int(points), float(value) if converged else None)
        for points, converged, value in zip(
            stops.points, stops.converged, stops.values, strict=True
        )
    ]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about covariances, which are not used
        theirs = [engine_end(one) for one in curves.val_accuracy_percent]
        seconds = time.perf_counter() - start
        differing = [
            n for n, (own, its) in enumerate(zip(ours, theirs, strict=True)) if not own.is_like(its)
        ]
        unsure = sum(
            not all(
                engine_end(curves.val_accuracy_percent[n] * nudge).is_like(theirs[n])
                for nudge in NUDGES
            )
            for n in differing
        )
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}")
    print(f"end epochs: {digest(ours)} by nnlc, {digest(theirs)} by curve_fit")
    print(f"seconds: {ours_seconds:.2f} by nnlc, {seconds:.2f} by curve_fit")
    print(
        f"{len(ours) - len(differing)} of {len(ours)} networks end alike; of the other "
        f"{len(differing)}, {unsure} end elsewhere by curve_fit itself when last bits move"
    )


def main() -> int:
    """Read the tables, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--networks", type=int, help="not more than these; default all")
    parser.add_argument("--epoch", type=float, default=20.0, help="the epoch that is predicted")
    options = parser.parse_args()
    try:
        tables = nnlc.load_tables(options.paths)
        measure(finite_curves(tables, round(2 * options.epoch), options.networks))
    except NnlcError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
