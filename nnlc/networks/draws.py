"""Random draws that are the same on every machine, Python and library version.

The draws use two parts of the standard library. One is `random.Random(n).random()`: Python promises
the same sequence for the same integer seed in every version (documentation of `random`, "Notes on
Reproducibility"; MT19937, 53 bits per draw). The other is `decimal`, for powers of ten: its
arithmetic is defined digit by digit, whereas the last bit of the C library's `pow` differs between
platforms. Everything else is IEEE-754 arithmetic on doubles, one rounded operation at a time.
"""

import decimal
import hashlib
import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_CONTEXT = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)


def derive_seed(*parts: str | int, bits: int = 64) -> int:
    """Return a seed of `bits` bits, at most 256, that depends on all parts and their order."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest, "big") >> (256 - bits)


def training_seed(random_seed: int, purpose: str, *where: int) -> int:
    """Return a seed of 63 bits, the most that torch accepts, for random numbers in training.

    Args:
        random_seed: the network's own seed.
        purpose: "init" for the weights, "order" for the order of images, "dropout" for the masks,
            "augment" for the changes of training images.
        where: the epoch for "order" and "augment", the step for "dropout".
    """
    return derive_seed(purpose, random_seed, *where, bits=63)


def power(base: float, exponent: float) -> float:
    """Return a power of a number above 0, rounded to the nearest double from 40 exact digits."""
    return float(_CONTEXT.power(decimal.Decimal(base), decimal.Decimal(exponent)))


def power_of_ten(exponent: float) -> float:
    """Return 10 to the power of `exponent`, rounded to the nearest double from 40 exact digits."""
    return power(10, exponent)


class Draws:
    """A stream of random draws from one integer seed.

    Each method takes the name of what is drawn, such as "conv1_kernel"; here it has no effect.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311  (no secrets here)

    def unit(self, name: str) -> float:
        """Draw a number from 0 to below 1, from which each other method makes its draw."""
        del name
        return self._random()

    def integer(self, low: int, high: int, name: str = "") -> int:
        """Draw an integer uniformly from low, low + 1, …, high.

        The bias is below (high - low + 1) / 2**53: far too small to show in 6,000 networks.

        Raises:
            ValueError: there is no such integer.
        """
        if low > high:
            raise ValueError(f"no integer can be drawn from {low} to {high}: low is above high")
        return low + math.floor(self.unit(name) * (high - low + 1))

    def uniform(self, low: float, high: float, name: str = "") -> float:
        """Draw a number uniformly between low and high."""
        return min(high, low + (high - low) * self.unit(name))

    def power_of_ten(self, low: float, high: float, name: str = "") -> float:
        """Draw 10 to a power that is drawn uniformly between low and high."""
        return power_of_ten(self.uniform(low, high, name))

    def coin(self, name: str = "") -> bool:
        """Draw True or False with equal chance."""
        return self.unit(name) < 0.5

    def choice(self, options: Sequence[T], name: str = "") -> T:
        """Draw one of the options uniformly.

        Raises:
            ValueError: there are no options.
        """
        if not options:
            raise ValueError("there are no options to choose from")
        return options[self.integer(0, len(options) - 1, name)]
