"""Queue of networks by expected seconds, which change as the job learns.

    expected seconds = predicted seconds * correction factor of the network's kind

There is one heap per kind, since a new factor changes the order of kinds but not the order within a
kind.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import Literal

from nnlc.calibration.speed_correction import Kind, SpeedCorrection

Order = Literal["longest", "shortest"]


class ExpectedSeconds(Mapping[int, float]):
    """Mapping from a network's index to its expected seconds by the current correction factors.

    Args:
        seconds: predicted seconds, by network index.
        kinds: kind of each network, by network index.
        correction: current factor of each kind.
    """

    def __init__(
        self, seconds: Mapping[int, float], kinds: Mapping[int, Kind], correction: SpeedCorrection
    ) -> None:
        self._seconds, self._kinds, self._correction = seconds, kinds, correction

    def __getitem__(self, index: int) -> float:
        return self._correction.factor(self._kinds[index]) * self._seconds[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._seconds)

    def __len__(self) -> int:
        return len(self._seconds)


class WaitingNetworks:
    """Queue of networks by expected seconds, then by index.

    Args:
        seconds: predicted seconds of every network that may be queued, by network index.
        kinds: kind of each network, by network index.
        correction: current factor of each kind.
        order: "longest" or "shortest" first.
    """

    def __init__(
        self,
        seconds: Mapping[int, float],
        kinds: Mapping[int, Kind],
        correction: SpeedCorrection,
        order: Order = "longest",
    ) -> None:
        self._seconds, self._kinds, self._correction = seconds, kinds, correction
        self._sign = -1 if order == "longest" else 1
        self._heaps: dict[Kind, list[tuple[float, int]]] = {}
        self._sums: dict[Kind, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def expected_seconds(self) -> float:
        """Sum of the expected seconds of all queued networks."""
        return sum(self._correction.factor(kind) * total for kind, total in self._sums.items())

    def push(self, index: int) -> None:
        """Add a network to the queue."""
        kind, seconds = self._kinds[index], self._seconds[index]
        heapq.heappush(self._heaps.setdefault(kind, []), (self._sign * seconds, index))
        self._sums[kind] = self._sums.get(kind, 0.0) + seconds
        self._count += 1

    def first(self, *, packable: bool | None = None) -> int | None:
        """Return the index of the next network, or None.

        Args:
            packable: True for the next packable network, False for the next that is not packable.
        """
        kind = self._first_kind(packable)
        return None if kind is None else self._heaps[kind][0][1]

    def pop(self, *, packable: bool | None = None) -> int | None:
        """Return the index of the next network, as `first` does, and remove it from the queue."""
        kind = self._first_kind(packable)
        if kind is None:
            return None
        _, index = heapq.heappop(self._heaps[kind])
        self._sums[kind] -= self._seconds[index]
        self._count -= 1
        return index

    def _first_kind(self, packable: bool | None) -> Kind | None:
        """Return the kind of the next network."""
        firsts = (
            (self._correction.factor(kind) * heap[0][0], heap[0][1], kind)
            for kind, heap in self._heaps.items()
            if heap and packable in (None, kind.packable)
        )
        return min(firsts, default=(0.0, 0, None))[2]
