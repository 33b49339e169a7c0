"""What measured seconds teach about predicted ones: a factor for each kind of network.

A prediction is wrong in two ways. What networks of one kind have in common (their image set, their
size, a GPU that they share) is learned here, from the first half epochs that a job measures and
from networks that earlier jobs have finished. What is a network's own can't be known before it
runs, and need not be: longest-first order stands that well (benchmarks/schedule.py).

    all networks          median of measured / predicted
    one image set         its median, drawn towards that of all
    one kind              its median, drawn towards its image set's

Factors change the order in which networks are handed out, and what is said of the time that is
left. No table depends on them.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from math import exp, floor, inf, log, log10
from typing import NamedTuple

PRIOR_WEIGHT = 2
"""So many networks' word counts as much as that of the level above."""
COUNTED = 2
"""Half epochs of a network that are listened to: the first warms up, the rest is as the second."""


class Kind(NamedTuple):
    """Networks whose predictions are wrong in the same way."""

    images: str
    """Name of the image set."""
    size: int
    """Power of ten of the predicted seconds."""
    packable: bool = False
    """Whether they may run beside others on one GPU."""


def size_class(seconds: float) -> int:
    """The size of a network of so many predicted seconds; those of no time are small ones."""
    return floor(log10(seconds)) if 0 < seconds < inf else 0


class _Median:
    """Of logarithms that come and go."""

    def __init__(self) -> None:
        self._sorted: list[float] = []

    def add(self, value: float) -> None:
        insort(self._sorted, value)

    def remove(self, value: float) -> None:
        del self._sorted[bisect_left(self._sorted, value)]

    @property
    def middle(self) -> float:
        """The median; 0, the logarithm of 1, where there is nothing."""
        values, count = self._sorted, len(self._sorted)
        return (values[(count - 1) // 2] + values[count // 2]) / 2 if values else 0.0

    def towards(self, above: float) -> float:
        """The median, drawn towards another value, the more so the fewer there are."""
        count = len(self._sorted)
        return (count * self.middle + PRIOR_WEIGHT * above) / (count + PRIOR_WEIGHT)


class SpeedCorrection:
    """How measured seconds compare with predicted ones. A network has one vote, its newest."""

    def __init__(self) -> None:
        self._all = _Median()
        self._of_images: defaultdict[str, _Median] = defaultdict(_Median)
        self._of_kind: defaultdict[Kind, _Median] = defaultdict(_Median)
        self._measurements: dict[int, tuple[int, float, Kind]] = {}
        self._factors: dict[Kind, float] = {}

    def measure(self, index: int, kind: Kind, predicted: float, measured: float) -> None:
        """Some work of a network took so many seconds, where so many were predicted.

        What is no time at all says nothing, nor does what comes after `COUNTED` votes of a network.
        """
        told, before, kind_then = self._measurements.get(index, (0, 0.0, kind))
        if told == COUNTED or not (0 < predicted < inf and 0 < measured < inf):
            return
        vote = log(measured / predicted)
        self._measurements[index] = told + 1, vote, kind
        for level in self._levels(kind_then) if told else ():
            level.remove(before)
        for level in self._levels(kind):
            level.add(vote)
        self._factors.clear()

    def _levels(self, kind: Kind) -> tuple[_Median, ...]:
        return self._all, self._of_images[kind.images], self._of_kind[kind]

    def factor(self, kind: Kind) -> float:
        """What predicted seconds of such a network are multiplied by; 1 until anything is known."""
        found = self._factors.get(kind)
        if found is None:
            images = self._of_images[kind.images].towards(self._all.middle)
            found = self._factors[kind] = exp(self._of_kind[kind].towards(images))
        return found
