"""Outputs of a padded convolution that have to be computed: those that see some of the input.

If padding is wide and the input narrow, as in deep layers, many windows lie in the padding alone.
Their output is exactly the bias, and only the bias gets a gradient from them. In the article's
campaign such windows are a fifth of all multiply-adds; in one of three networks, half of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer


@dataclass(frozen=True, slots=True)
class Trim:
    """Range of a convolution's outputs that see its input, the same in rows and columns."""

    first: int
    """Index of the first output."""
    width: int
    """Number of outputs."""
    left: int
    """Padding before the input's first pixel; if negative, the number of pixels cut off."""
    right: int
    """Padding after the input's last pixel; if negative, the number of pixels cut off."""


def trim(layer: "Layer") -> Trim:
    """Return the outputs of a convolution that see its input.

    Output i sees the `kernel` inputs from i * stride - padding on.
    """
    input_width, output_width = layer.input[1], layer.output[1]
    kernel, stride, padding = layer.kernel, layer.stride, layer.padding
    first = max(0, (padding - kernel) // stride + 1)
    last = min(output_width - 1, (input_width + padding - 1) // stride)
    if last < first:  # a stride beyond the kernel can step over the whole input
        first, last = 0, output_width - 1
    left = padding - first * stride
    right = last * stride - padding + kernel - input_width
    return Trim(first, last - first + 1, left, right)
