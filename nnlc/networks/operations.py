"""Work of a training or validation step, counted from the layers of a network.

Networks spend their time on different things: comparisons in a wide pooling window, kernel launches
in a small network, and weights read from memory in a fully connected layer behind a large map. So
each has a count of its own in `Work`, and `nnlc.networks.cost` has a rate for each.
"""

from collections.abc import Iterator
from math import prod

from nnlc.networks.geometry import Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.spec import NetworkSpec
from nnlc.networks.work import Work, sum_work

_STEP_KERNELS = 12
"""Kernels of any step beside its layers': images and labels by index, floats, loss, sums."""
_TRAINING_KERNELS = 8
"""Further kernels of a training step: gradient of the loss, optimizer."""


def training_work(walk: Walk, spec: NetworkSpec) -> Work:
    """Return the work of a training step: forward pass, dropout, backward pass, optimizer."""
    return sum_work((forward_work(walk, spec), backward_work(walk, spec)))


def forward_work(walk: Walk, spec: NetworkSpec) -> Work:
    """Return the work of a validation step, which is a training step's forward pass too."""
    return sum_work(
        (_pixels(walk, spec), *(layer.forward_work(spec.batch_size) for layer in walk.layers))
    )


def backward_work(walk: Walk, spec: NetworkSpec) -> Work:
    """Return the work of a training step beside `forward_work`: dropout, gradients, optimizer."""
    return sum_work(_backward_parts(walk, spec))


def _backward_parts(walk: Walk, spec: NetworkSpec) -> Iterator[Work]:
    for number, layer in enumerate(walk.layers):
        yield layer.backward_work(spec.batch_size, first=number == 0)
    passes = optimizer_of(spec).passes(spec)
    yield Work(weights=passes * walk.parameters, kernels=_TRAINING_KERNELS)


def _pixels(walk: Walk, spec: NetworkSpec) -> Work:
    """Return the work of selecting a batch of images and turning them into floats."""
    count = spec.batch_size * prod(walk.layers[0].input)
    return Work(values=3 * count, kernels=_STEP_KERNELS)
