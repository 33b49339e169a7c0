"""What a step of training or validation asks of a machine, counted from the layers of a network.

Time is spent on different things, and no machine is equally good at all of them: a wide pooling
window has no arithmetic worth the name, a small network is made of launches, and a fully connected
layer behind a large map is mostly its weights going through memory. So each is counted by itself;
`nnlc.networks.cost` has a machine's price for each.
"""

from collections.abc import Iterable, Iterator
from math import prod
from typing import NamedTuple

from nnlc.networks.buffers import Windows, windows
from nnlc.networks.geometry import Layer, Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.spec import NetworkSpec

FEW_CHANNELS = 4
"""Input channels, at most, that leave a convolution's vectors mostly empty: images' own."""
_VECTOR = 8
"""Channels that a pooling compares at once; what is left of them it takes one by one."""
_STEP_KERNELS = 12
"""Of any step: images and labels by index, pixels to floats, loss, sums."""
_TRAINING_KERNELS = 8
"""Of a training step besides: gradient of the loss, optimizer."""


class Work(NamedTuple):
    """Counts of a step, of all images in its batch together."""

    operations: float = 0
    """Floating-point operations of convolutions and fully connected layers, two a multiply-add."""
    gathered: float = 0
    """Values copied into windows or out of them, where a convolution is a product of matrices."""
    comparisons: float = 0
    """Vectors of values that pooling windows look at."""
    values: float = 0
    """Activations and their gradients that go through memory."""
    narrow: float = 0
    """Of the operations, those of direct convolutions with `FEW_CHANNELS`: they count twice."""
    random: float = 0
    """Random numbers of dropout."""
    weights: float = 0
    """Weights, their gradients and momenta that go through memory."""
    kernels: float = 0
    """Launches, or calls."""

    def times(self, steps: float) -> "Work":
        """So many such steps."""
        return Work(*(steps * count for count in self))


def sum_work(parts: Iterable[Work]) -> Work:
    """The sum, count by count."""
    return Work(*map(sum, zip(*parts, strict=True)))


def training_work(walk: Walk, spec: NetworkSpec) -> Work:
    """One training step: forward, dropout, backward, optimizer."""
    return sum_work((forward_work(walk, spec), learning_work(walk, spec)))


def forward_work(walk: Walk, spec: NetworkSpec) -> Work:
    """One validation step, and what a training step has in common with it: no dropout."""
    return sum_work(
        (_pixels(walk, spec), *(_forward(layer, spec.batch_size) for layer in walk.layers))
    )


def learning_work(walk: Walk, spec: NetworkSpec) -> Work:
    """What a training step has beside the forward pass."""
    return sum_work(_learning_parts(walk, spec))


def _learning_parts(walk: Walk, spec: NetworkSpec) -> Iterator[Work]:
    for number, layer in enumerate(walk.layers):
        yield _backward(layer, spec.batch_size, first=number == 0)
    passes = optimizer_of(spec).passes(spec)
    yield Work(weights=passes * walk.parameters, kernels=_TRAINING_KERNELS)


def _pixels(walk: Walk, spec: NetworkSpec) -> Work:
    """Images taken by index, and made floats."""
    count = spec.batch_size * prod(walk.layers[0].input)
    return Work(values=3 * count, kernels=_STEP_KERNELS)


def _forward(layer: Layer, batch: int) -> Work:
    """What training and validation have in common."""
    given, made = batch * prod(layer.input), batch * prod(layer.output)
    match layer.kind:
        case "convolution":
            way = windows(layer)
            operations = _operations(layer, batch, way)
            is_narrow = layer.input[0] <= FEW_CHANNELS and not way.forward
            return Work(
                operations=operations,
                gathered=way.values * batch if way.forward else 0,
                values=given + made + (2 * made if way.is_trimmed else 0),
                narrow=operations if is_narrow else 0,
                weights=layer.parameters,
                kernels=4,
            )
        case "linear":
            operations = 2 * batch * layer.multiply_adds
            return Work(
                operations=operations, values=given + made, weights=layer.parameters, kernels=1
            )
        case "relu":
            return Work(values=made, kernels=1)
        case "pooling":
            compared = _comparisons(layer, batch)
            return Work(comparisons=compared, values=given + 3 * made, kernels=1)
        case "flatten":  # across memory, where the channels are last in it
            return Work(values=4 * made if prod(layer.input[1:]) > 1 else 0)
        case "dropout":
            return Work()


def _backward(layer: Layer, batch: int, *, first: bool) -> Work:
    """Gradients of the weights and, but in the first layer, of the input; all of a dropout."""
    given, made = batch * prod(layer.input), batch * prod(layer.output)
    match layer.kind:
        case "convolution":
            way = windows(layer)
            copies = way.for_weights + (0 if first else 2 * way.forward)
            return Work(
                operations=(1 if first else 2) * _operations(layer, batch, way),
                gathered=copies * way.values * batch,
                values=2 * (given + made),
                weights=2 * layer.parameters,
                kernels=8,
            )
        case "linear":
            return Work(
                operations=4 * batch * layer.multiply_adds,
                values=2 * (given + made),
                weights=2 * layer.parameters,
                kernels=3,
            )
        case "relu":
            return Work(values=3 * made, kernels=1)
        case "pooling":
            return Work(values=2 * given + 3 * made, kernels=1)
        case "dropout":  # drawn, compared, scaled; multiplied forward and backward
            return Work(random=made, values=5 * made, kernels=7)
        case "flatten":
            return Work(values=2 * made, kernels=1)


def _operations(layer: Layer, batch: int, way: Windows) -> int:
    """Of one pass of a convolution; padding within a window is multiplied like anything else."""
    return 2 * batch * layer.output[0] * way.values


def _comparisons(layer: Layer, batch: int) -> int:
    channels = layer.input[0]
    vectors = channels // _VECTOR + channels % _VECTOR
    return batch * vectors * (layer.output[1] * layer.kernel) ** 2
