"""Cost of training a network: counted operations, and predicted seconds on a machine.

    seconds of a step = sum over the fields of `Work` (count / the machine's rate for that field)

Networks spend their time on different things: comparisons in a wide pooling window, kernel launches
in a small network, weights read from memory in a fully connected layer after a large feature map.
So `Work` counts each of them.

Predictions serve to order and plan work: the longest network is trained first, `nnlc plan` sums
predicted seconds, and a job that ends soon starts no network that it could not save in time. No
table depends on predictions. `nnlc calibrate` fits a machine to the seconds in a journal.
"""

from math import prod

from nnlc.families.article.conditions import conditions_of
from nnlc.families.article.geometry import Walk
from nnlc.families.article.spec import NetworkSpec
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.work import Work, sum_work

_STEP_KERNELS = 12
"""Kernels of any step outside its layers: select a batch, convert it to floats, loss, sums."""
_TRAINING_KERNELS = 8
"""Further kernels of a training step: gradient of the loss, optimizer."""


def training_work(
    walk: Walk, spec: NetworkSpec, settings: TrainingSection, device: DeviceKind
) -> Work:
    """Return the work of a training step: forward pass, dropout, backward pass, optimizer.

    Args:
        walk: the network's layers.
        spec: the network.
        settings: `[training]` of its campaign.
        device: kind of the device; like the settings, it chooses how convolutions are computed.
    """
    both = (function(walk, spec, settings, device) for function in (forward_work, backward_work))
    return sum_work(both)


def forward_work(
    walk: Walk, spec: NetworkSpec, settings: TrainingSection, device: DeviceKind
) -> Work:
    """Return the work of a validation step, and of a training step's forward pass."""
    # Images and labels are selected by index, and turned into floats.
    pixels = spec.batch_size * prod(walk.layers[0].input)
    selection = Work(values=3 * pixels, kernels=_STEP_KERNELS)
    conditions = conditions_of(spec, settings, device)
    return sum_work((selection, *(layer.forward_work(conditions) for layer in walk.layers)))


def backward_work(
    walk: Walk, spec: NetworkSpec, settings: TrainingSection, device: DeviceKind
) -> Work:
    """Return the work that a training step adds: dropout, gradients, optimizer."""
    conditions = conditions_of(spec, settings, device)
    parts = (
        layer.backward_work(conditions, first=number == 0)
        for number, layer in enumerate(walk.layers)
    )
    weights = optimizer_of(spec).passes(spec) * walk.parameters
    return sum_work((*parts, Work(weights=weights, kernels=_TRAINING_KERNELS)))


def training_operations(walk: Walk, spec: NetworkSpec, images: ImageSet, epochs: int) -> int:
    """Return the floating-point operations of all epochs, validation included.

    A multiply-add counts as two operations, and every convolution as a direct one. A training step
    costs three forward passes (forward, gradient of the input, gradient of the weights), but
    two in the first layer, whose input needs no gradient.
    """
    b = spec.batch_size
    train = images.train_images // b * b * epochs
    validation = images.validation_images // b * b * 2 * epochs
    first = walk.layers[0].multiply_adds
    return 2 * (train * (3 * walk.multiply_adds - first) + validation * walk.multiply_adds)


def half_epoch_work(
    walk: Walk, spec: NetworkSpec, images: ImageSet, settings: TrainingSection, device: DeviceKind
) -> Work:
    """Return the work of a half epoch: half of the training images, and all validation images."""
    train_steps = images.train_images // spec.batch_size / 2
    validation_steps = images.validation_images // spec.batch_size
    forward = forward_work(walk, spec, settings, device).times(train_steps + validation_steps)
    backward = backward_work(walk, spec, settings, device).times(train_steps)
    return sum_work((forward, backward))
