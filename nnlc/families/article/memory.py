"""Predicted memory for training a network; a network that can't fit on a device is not tried.

    peak = libraries + images + heap(4 bytes * parameters * copies of them
                                     + largest memory at any layer of a step)

Copies of the parameters are weights, gradients and the optimizer's state. The memory at a layer,
forward or backward, is the sum of what earlier layers keep for the backward pass, the layer's input
and output, and its kernels' temporary memory. A GPU that replays captured steps holds the memory of
a validation step and that of a training step at the same time.

On a GPU, the prediction is an upper bound of what torch reserves there, and not only of what it
allocates: memory in gaps between tensors is of no use to other trainers on the GPU.
"""

from collections.abc import Collection, Iterator
from math import prod

from nnlc.families.article.buffers import Buffers
from nnlc.families.article.conditions import conditions_of
from nnlc.families.article.geometry import Walk, walk_network
from nnlc.families.article.spec import NetworkSpec
from nnlc.networks.device_memory import (
    LARGEST_TENSORS,
    SEGMENT_BYTES,
    VALUE_BYTES,
    heap_bytes,
    image_bytes,
    library_bytes,
)
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection


def memory_bytes(
    spec: NetworkSpec,
    images: ImageSet,
    settings: TrainingSection,
    device: DeviceKind,
    *,
    resident: Collection[ImageSet] = (),
    walk: Walk | None = None,
) -> int:
    """Return the predicted peak bytes while a network trains.

    They are bytes on a GPU, or resident bytes of a trainer on a CPU.

    Args:
        spec: the network.
        images: the image set that it trains on, all of it on the device.
        settings: `[training]` of its campaign.
        device: "cuda" or "cpu".
        resident: further image sets that the trainer keeps on the device for other networks.
        walk: the network's layers; None computes them.

    Raises:
        SpecError: the network does not fit these images.
    """
    walk = walk or walk_network(spec, images)
    optimizer = optimizer_of(spec)
    copies = 2 + optimizer.kept_values(spec)  # weights and gradients
    parameters = VALUE_BYTES * walk.parameters
    conditions = conditions_of(spec, settings, device)
    layers = [layer.buffers(conditions) for layer in walk.layers]
    update = optimizer.copied_values(spec) * parameters
    worst = max(*_bytes_in_training(walk, spec.batch_size, layers), update)
    if device == "cuda":
        worst += max(_bytes_in_validation(walk, spec.batch_size, layers))
        worst += _gap_bytes(walk, layers)
    images_held = sum(map(image_bytes, {images, *resident}))
    return library_bytes(device) + images_held + heap_bytes(copies * parameters + worst, device)


def _gap_bytes(walk: Walk, layers: list[Buffers]) -> int:
    """Return the most bytes in gaps between tensors that torch reserves on a GPU."""
    weights = max(VALUE_BYTES * layer.parameters for layer in walk.layers)
    largest = max(max(each.output, *each.kept, weights) for each in layers)
    gaps = LARGEST_TENSORS * largest + max(each.gaps for each in layers)
    return SEGMENT_BYTES + int(gaps)


def kept_bytes(layers: list[Buffers]) -> list[int]:
    """Return for each layer the bytes that are kept for the backward pass.

    An output that several layers need is counted once, for the layer that makes it.
    """
    return [
        sum(layer.kept) + (layer.output if _output_stays(layers, i) else 0)
        for i, layer in enumerate(layers)
    ]


def _bytes_in_training(walk: Walk, batch: int, layers: list[Buffers]) -> Iterator[int]:
    """Yield the bytes in use at each layer of a training step, parameters not counted."""
    now = VALUE_BYTES * batch * prod(walk.layers[0].input)  # the pixels stay
    passing = 0  # bytes of a layer's input that no layer keeps
    kept = kept_bytes(layers)
    for layer, stays in zip(layers, kept, strict=True):
        yield now + passing + layer.output + sum(layer.kept) + sum(layer.forward)
        now += stays
        if layer.output:
            passing = layer.output + sum(layer.kept) - stays
    for shape, layer, stays in zip(walk.layers[::-1], layers[::-1], kept[::-1], strict=True):
        # What only later layers needed is free by now: autograd frees it as it goes back.
        freed = 0 if layer.keeps_output else stays - sum(layer.kept)
        now -= freed
        yield now + VALUE_BYTES * batch * prod(shape.output) + sum(layer.backward)
        now -= stays - freed


def _output_stays(layers: list[Buffers], i: int) -> bool:
    """Return True if a layer's output is needed in the backward pass, by this or a later layer."""
    if layers[i].keeps_output:
        return True
    for following in layers[i + 1 :]:
        if following.keeps_input or (following.keeps_output and not following.output):
            return True
        if following.output:
            return False
    return True  # the loss keeps the scores


def _bytes_in_validation(walk: Walk, batch: int, layers: list[Buffers]) -> Iterator[int]:
    """Yield the bytes in use at each layer of a validation step, which keeps nothing."""
    given = VALUE_BYTES * batch * prod(walk.layers[0].input)
    for layer in layers:
        if not layer.only_in_training:
            # Kernels also compute what only the backward pass needs, such as pooling's indices.
            yield given + layer.output + sum(layer.kept) + sum(layer.forward)
            given = layer.output or given
