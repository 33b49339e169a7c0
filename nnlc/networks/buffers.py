"""Memory that a layer allocates in a training step, in bytes, and how a convolution is computed.

The numbers follow PyTorch's layers and those of `nnlc.training`: the values that a layer keeps for
the backward pass, and the temporary memory of its kernels.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from nnlc.networks.trimming import Trim, trim

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer

DeviceKind = Literal["cuda", "cpu"]

VALUE_BYTES = 4
"""Bytes of a value: all arithmetic is in single precision."""
INDEX_BYTES = 8
"""Bytes of the index of a pooling window's maximum."""

WORTH_TRIMMING = 64
"""Minimum saving for which outputs are trimmed, in multiply-adds per output value."""
FEW_OUTPUTS = 3
"""Greatest output width for which a CPU convolves forward as a matrix product."""
FEW_OUTPUTS_FOR_WEIGHTS = 8
"""Greatest output width for which a CPU computes the weights' gradient as a matrix product."""


class Buffers(NamedTuple):
    """Bytes that one layer allocates for a whole batch."""

    output: int
    """Bytes of the output; 0 if it is a view of the input, or the input changed in place."""
    kept: tuple[int, ...] = ()
    """Further bytes that are kept for the backward pass."""
    forward: tuple[int, ...] = ()
    """Temporary bytes of the forward pass."""
    backward: tuple[int, ...] = ()
    """Temporary bytes of the backward pass, the input's gradient included."""
    keeps_input: bool = False
    """True if the backward pass needs the layer's input."""
    keeps_output: bool = False
    """True if the backward pass needs the layer's output."""


class ConvolutionPlan(NamedTuple):
    """Choices on how a convolution is computed; matrix products are used on CPUs only."""

    trim: Trim
    """Outputs that are computed."""
    is_trimmed: bool
    """True if some outputs are not computed, but filled with the bias."""
    is_padded: bool
    """True if the input is first copied into a tensor with padding."""
    is_product: bool
    """True if a CPU computes the forward pass and the input's gradient as matrix products."""
    gradient_is_product: bool
    """True if a CPU computes the gradient of the weights as a matrix product."""
    window_values: int
    """Input values of one image, summed over the windows of all outputs that are computed."""


def plan_convolution(layer: "Layer") -> ConvolutionPlan:
    """Return how a convolution is computed."""
    found, outputs = trim(layer), layer.output[1]
    saved = layer.input[0] * layer.kernel**2 * (outputs**2 - found.width**2) / outputs**2
    is_trimmed = saved >= WORTH_TRIMMING
    part = found if is_trimmed else Trim(0, outputs, layer.padding, layer.padding)
    return ConvolutionPlan(
        trim=part,
        is_trimmed=is_trimmed,
        is_padded=part.left != part.right or part.left < 0,
        is_product=part.width <= FEW_OUTPUTS,
        gradient_is_product=part.width <= FEW_OUTPUTS_FOR_WEIGHTS,
        window_values=layer.input[0] * (part.width * layer.kernel) ** 2,
    )
