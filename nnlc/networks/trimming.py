"""What of a padded convolution has to be computed: no output that sees nothing but padding.

Where padding is wide and the input narrow, as in the deep layers of these networks, many windows
lie in the padding alone. Their output is the bias, exactly, and no gradient but the bias's flows
there: of the campaign's direct convolutions a fifth of the arithmetic is of this kind, and half of
it in one network out of three.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer


@dataclass(frozen=True, slots=True)
class Trim:
    """The outputs of a convolution that see its input, the same ones in both directions."""

    first: int
    """The first of them."""
    width: int
    """How many they are."""
    left: int
    """Padding that they need before the input's first pixel; negative: pixels left out."""
    right: int
    """Padding that they need after its last one; negative: pixels left out."""


def trim(layer: "Layer") -> Trim:
    """The outputs of a convolution that see its input.

    Output i looks at the inputs from i * stride - padding on, kernel of them.
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
