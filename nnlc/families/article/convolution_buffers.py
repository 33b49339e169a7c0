"""Memory that a convolution allocates in a training step, for each way of computing it."""

from math import prod
from typing import TYPE_CHECKING

from nnlc.families.article.buffers import Buffers
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_plan import DIRECT, plan_convolution
from nnlc.networks.device_memory import VALUE_BYTES

if TYPE_CHECKING:
    from nnlc.families.article.layer import Layer

FOURIER_GAPS = 1.25
"""Bytes of gaps for each byte of a Fourier convolution's temporary memory on a GPU, at most.

Its tensors differ in size, so that the next one often does not fit into the gap of a freed one."""


def convolution_buffers(layer: "Layer", conditions: Conditions) -> Buffers:
    """Return the memory that a convolution allocates in a training step of a batch."""
    batch = conditions.batch
    inputs, outputs = (VALUE_BYTES * batch * prod(shape) for shape in (layer.input, layer.output))
    plan = plan_convolution(layer, conditions)
    part, ways, transforms = plan.trim, plan.ways, plan.transforms
    computed = VALUE_BYTES * batch * layer.output[0] * part.width**2
    padded_width = layer.input[1] + part.left + part.right
    padded = VALUE_BYTES * batch * layer.input[0] * padded_width**2
    gathered = VALUE_BYTES * batch * plan.window_values
    has_own_gradients = ways != DIRECT
    copy = (padded,) if plan.is_padded else ()
    forward, backward, fourier = list[int](), [inputs], list[int]()
    if conditions.device == "cuda":
        # Assumed, not measured: cuDNN's workspace has room for copies of both images and the
        # weights, in another order. torch allows whatever cuDNN's first suggestion needs.
        workspace = padded + computed + VALUE_BYTES * layer.parameters
        forward += [workspace] if ways.forward == "direct" else []
        backward += [workspace] if "direct" in ways[1:] else []
    if transforms and ways.forward == "fourier":
        fourier.append(transforms.forward_bytes())
        forward += fourier
    elif has_own_gradients and ways.forward != "rows":
        forward += copy
    if has_own_gradients and not {"direct", "product"}.isdisjoint(ways[1:]):
        backward += copy
    if ways.forward == "product":
        forward.append(gathered)
    if ways.input_gradient == "product":
        backward += [gathered, padded]
    if ways.weight_gradient == "product":
        backward.append(gathered)
    if transforms and "fourier" in ways[1:]:
        of_pixels, of_weight = (way == "fourier" for way in ways[1:])
        fourier.append(transforms.backward_bytes(of_pixels=of_pixels, of_weight=of_weight))
        backward.append(fourier[-1])
    if plan.is_trimmed:  # the outputs that are computed exist beside these, or beside all
        forward = [computed, max(0, sum(forward) - outputs)]
        backward = [computed, max(0, sum(backward) - outputs)]
    return Buffers(
        outputs,
        kept=() if has_own_gradients else copy,
        forward=tuple(forward),
        backward=tuple(backward),
        keeps_input=has_own_gradients or not plan.is_padded,
        gaps=int(FOURIER_GAPS * max(fourier, default=0)) if conditions.device == "cuda" else 0,
    )
