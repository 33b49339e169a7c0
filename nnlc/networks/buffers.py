"""The memory that each layer of a network allocates in a training step, in bytes.

Written down from what PyTorch's layers and `nnlc.training`'s own do: which values they keep for the
backward pass, and what their kernels take besides and give back.
"""

from math import prod
from typing import Literal, NamedTuple

from nnlc.networks.geometry import Layer
from nnlc.networks.trimming import Trim, trim

DeviceKind = Literal["cuda", "cpu"]

VALUE_BYTES = 4
"""Everything is computed in single precision."""
_PLACE_BYTES = 8
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


def windows(layer: Layer) -> Windows:
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


def buffers(layer: Layer, batch: int, device: DeviceKind) -> Buffers:
    """What a layer allocates."""
    given, made = (VALUE_BYTES * batch * prod(shape) for shape in (layer.input, layer.output))
    on_cpu = device == "cpu"
    match layer.kind:
        case "convolution":
            return _of_convolution(layer, batch, device)
        case "relu":  # in place
            return Buffers(0, backward=(made,), keeps_output=True)
        case "dropout" if on_cpu:  # random bits and a comparison, then the mask
            return Buffers(
                made, kept=(made,), forward=(made, made // VALUE_BYTES), backward=(given,)
            )
        case "dropout":
            return Buffers(made, kept=(made // VALUE_BYTES,), backward=(given,))
        case "pooling":
            places = made // VALUE_BYTES * _PLACE_BYTES
            return Buffers(made, kept=(places,), backward=(given,), keeps_input=True)
        case "flatten":  # from channels last, a copy
            is_copied = on_cpu and prod(layer.input[1:]) > 1
            return Buffers(made if is_copied else 0)
        case "linear":
            return Buffers(made, backward=(given,), keeps_input=True)


def _of_convolution(layer: Layer, batch: int, device: DeviceKind) -> Buffers:
    channels, filters = layer.input[0], layer.output[0]
    given, made = (VALUE_BYTES * batch * prod(shape) for shape in (layer.input, layer.output))
    way = windows(layer)
    part = way.part
    computed = VALUE_BYTES * batch * filters * part.width**2
    padded_width = layer.input[1] + part.left + part.right
    padded = VALUE_BYTES * batch * channels * padded_width**2
    gathered = VALUE_BYTES * batch * way.values
    has_products = device == "cpu" and way.for_weights
    is_product = device == "cpu" and way.forward
    inner = (computed,) if way.is_trimmed else ()
    copy = (padded,) if way.is_padded else ()
    forward = [*inner]
    backward = [given, *inner]
    if has_products:
        forward += copy
        backward += [*copy, gathered]
    if is_product:
        forward.append(gathered)
        backward += [gathered, padded]
    return Buffers(
        made,
        kept=() if has_products else copy,
        forward=tuple(forward),
        backward=tuple(backward),
        keeps_input=has_products or not way.is_padded,
    )
