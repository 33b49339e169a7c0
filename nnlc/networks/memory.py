"""How much memory a device needs to train a network: predicted, so that what can't fit isn't tried.

    need = libraries + images + heap * (4 bytes * parameters * (weights, gradients, optimizer)
                                        + the worst moment of a step)

A step is walked forward and back: at each layer there is what the layers before it keep for the
backward pass, what it takes and gives itself, and what its kernel needs besides. A GPU that replays
captured steps holds a validation step's memory beside a training step's.
"""

from collections.abc import Collection, Iterator
from math import prod

from nnlc.networks.buffers import VALUE_BYTES, Buffers, DeviceKind
from nnlc.networks.geometry import Walk, walk_network
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.spec import NetworkSpec

_LABEL_BYTES = 8
# Of a GPU an assumption: CUDA's context, the kernels of cuDNN and cuBLAS, cuBLAS's workspace. Of a
# processor measured: a process that has imported torch 2.14 and made one step on Linux.
_LIBRARY_BYTES: dict[DeviceKind, int] = {"cuda": 600_000_000, "cpu": 580_000_000}
# Measured on networks of the article's search space: what a processor's heap grows to, holes and
# the libraries' own copies included, over what is in use at the worst moment.
_HEAP: dict[DeviceKind, float] = {"cuda": 1.0, "cpu": 1.4}


def memory_bytes(
    spec: NetworkSpec,
    images: ImageSet,
    device: DeviceKind = "cuda",
    *,
    resident: Collection[ImageSet] = (),
) -> int:
    """Peak bytes on a GPU, or resident in a trainer on a processor, while a network trains.

    Args:
        spec: the network.
        images: what it trains on, all of it on the device.
        device: which kind.
        resident: further image sets that the trainer keeps there, for other networks.

    Raises:
        SpecError: no such network is possible on these images.
    """
    return training_bytes(walk_network(spec, images), spec, images, device, resident=resident)


def training_bytes(
    walk: Walk,
    spec: NetworkSpec,
    images: ImageSet,
    device: DeviceKind = "cuda",
    *,
    resident: Collection[ImageSet] = (),
) -> int:
    """`memory_bytes` of a network that has been walked."""
    optimizer = optimizer_of(spec)
    copies = 2 + optimizer.kept_values(spec)  # weights and gradients
    parameters = VALUE_BYTES * walk.parameters
    layers = [layer.buffers(spec.batch_size, device) for layer in walk.layers]
    update = optimizer.copied_values(spec) * parameters
    worst = max(*_moments(walk, spec.batch_size, layers), update)
    if device == "cuda":
        worst += max(_forward_moments(walk, spec.batch_size, layers))
    images_held = sum(map(image_bytes, {images, *resident}))
    return library_bytes(device) + images_held + int(_HEAP[device] * (copies * parameters + worst))


def fits(needed_bytes: float, device_bytes: float) -> bool:
    """Whether a network should be tried on a device that has so much memory."""
    return needed_bytes <= device_bytes


def library_bytes(device: DeviceKind) -> int:
    """Bytes that a trainer takes before it has images or a network."""
    return _LIBRARY_BYTES[device]


def image_bytes(images: ImageSet) -> int:
    """Bytes of a whole image set on a device: pixels as uint8, labels as int64."""
    count = images.train_images + images.validation_images
    return count * (images.channels * images.width**2 + _LABEL_BYTES)


def kept_bytes(layers: list[Buffers]) -> list[int]:
    """For each layer, what it leaves for the backward pass: a value that two layers want, once."""
    return [
        sum(layer.kept) + (layer.output if _stays(layers, i) else 0)
        for i, layer in enumerate(layers)
    ]


def _moments(walk: Walk, batch: int, layers: list[Buffers]) -> Iterator[int]:
    """Bytes of activations and temporaries at each moment of a training step."""
    now = VALUE_BYTES * batch * prod(walk.layers[0].input)  # the pixels stay
    passing = 0  # what one layer gave the next, where nothing keeps it
    kept = kept_bytes(layers)
    for layer, stays in zip(layers, kept, strict=True):
        yield now + passing + layer.output + sum(layer.kept) + sum(layer.forward)
        now += stays
        if layer.output:
            passing = layer.output + sum(layer.kept) - stays
    for shape, layer, stays in zip(walk.layers[::-1], layers[::-1], kept[::-1], strict=True):
        yield now + VALUE_BYTES * batch * prod(shape.output) + sum(layer.backward)
        now -= stays


def _stays(layers: list[Buffers], i: int) -> bool:
    """Whether what a layer gives is needed in the backward pass: by it or by those that see it."""
    if layers[i].keeps_output:
        return True
    for following in layers[i + 1 :]:
        if following.keeps_input or (following.keeps_output and not following.output):
            return True
        if following.output:
            return False
    return True  # the loss keeps the scores


def _forward_moments(walk: Walk, batch: int, layers: list[Buffers]) -> Iterator[int]:
    """The same of a validation step, where nothing is kept."""
    given = VALUE_BYTES * batch * prod(walk.layers[0].input)
    for layer in layers:
        yield given + layer.output + sum(layer.forward)
        given = layer.output or given
