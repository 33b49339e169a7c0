"""Plans for computing convolutions: which outputs, and the way of each pass.

A plan is a function of shapes and of the training's conditions. So a table does not depend on the
moment at which its network was trained.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from nnlc.families.article.conditions import Conditions
from nnlc.families.article.fourier import FourierPlan, plan_fourier
from nnlc.networks.machine import DeviceKind

if TYPE_CHECKING:
    from nnlc.families.article.layer import Layer

Way = Literal["direct", "product", "rows", "fourier"]
"""Way of computing one pass. direct: the library's convolution. product: one matrix product over
copies of all windows, on CPUs only. rows: one matrix product for each output and each row of its
window, without copies and padding, on CPUs only. fourier: Fourier transforms."""

WORTH_TRIMMING = 64
"""Minimum saving for which a convolution is trimmed, in multiply-adds per output value."""
FEW_OUTPUTS = 3
"""Greatest output width for which a CPU computes the forward pass as a matrix product."""
FEW_OUTPUTS_FOR_WEIGHTS = 8
"""Greatest output width for which a CPU computes the weights' gradient as a matrix product."""

LEAST_SAVED = 2e8
"""Least operations that a pass must save to be computed in another way than with `convolutions =
"direct"`, counted at the speed of Fourier transforms. So networks with little to gain keep their
bits."""
FEWEST_CHANNELS = 16
"""Least number of channels, and of filters, for other ways than with `convolutions = "direct"`:
fewer make them slow."""

# Speeds of arithmetic relative to that of Fourier transforms. On CPUs, they are rounded values that
# fit times of 100 convolutions of the article's search space, and were checked with 100 others:
# `python benchmarks/convolutions.py`. On GPUs, they are an assumption.
SPEED_ON_GPUS = 2.0
SPEED_OF_PRODUCTS = 1.35
"""Speed of the ways "product" and "rows"."""
IMAGES_OF_ROWS = 12
"""Number of images at which a product of rows, which has as many rows, has half of its speed."""
SPEEDS_OF_DIRECT = ((10, 2.0), (7, 2.4), (5, 2.8), (1, 3.2))
"""Speed of the library's convolution on CPUs, from a width of the kernel on."""
FULL_WIDTH = 8
"""Output width from which the library's convolution has this speed; it falls in proportion."""
SPEED_OF_STRIDES = 0.75
"""Factor of this speed for strides above 1."""
SPEED_OF_WIDE_PADDING = 0.36
"""Factor of this speed for the weights' gradient if padding is wider than half of the kernel."""


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


class Ways(NamedTuple):
    """Ways of computing the passes of a convolution."""

    forward: Way
    input_gradient: Way
    """Way of the gradient of the input; the first layer of a network has none."""
    weight_gradient: Way


WEIGHT_GRADIENT = Ways._fields.index("weight_gradient")
DIRECT = Ways("direct", "direct", "direct")
"""Ways of the library's convolution with its own gradients."""


class ConvolutionPlan(NamedTuple):
    """Plan for computing a convolution."""

    trim: Trim
    """Outputs that are computed."""
    is_trimmed: bool
    """True if some outputs are not computed, but filled with the bias."""
    is_padded: bool
    """True if the input is first copied into a tensor with padding."""
    ways: Ways
    transforms: FourierPlan | None
    """Plan of the Fourier transforms; None if no way needs them."""
    window_values: int
    """Number of input values in all windows that are computed, for one image."""
    seen_values: int
    """Number of those that are no padding."""

    def values(self, way: Way) -> int:
        """Return the number of input values that a pass multiplies, padding included or not."""
        return self.seen_values if way == "rows" else self.window_values


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


def seen(part: Trim, width: int, kernel: int, stride: int) -> list[tuple[int, int, range]]:
    """Return outputs with the positions of their windows and the pixels that these see.

    All are along one direction. Windows that see only padding are left out.
    """
    starts = [i * stride - part.left for i in range(part.width)]
    pixels = [range(max(0, start), min(width, start + kernel)) for start in starts]
    return [found for found in zip(range(part.width), starts, pixels, strict=True) if found[2]]


@lru_cache(maxsize=64)  # a network's layers are asked several times in a row
def plan_convolution(layer: "Layer", conditions: Conditions) -> ConvolutionPlan:
    """Return the plan for computing a convolution."""
    found, outputs = trim(layer), layer.output[1]
    saved = layer.input[0] * layer.kernel**2 * (outputs**2 - found.width**2) / outputs**2
    is_trimmed = saved >= WORTH_TRIMMING
    part = found if is_trimmed else Trim(0, outputs, layer.padding, layer.padding)
    known = seen(part, layer.input[1], layer.kernel, layer.stride)
    plan = ConvolutionPlan(
        trim=part,
        is_trimmed=is_trimmed,
        is_padded=part.left != part.right or part.left < 0,
        ways=_direct_ways(part, conditions.device),
        transforms=None,
        window_values=layer.input[0] * (part.width * layer.kernel) ** 2,
        seen_values=layer.input[0] * sum(len(pixels) for _, _, pixels in known) ** 2,
    )
    if conditions.convolutions == "direct":
        return plan
    transforms = plan_fourier(layer, part, conditions.batch, conditions.device)
    ways = _auto_ways(layer, conditions, plan, transforms)
    return plan._replace(ways=ways, transforms=transforms if "fourier" in ways else None)


def _auto_ways(
    layer: "Layer", conditions: Conditions, plan: ConvolutionPlan, transforms: FourierPlan
) -> Ways:
    """Return the ways that should be fastest.

    The library's convolution never replaces matrix products: for a few shapes it is 50 times as
    slow.
    """
    if min(layer.input[0], layer.output[0]) < FEWEST_CHANNELS:
        return plan.ways
    ways = list[Way]()
    for which, way in enumerate(plan.ways):
        costs = _costs(layer, conditions, plan, transforms, of_weight=which == WEIGHT_GRADIENT)
        known = (each for each in costs if each in (way, "rows", "fourier"))
        fastest = min(known, key=costs.__getitem__)
        ways.append(fastest if costs[way] - costs[fastest] >= LEAST_SAVED else way)
    return Ways(*ways)


def _costs(
    layer: "Layer",
    conditions: Conditions,
    plan: ConvolutionPlan,
    transforms: FourierPlan,
    *,
    of_weight: bool,
) -> dict[Way, float]:
    """Return the time of a pass by each way, in operations at the speed of Fourier transforms."""
    of_value = 2 * conditions.batch * layer.output[0]
    windows, seen_values = of_value * plan.window_values, of_value * plan.seen_values
    if conditions.device == "cuda":
        return {"direct": windows / SPEED_ON_GPUS, "fourier": transforms.operations}
    speed = next(speed for kernel, speed in SPEEDS_OF_DIRECT if layer.kernel >= kernel)
    speed *= min(1, plan.trim.width / FULL_WIDTH)
    if layer.stride > 1:
        speed *= SPEED_OF_STRIDES
    if of_weight and not plan.is_padded and 2 * plan.trim.left > layer.kernel:
        speed *= SPEED_OF_WIDE_PADDING
    return {
        # The library skips padding that it adds itself.
        "direct": (windows if plan.is_padded else seen_values) / speed,
        "product": windows / SPEED_OF_PRODUCTS,
        "rows": seen_values / SPEED_OF_PRODUCTS * (1 + IMAGES_OF_ROWS / conditions.batch),
        "fourier": transforms.operations,
    }


def _direct_ways(part: Trim, device: DeviceKind) -> Ways:
    """Return the ways with `training.convolutions = "direct"`: matrix products for few outputs."""
    if device == "cuda" or part.width > FEW_OUTPUTS_FOR_WEIGHTS:
        return DIRECT
    way: Way = "product" if part.width <= FEW_OUTPUTS else "direct"
    return Ways(way, way, "product")
