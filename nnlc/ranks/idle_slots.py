"""Idle trainers, and what each may begin beside what its GPU has under way.

runs on its GPU        an idle trainer there may begin
nothing                any network
networks that share    one that packable
one that does not      nothing
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

Slot = tuple[int, int]
"""A rank, and the number of its trainer."""


@dataclass(slots=True)
class _Gpu:
    idle: dict[Slot, None] = field(default_factory=dict)
    """In the order in which they became so."""
    running: set[Slot] = field(default_factory=set)
    exclusive: bool = False
    """By a network that does not share."""
    offered: int | None = None
    """Under which number of running networks it is offered, if it is."""


class IdleSlots:
    """Who is idle, by GPU. Each call is a matter of constant time, however many there are.

    Args:
        gpu_of: what a trainer trains on: slots with the same share it.
    """

    def __init__(self, gpu_of: Callable[[Slot], Hashable]) -> None:
        self._gpu_of = gpu_of
        self._gpus: dict[Hashable, _Gpu] = {}
        self._offered: list[dict[Hashable, None]] = [{}]
        self._idle = 0

    def __len__(self) -> int:
        """How many are idle, whether or not they may begin anything."""
        return self._idle

    def add(self, slot: Slot) -> None:
        """A trainer has nothing to do."""
        gpu = self._gpu(slot)
        self._idle += slot not in gpu.idle
        gpu.idle[slot] = None
        self._offer(slot)

    def remove(self, slot: Slot) -> None:
        """An idle trainer has ended; nothing happens if it isn't idle."""
        gpu = self._gpu(slot)
        self._idle -= slot in gpu.idle
        gpu.idle.pop(slot, None)
        self._offer(slot)

    def retire(self, rank: int) -> None:
        """Forget all idle trainers of a rank; what the others of it run goes on."""
        for slot in [p for gpu in self._gpus.values() for p in gpu.idle if p[0] == rank]:
            self.remove(slot)

    def begin(self, slot: Slot, *, packable: bool) -> None:
        """An idle trainer begins a network."""
        gpu = self._gpu(slot)
        gpu.running.add(slot)
        gpu.exclusive = not packable
        self.remove(slot)

    def end(self, slot: Slot) -> None:
        """What a trainer had under way has ended, well or badly."""
        gpu = self._gpu(slot)
        gpu.running.discard(slot)
        gpu.exclusive = gpu.exclusive and bool(gpu.running)
        self._offer(slot)

    def on_empty_gpus(self) -> Iterator[Slot]:
        """An idle trainer of each GPU on which nothing runs, the longest idle GPU first."""
        return self._first_of(self._offered[0])

    def on_packed_gpus(self) -> Iterator[Slot]:
        """The same where networks run that share, on the emptiest GPUs first."""
        for gpus in self._offered[1:]:
            yield from self._first_of(gpus)

    def _first_of(self, gpus: dict[Hashable, None]) -> Iterator[Slot]:
        return (next(iter(self._gpus[key].idle)) for key in gpus)

    def _gpu(self, slot: Slot) -> _Gpu:
        return self._gpus.setdefault(self._gpu_of(slot), _Gpu())

    def _offer(self, slot: Slot) -> None:
        """Have its GPU stand where it belongs."""
        key = self._gpu_of(slot)
        gpu = self._gpus[key]
        number = len(gpu.running) if gpu.idle and not gpu.exclusive else None
        if number == gpu.offered:
            return
        if gpu.offered is not None:
            del self._offered[gpu.offered][key]
        if number is not None:
            while len(self._offered) <= number:
                self._offered.append({})
            self._offered[number][key] = None
        gpu.offered = number
