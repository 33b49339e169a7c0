"""Draw networks twice: a family's specify must be a function of its arguments alone."""

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

PURE = (
    "values must follow from the arguments of specify alone; make all draws with its argument "
    "draws, keep nothing from one call to the next, and let nothing depend on the order of a set"
)
"""Advice on a network that is drawn differently."""


class Place(NamedTuple):
    """Place of a network in its family."""

    images: str
    """Name of the image set."""
    group: int
    number: int
    """Number of the network among those of its group and images."""

    def __str__(self) -> str:
        return f"number {self.number} of group {self.group} for {self.images}"


Draw = Callable[[Place], Mapping[str, object]]
"""Function that returns the values of the network at a place."""


def differences(draw: Draw, places: Sequence[Place]) -> Iterator[tuple[Place, str]]:
    """Draw networks twice, in another order and with other global random streams.

    Yields:
        The place of each network that is another one the second time, and how it differs.
    """
    with _streams_kept():
        _seed_streams(1)
        first = {place: draw(place) for place in places}
        _seed_streams(2)
        second = {place: draw(place) for place in reversed(places)}
    for place in places:
        if text := difference(first[place], second[place]):
            yield place, text


def difference(here: Mapping[str, object], there: Mapping[str, object]) -> str:
    """Return how values differ from those of the same network; "" if they don't."""
    for name in {**here, **there}:
        if repr(here.get(name)) != repr(there.get(name)):
            return f"{name} is {here.get(name)!r:.60}, and {there.get(name)!r:.60}"
    return ""


def _seed_streams(seed: int) -> None:
    random.seed(seed)
    for stream in _loaded_streams():
        stream.seed(seed)


def _loaded_streams() -> Iterator[Any]:
    """Yield NumPy's global random stream if NumPy is loaded."""
    if "numpy" in sys.modules:
        yield sys.modules["numpy"].random


@contextmanager
def _streams_kept() -> Iterator[None]:
    """Give the global random streams their former states after this context."""
    state = random.getstate()
    states = [(stream, stream.get_state()) for stream in _loaded_streams()]
    try:
        yield
    finally:
        random.setstate(state)
        for stream, before in states:
            stream.set_state(before)
