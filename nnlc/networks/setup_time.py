"""Set-up time of a network: from its start to the steps that take as long as all later ones.

    seconds = seconds a network + seconds a convolution * convolutions

In this time the trainer loads images, builds the network and continues from a checkpoint, the
libraries choose and compile kernels for the shapes of its convolutions, and steps are captured as
CUDA graphs. It comes on top of the training time, in each job that trains the network.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import inf
from typing import Annotated

from pydantic import Field

from nnlc.networks.machine import DeviceKind
from nnlc.wording import counted

FEWEST_MEASURED = 10
"""Minimum number of networks whose set-up times replace the assumption."""
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class SetupTime:
    """Set-up time of networks on one model of device."""

    seconds_a_network: _Seconds = 0.0
    seconds_a_convolution: _Seconds = 0.0
    networks: Annotated[int, Field(ge=0)] = 0
    """Number of networks that it was measured on; 0 for an assumption."""

    def seconds(self, convolutions: int) -> float:
        """Return the set-up time of a network with this many convolutions."""
        return self.seconds_a_network + self.seconds_a_convolution * convolutions

    @property
    def words(self) -> str:
        words = f"setting up a network takes {self.seconds_a_network:.3g} s"
        if self.seconds_a_convolution:
            words += f" and {self.seconds_a_convolution:.3g} s a convolution"
        measured = f"measured on {counted(self.networks, 'network')}"
        return f"{words}, {measured if self.networks else 'an assumption'}"


# Of a GPU, assumptions. MIOpen compiles kernels for each shape, and nearly all shapes of a campaign
# differ: on an MI50, the first batch of ResNet-18, with 11 different convolutions, took 63 s
# (github.com/ROCm/pytorch/issues/433). cuDNN brings its kernels, and only chooses among them.
_AMD = SetupTime(1.0, 6.0)
_NVIDIA = SetupTime(1.0, 0.1)
_AMD_WORDS = ("amd", "instinct", "radeon")


def assumed_setup(model: str, kind: DeviceKind, a_convolution: float | None = None) -> SetupTime:
    """Return the assumed set-up time on a model of device; on CPUs 0.

    Seconds a convolution are those of the GPU's manufacturer unless given.
    """
    if kind == "cpu":
        return SetupTime()
    found = _AMD if any(word in model.lower() for word in _AMD_WORDS) else _NVIDIA
    return found if a_convolution is None else SetupTime(found.seconds_a_network, a_convolution)


def fit_setup(measured: Iterable[tuple[int, float | None]]) -> SetupTime | None:
    """Return the set-up time that fits measured ones best; None if too few are known.

    It is the median, or the line through the medians of two numbers of convolutions that has the
    smallest sum of absolute errors. So a few slow set-ups, such as a trainer's first, count little.

    Args:
        measured: number of convolutions and set-up time of each network; None if not known.
    """
    from statistics import median  # agents fit nothing

    samples = [(n, s) for n, s in measured if s is not None and 0 <= s < inf]
    if len(samples) < FEWEST_MEASURED:
        return None
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for convolutions, seconds in samples:
        groups[convolutions].append(seconds)
    found = [SetupTime(median(seconds for _, seconds in samples), 0.0, len(samples))]
    points = sorted((convolutions, median(seconds)) for convolutions, seconds in groups.items())
    for (few, low), (many, high) in combinations(points, 2):
        slope = (high - low) / (many - few)
        if slope >= 0 and (start := low - slope * few) >= 0:
            found.append(SetupTime(start, slope, len(samples)))
    return min(found, key=lambda each: sum(abs(each.seconds(n) - s) for n, s in samples))
