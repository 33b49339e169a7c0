"""Counts of the work of training a network, from which its cost is predicted."""

from collections.abc import Iterable
from typing import NamedTuple


class Work(NamedTuple):
    """Counts of the work of one or more steps, summed over the images of a batch."""

    operations: float = 0
    """Operations (fp32) of direct convolutions and fully connected layers, two per multiply-add.

    Convolutions that are computed as matrix products of windows count here too."""
    fourier: float = 0
    """Operations (fp32) of Fourier convolutions, transforms included; `operations` lacks them."""
    gathered: float = 0
    """Values copied into or out of windows by convolutions that are computed as matrix products."""
    comparisons: float = 0
    """Comparisons in pooling windows; a vector of 8 channels counts as one."""
    values: float = 0
    """Activations and their gradients that are read or written."""
    narrow: float = 0
    """Operations of direct convolutions with at most `FEW_CHANNELS` input channels.

    `operations` includes them. They are slower, as they leave vector registers mostly empty."""
    random: float = 0
    """Random numbers drawn for dropout."""
    weights: float = 0
    """Weights, their gradients and the optimizer's state that are read or written."""
    kernels: float = 0
    """Kernel launches on a GPU, calls on a CPU."""

    @property
    def all_operations(self) -> float:
        """Operations of all convolutions and fully connected layers, as they are computed."""
        return self.operations + self.fourier

    def times(self, steps: float) -> "Work":
        """Return these counts times a number of steps."""
        return Work(*(steps * count for count in self))


def sum_work(parts: Iterable[Work]) -> Work:
    """Return the sum, count by count."""
    return Work(*map(sum, zip(*parts, strict=True)))
