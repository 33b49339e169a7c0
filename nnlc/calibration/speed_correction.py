"""Correction of predicted times: a factor measured / predicted for each kind of network.

The error of a prediction has two parts. The part that networks of one kind have in common (their
image set, their size, a GPU that they share) is learned here: from the first half epochs that this
job measures, and from networks that earlier jobs finished. The part of a single network can't be
known before it runs, but hardly affects longest-first order (benchmarks/schedule.py).

    level                 factor
    all networks          median of measured / predicted
    one image set         its own median, shrunk towards the factor of all networks
    one kind              its own median, shrunk towards the factor of its image set

Factors affect the order of networks and the estimate of the time left. No table depends on them.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from math import exp, floor, inf, log, log10
from typing import NamedTuple

PRIOR_WEIGHT = 2
"""Number of networks at which a median weighs as much as the factor of the level above."""
COUNTED = 2
"""Half epochs of a network that are used: the first is a warm-up, and all later ones are alike."""


class Kind(NamedTuple):
    """Group of networks with a common correction factor."""

    images: str
    """Name of the image set."""
    size: int
    """Predicted seconds as a power of ten: 2 for 100 to 999 s."""
    packable: bool = False
    """True if the networks may share a GPU with others."""


def size_class(seconds: float) -> int:
    """Return the power of ten of a network's predicted seconds; 0 if they are zero or infinite."""
    return floor(log10(seconds)) if 0 < seconds < inf else 0


class _Median:
    """Median of a changing collection of logarithms."""

    def __init__(self) -> None:
        self._sorted: list[float] = []

    def add(self, value: float) -> None:
        insort(self._sorted, value)

    def remove(self, value: float) -> None:
        del self._sorted[bisect_left(self._sorted, value)]

    @property
    def middle(self) -> float:
        """Median; without values 0, the logarithm of 1."""
        values, count = self._sorted, len(self._sorted)
        return (values[(count - 1) // 2] + values[count // 2]) / 2 if values else 0.0

    def shrunk_towards(self, above: float) -> float:
        """Return the median, shrunk towards another value: strongly if there are few values."""
        count = len(self._sorted)
        return (count * self.middle + PRIOR_WEIGHT * above) / (count + PRIOR_WEIGHT)


class SpeedCorrection:
    """Correction factors from measured times. Only the newest time of each network counts."""

    def __init__(self) -> None:
        self._all = _Median()
        self._of_images: defaultdict[str, _Median] = defaultdict(_Median)
        self._of_kind: defaultdict[Kind, _Median] = defaultdict(_Median)
        self._measurements: dict[int, tuple[int, float, Kind]] = {}
        self._factors: dict[Kind, float] = {}

    def measure(self, index: int, kind: Kind, predicted: float, measured: float) -> None:
        """Compare the measured with the predicted seconds of some work of a network.

        Values that are zero or infinite are ignored, and so are those after the first `COUNTED`.
        """
        count, old_value, old_kind = self._measurements.get(index, (0, 0.0, kind))
        if count == COUNTED or not (0 < predicted < inf and 0 < measured < inf):
            return
        value = log(measured / predicted)
        self._measurements[index] = count + 1, value, kind
        for level in self._levels(old_kind) if count else ():
            level.remove(old_value)
        for level in self._levels(kind):
            level.add(value)
        self._factors.clear()

    def _levels(self, kind: Kind) -> tuple[_Median, ...]:
        return self._all, self._of_images[kind.images], self._of_kind[kind]

    def factor(self, kind: Kind) -> float:
        """Return the factor by which to multiply predicted seconds of a kind; 1 without data."""
        found = self._factors.get(kind)
        if found is None:
            images = self._of_images[kind.images].shrunk_towards(self._all.middle)
            found = self._factors[kind] = exp(self._of_kind[kind].shrunk_towards(images))
        return found
