"""Idle trainers, and what each may begin beside what its GPU has under way.

runs on its GPU        an idle trainer there may begin
nothing                any network
networks that share    one that shares
one that does not      nothing
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

Place = tuple[int, int]
"""A rank, and the number of its trainer."""


@dataclass(slots=True)
class _Gpu:
    idle: dict[Place, None] = field(default_factory=dict)
    """In the order in which they became so."""
    running: set[Place] = field(default_factory=set)
    taken: bool = False
    """By a network that does not share."""
    offered: int | None = None
    """Under which number of running networks it is offered, if it is."""


class Places:
    """Who is idle, by GPU. Each call is a matter of constant time, however many there are.

    Args:
        gpu_of: what a trainer trains on: places with the same share it.
    """

    def __init__(self, gpu_of: Callable[[Place], Hashable]) -> None:
        self._gpu_of = gpu_of
        self._gpus: dict[Hashable, _Gpu] = {}
        self._offered: list[dict[Hashable, None]] = [{}]
        self._idle = 0

    def __len__(self) -> int:
        """How many are idle, whether or not they may begin anything."""
        return self._idle

    def idle(self, place: Place) -> None:
        """A trainer has nothing to do."""
        gpu = self._gpu(place)
        self._idle += place not in gpu.idle
        gpu.idle[place] = None
        self._offer(place)

    def gone(self, place: Place) -> None:
        """An idle trainer has ended; nothing happens if it isn't idle."""
        gpu = self._gpu(place)
        self._idle -= place in gpu.idle
        gpu.idle.pop(place, None)
        self._offer(place)

    def retire(self, rank: int) -> None:
        """Forget all idle trainers of a rank; what the others of it run goes on."""
        for place in [p for gpu in self._gpus.values() for p in gpu.idle if p[0] == rank]:
            self.gone(place)

    def begins(self, place: Place, *, shares: bool) -> None:
        """An idle trainer begins a network."""
        gpu = self._gpu(place)
        gpu.running.add(place)
        gpu.taken = not shares
        self.gone(place)

    def ends(self, place: Place) -> None:
        """What a trainer had under way has ended, well or badly."""
        gpu = self._gpu(place)
        gpu.running.discard(place)
        gpu.taken = gpu.taken and bool(gpu.running)
        self._offer(place)

    def free(self) -> Iterator[Place]:
        """An idle trainer of each GPU on which nothing runs, the longest idle GPU first."""
        return self._first_of(self._offered[0])

    def beside(self) -> Iterator[Place]:
        """The same where networks run that share, on the emptiest GPUs first."""
        for gpus in self._offered[1:]:
            yield from self._first_of(gpus)

    def _first_of(self, gpus: dict[Hashable, None]) -> Iterator[Place]:
        return (next(iter(self._gpus[key].idle)) for key in gpus)

    def _gpu(self, place: Place) -> _Gpu:
        return self._gpus.setdefault(self._gpu_of(place), _Gpu())

    def _offer(self, place: Place) -> None:
        """Have its GPU stand where it belongs."""
        key = self._gpu_of(place)
        gpu = self._gpus[key]
        number = len(gpu.running) if gpu.idle and not gpu.taken else None
        if number == gpu.offered:
            return
        if gpu.offered is not None:
            del self._offered[gpu.offered][key]
        if number is not None:
            while len(self._offered) <= number:
                self._offered.append({})
            self._offered[number][key] = None
        gpu.offered = number
