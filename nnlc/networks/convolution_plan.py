"""Plans for computing convolutions: which outputs, and the way of each pass.

A plan is a function of shapes and of the training's conditions. So a table does not depend on the
moment at which its network was trained.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from nnlc.networks.conditions import Conditions, DeviceKind
from nnlc.networks.fourier import FourierPlan, plan_fourier

if TYPE_CHECKING:
    from nnlc.networks.layer import Layer

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

LEAST_IN_ROWS = 1e9
"""Least operations of a pass by rows; with fewer, networks keep their bits."""

# Speeds of arithmetic by other ways, relative to Fourier transforms. On CPUs, they were read off
# times of about 90 convolutions of the article's search space. For 100 others, the ways chosen took
# 1.13 times as long as the fastest: `python benchmarks/convolutions.py --check`. On GPUs, they are
# an assumption.
SPEED_ON_GPUS = 2.0
SPEED_OF_PRODUCTS = 1.5
"""Speed of the ways "product" and "rows"; the latter has less arithmetic."""
SPEEDS_OF_DIRECT = ((9, 1.9), (6, 2.5), (5, 5.0), (1, 6.5))
"""Speed of the direct forward pass and input's gradient, from a width of the kernel on."""
SPEEDS_OF_DIRECT_FOR_WEIGHTS = ((6, 1.8), (1, 3.5))
"""Speed of the direct gradient of the weights, from a width of the kernel on."""
FEWEST_CHANNELS = 16
"""Least number of channels, and of filters, for other ways than with `convolutions = "direct"`:
fewer make them slow."""


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
    """Return the ways that should be fastest: those of "direct", by rows, or Fourier transforms."""
    if min(layer.input[0], layer.output[0]) < FEWEST_CHANNELS:
        return plan.ways
    each, fastest = 2 * conditions.batch * layer.output[0], list[Way]()
    transformed, speeds = transforms.operations, _speeds(plan.ways, layer.kernel, conditions.device)
    for way, speed in zip(plan.ways, speeds, strict=True):
        costs: dict[Way, float] = {way: each * plan.window_values / speed, "fourier": transformed}
        if conditions.device == "cpu" and each * plan.seen_values >= LEAST_IN_ROWS:
            costs["rows"] = each * plan.seen_values / SPEED_OF_PRODUCTS
        fastest.append(min(costs, key=costs.__getitem__))
    return Ways(*fastest)


def _speeds(ways: Ways, kernel: int, device: DeviceKind) -> Iterator[float]:
    """Yield the speed of each pass relative to Fourier transforms."""
    tables = SPEEDS_OF_DIRECT, SPEEDS_OF_DIRECT, SPEEDS_OF_DIRECT_FOR_WEIGHTS
    for way, table in zip(ways, tables, strict=True):
        if device == "cuda":
            yield SPEED_ON_GPUS
        elif way == "product":
            yield SPEED_OF_PRODUCTS
        else:
            yield next(speed for least, speed in table if kernel >= least)


def _direct_ways(part: Trim, device: DeviceKind) -> Ways:
    """Return the ways with `training.convolutions = "direct"`: matrix products for few outputs."""
    if device == "cuda" or part.width > FEW_OUTPUTS_FOR_WEIGHTS:
        return DIRECT
    way: Way = "product" if part.width <= FEW_OUTPUTS else "direct"
    return Ways(way, way, "product")
