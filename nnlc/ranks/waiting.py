"""Networks that wait, longest expected first, while what is expected of them changes.

    expected seconds = predicted seconds * factor of the network's kind

One heap a kind: a factor that changes moves whole kinds against each other, and none within.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import Literal

from nnlc.ranks.speed_correction import Kind, SpeedCorrection

Order = Literal["longest", "shortest"]


class ExpectedSeconds(Mapping[int, float]):
    """By index, the expected seconds of networks, as far as is known at the moment of asking.

    Args:
        seconds: by index, predicted.
        kinds: by index.
        correction: gives each kind's factor.
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
    """An order that learns; equal networks go by their index.

    Args:
        seconds: by index, predicted, of every network that may ever wait.
        kinds: by index.
        correction: gives each kind's factor.
        order: "shortest" turns it round.
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
        """Of all that wait, together."""
        return sum(self._correction.factor(kind) * total for kind, total in self._sums.items())

    def push(self, index: int) -> None:
        """A network waits."""
        kind, seconds = self._kinds[index], self._seconds[index]
        heapq.heappush(self._heaps.setdefault(kind, []), (self._sign * seconds, index))
        self._sums[kind] = self._sums.get(kind, 0.0) + seconds
        self._count += 1

    def first(self, *, packable: bool | None = None) -> int | None:
        """Index of the next one; only of those that share a GPU, or that don't, if it is said."""
        kind = self._first_kind(packable)
        return None if kind is None else self._heaps[kind][0][1]

    def pop(self, *, packable: bool | None = None) -> int | None:
        """The same, and it waits no longer."""
        kind = self._first_kind(packable)
        if kind is None:
            return None
        _, index = heapq.heappop(self._heaps[kind])
        self._sums[kind] -= self._seconds[index]
        self._count -= 1
        return index

    def _first_kind(self, packable: bool | None) -> Kind | None:
        """Whose first network is the first of all."""
        firsts = (
            (self._correction.factor(kind) * heap[0][0], heap[0][1], kind)
            for kind, heap in self._heaps.items()
            if heap and packable in (None, kind.packable)
        )
        return min(firsts, default=(0.0, 0, None))[2]
