"""Memory that a layer allocates in a training step, in bytes; plans for computing convolutions.

The numbers are those of the layers of PyTorch and of `nnlc.training`: values that a layer keeps for
the backward pass, and temporary memory of its kernels.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer

DeviceKind = Literal["cuda", "cpu"]

VALUE_BYTES = 4
"""Bytes of a value: all arithmetic is in single precision."""
INDEX_BYTES = 8
"""Bytes of the index of a pooling window's maximum."""

WORTH_TRIMMING = 64
"""Minimum saving for which a convolution is trimmed, in multiply-adds per output value."""
FEW_OUTPUTS = 3
"""Greatest output width for which a CPU computes the forward pass as a matrix product."""
FEW_OUTPUTS_FOR_WEIGHTS = 8
"""Greatest output width for which a CPU computes the weights' gradient as a matrix product."""


class Buffers(NamedTuple):
    """Bytes that one layer allocates for a whole batch."""

    output: int
    """Bytes of the output; 0 if the layer returns a view of its input or works in place."""
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


class Trim(NamedTuple):
    """Range of a convolution's outputs that see its input, the same in rows and columns."""

    first: int
    """Index of the first output."""
    width: int
    """Number of outputs."""
    left: int
    """Padding before the input's first pixel; if negative, the number of pixels cut off."""
    right: int
    """Padding after the input's last pixel; if negative, the number of pixels cut off."""


class ConvolutionPlan(NamedTuple):
    """Plan for computing a convolution; matrix products are used on CPUs only."""

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
    """Number of input values in all windows that are computed, for one image."""


def trim(layer: "Layer") -> Trim:
    """Return the outputs of a convolution that must be computed: their windows overlap the input.

    If padding is wide and the input narrow, as in deep layers, many windows contain only padding.
    Their output is exactly the bias, and only the bias gets a gradient from them. In the article's
    campaign such windows take a fifth of all multiply-adds; in every third network, half of them.
    The window of output i begins at input i * stride - padding and is `kernel` inputs wide.
    """
    input_width, output_width = layer.input[1], layer.output[1]
    kernel, stride, padding = layer.kernel, layer.stride, layer.padding
    first = max(0, (padding - kernel) // stride + 1)
    last = min(output_width - 1, (input_width + padding - 1) // stride)
    if last < first:  # a stride larger than the kernel can skip the whole input
        first, last = 0, output_width - 1
    left = padding - first * stride
    right = last * stride - padding + kernel - input_width
    return Trim(first, last - first + 1, left, right)


def plan_convolution(layer: "Layer") -> ConvolutionPlan:
    """Return the plan for computing a convolution."""
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
