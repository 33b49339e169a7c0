"""What computing asks of a machine, count by count: the unit of all predictions of cost."""

from collections.abc import Iterable
from typing import NamedTuple


class Work(NamedTuple):
    """Counts of a step, of all images in its batch together."""

    operations: float = 0
    """Floating-point operations of convolutions and fully connected layers, two a multiply-add."""
    gathered: float = 0
    """Values copied into windows or out of them, where a convolution is a product of matrices."""
    comparisons: float = 0
    """Vectors of values that pooling windows look at."""
    values: float = 0
    """Activations and their gradients that go through memory."""
    narrow: float = 0
    """Of the operations, those of direct convolutions with `FEW_CHANNELS`: they count twice."""
    random: float = 0
    """Random numbers of dropout."""
    weights: float = 0
    """Weights, their gradients and momenta that go through memory."""
    kernels: float = 0
    """Launches, or calls."""

    def times(self, steps: float) -> "Work":
        """So many such steps."""
        return Work(*(steps * count for count in self))


def sum_work(parts: Iterable[Work]) -> Work:
    """The sum, count by count."""
    return Work(*map(sum, zip(*parts, strict=True)))
