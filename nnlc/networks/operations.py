"""What a step of training or validation asks of a machine, counted from the layers of a network.

Time is spent on different things, and no machine is equally good at all of them: a wide pooling
window has no arithmetic worth the name, a small network is made of launches, and a fully connected
layer behind a large map is mostly its weights going through memory. So each is counted by itself;
`nnlc.networks.cost` has a machine's price for each.
"""

from collections.abc import Iterator
from math import prod

from nnlc.networks.geometry import Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.spec import NetworkSpec
from nnlc.networks.work import Work, sum_work

_STEP_KERNELS = 12
"""Of any step: images and labels by index, pixels to floats, loss, sums."""
_TRAINING_KERNELS = 8
"""Of a training step besides: gradient of the loss, optimizer."""


def training_work(walk: Walk, spec: NetworkSpec) -> Work:
    """One training step: forward, dropout, backward, optimizer."""
    return sum_work((forward_work(walk, spec), learning_work(walk, spec)))


def forward_work(walk: Walk, spec: NetworkSpec) -> Work:
    """One validation step, and what a training step has in common with it: no dropout."""
    return sum_work(
        (_pixels(walk, spec), *(layer.forward_work(spec.batch_size) for layer in walk.layers))
    )


def learning_work(walk: Walk, spec: NetworkSpec) -> Work:
    """What a training step has beside the forward pass."""
    return sum_work(_learning_parts(walk, spec))


def _learning_parts(walk: Walk, spec: NetworkSpec) -> Iterator[Work]:
    for number, layer in enumerate(walk.layers):
        yield layer.backward_work(spec.batch_size, first=number == 0)
    passes = optimizer_of(spec).passes(spec)
    yield Work(weights=passes * walk.parameters, kernels=_TRAINING_KERNELS)


def _pixels(walk: Walk, spec: NetworkSpec) -> Work:
    """Images taken by index, and made floats."""
    count = spec.batch_size * prod(walk.layers[0].input)
    return Work(values=3 * count, kernels=_STEP_KERNELS)
