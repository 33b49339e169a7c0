"""Idle trainers, grouped by what their GPU runs.

running on the GPU       an idle trainer there may begin
nothing                  any network
packable networks        a packable network
a network that is not    nothing
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

Slot = tuple[int, int]
"""A trainer: its rank, and its number on that rank."""


@dataclass(slots=True)
class _Gpu:
    idle: dict[Slot, None] = field(default_factory=dict)
    """Idle slots, in the order in which they became idle."""
    running: set[Slot] = field(default_factory=set)
    exclusive: bool = False
    """True while a network runs that is not packable."""
    offered: int | None = None
    """Index into `IdleSlots._offered`, the number of running networks; None if not in there."""


class IdleSlots:
    """Idle slots by GPU. Each call takes constant time, however many slots there are.

    Args:
        gpu_of: returns a key of a slot's GPU: equal keys mean one GPU.
    """

    def __init__(self, gpu_of: Callable[[Slot], Hashable]) -> None:
        self._gpu_of = gpu_of
        self._gpus: dict[Hashable, _Gpu] = {}
        self._offered: list[dict[Hashable, None]] = [{}]
        self._idle = 0

    def __len__(self) -> int:
        """Return the number of idle slots, those on occupied GPUs included."""
        return self._idle

    def add(self, slot: Slot) -> None:
        """Add an idle slot."""
        gpu = self._gpu(slot)
        self._idle += slot not in gpu.idle
        gpu.idle[slot] = None
        self._offer(slot)

    def remove(self, slot: Slot) -> None:
        """Remove a slot; do nothing if it is not idle."""
        gpu = self._gpu(slot)
        self._idle -= slot in gpu.idle
        gpu.idle.pop(slot, None)
        self._offer(slot)

    def retire(self, rank: int) -> None:
        """Remove all idle slots of a rank; its running networks continue."""
        for slot in [p for gpu in self._gpus.values() for p in gpu.idle if p[0] == rank]:
            self.remove(slot)

    def begin(self, slot: Slot, *, packable: bool) -> None:
        """Note that an idle slot begins a network."""
        gpu = self._gpu(slot)
        gpu.running.add(slot)
        gpu.exclusive = not packable
        self.remove(slot)

    def end(self, slot: Slot) -> None:
        """Note that a slot's network has ended."""
        gpu = self._gpu(slot)
        gpu.running.discard(slot)
        gpu.exclusive = gpu.exclusive and bool(gpu.running)
        self._offer(slot)

    def on_empty_gpus(self) -> Iterator[Slot]:
        """Return an idle slot of each GPU without a network, the longest idle GPU first."""
        return self._first_of(self._offered[0])

    def on_packed_gpus(self) -> Iterator[Slot]:
        """Yield an idle slot of each GPU with packable networks, the GPU with the fewest first."""
        for gpus in self._offered[1:]:
            yield from self._first_of(gpus)

    def _first_of(self, gpus: dict[Hashable, None]) -> Iterator[Slot]:
        return (next(iter(self._gpus[key].idle)) for key in gpus)

    def _gpu(self, slot: Slot) -> _Gpu:
        return self._gpus.setdefault(self._gpu_of(slot), _Gpu())

    def _offer(self, slot: Slot) -> None:
        """Move a slot's GPU to the group of its current number of running networks."""
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
