"""Check that a family's specify is a function of its arguments alone."""

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.specification import Value

_NUMBERS = (0, 1, 7)
"""Numbers of the networks in the sample, of each group."""


def check_purity(
    label: str, specify: Callable[[int, int], Mapping[str, Value]], groups: Iterable[int]
) -> None:
    """Draw a few networks twice, in another order and with other global random streams.

    Args:
        label: name and version of the family.
        specify: returns the values of a network of a group, with this number.
        groups: groups of the networks to draw.

    Raises:
        SpecError: a network differs the second time.
    """
    sample = [(group, number) for group in groups for number in _NUMBERS]
    with _streams_kept():
        _seed_streams(1)
        first = {each: specify(*each) for each in sample}
        _seed_streams(2)
        second = {each: specify(*each) for each in reversed(sample)}
    for group, number in sample:
        here, there = first[group, number], second[group, number]
        for name in {**here, **there}:
            if repr(here.get(name)) != repr(there.get(name)):
                raise SpecError(
                    f"family {label}: specify gives number {number} of group {group} {name} = "
                    f"{here.get(name)!r:.60}, and {there.get(name)!r:.60} when called again: its "
                    "values must follow from its arguments alone; make all draws with the argument "
                    "draws, and keep nothing from one call to the next"
                )


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
