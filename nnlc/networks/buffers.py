"""The memory that a layer allocates in a training step, in bytes, and how a convolution goes.

Written down from what PyTorch's layers and `nnlc.training`'s own do: which values they keep for the
backward pass, and what their kernels take besides and give back.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from nnlc.networks.trimming import Trim, trim

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer

DeviceKind = Literal["cuda", "cpu"]

VALUE_BYTES = 4
"""Everything is computed in single precision."""
PLACE_BYTES = 8
"""Where in its window a pooling found the maximum."""

# How `nnlc.training.convolution` computes: what must be saved for an output's trimming to be worth
# its while, and on a processor the outputs each way, at most, for which matrices are multiplied.
WORTH_TRIMMING = 64
FEW_OUTPUTS = 3
FEW_OUTPUTS_FOR_WEIGHTS = 8


class Buffers(NamedTuple):
    """What one layer allocates for a whole batch."""

    output: int
    """What it gives; 0 where that is its input, changed in place or seen otherwise."""
    kept: tuple[int, ...] = ()
    """Besides, until the backward pass comes to it."""
    forward: tuple[int, ...] = ()
    """Given back when its forward pass is over."""
    backward: tuple[int, ...] = ()
    """The same of its backward pass, gradient of the input included."""
    keeps_input: bool = False
    """Whether its backward pass needs the input."""
    keeps_output: bool = False


class Windows(NamedTuple):
    """How a convolution is computed."""

    part: Trim
    """The outputs that are."""
    is_trimmed: bool
    """Whether the others are filled in."""
    is_padded: bool
    """Whether the input is copied into one with padding first."""
    forward: bool
    """On a processor: as a product of matrices."""
    for_weights: bool
    """The same, gradient of the weights."""
    values: int
    """Values of one image's windows: those of the outputs that are computed."""


def windows(layer: "Layer") -> Windows:
    """The way that a convolution takes, on a processor as far as it matters there."""
    found, outputs = trim(layer), layer.output[1]
    saved = layer.input[0] * layer.kernel**2 * (outputs**2 - found.width**2) / outputs**2
    is_trimmed = saved >= WORTH_TRIMMING
    part = found if is_trimmed else Trim(0, outputs, layer.padding, layer.padding)
    return Windows(
        part=part,
        is_trimmed=is_trimmed,
        is_padded=part.left != part.right or part.left < 0,
        forward=part.width <= FEW_OUTPUTS,
        for_weights=part.width <= FEW_OUTPUTS_FOR_WEIGHTS,
        values=layer.input[0] * (part.width * layer.kernel) ** 2,
    )
