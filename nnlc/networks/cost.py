"""What training a network costs: counted operations, and seconds on a nominal device.

Dispatch hands out the longest network first; the order is all that depends on the seconds, no
table does.
"""

from dataclasses import dataclass

from nnlc.networks.geometry import Walk, walk_network
from nnlc.networks.imagesets import ImageSet
from nnlc.networks.spec import NetworkSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A nominal device: enough to tell long networks from short ones."""

    operations_per_second: float
    seconds_a_kernel: float
    """Launching one kernel; small networks are made of this."""


# Half of a V100's fp32 peak (15.7 TFLOP/s) and 5 µs an eager kernel launch.
GPU = Machine(operations_per_second=7.85e12, seconds_a_kernel=5e-6)
# One core with AVX2, as measured on small convolutions.
CPU = Machine(operations_per_second=3e10, seconds_a_kernel=1e-5)

KERNELS_A_LAYER = 4
"""Forward, two backward, and the optimizer's share."""


def training_operations(walk: Walk, spec: NetworkSpec, images: ImageSet, epochs: int) -> int:
    """Floating-point operations of all epochs, validation included.

    Two a multiply-add. A training step costs three forward passes (forward, gradient of the
    input, gradient of the weights), but two in the first layer, whose input needs no gradient.
    """
    b = spec.batch_size
    train = images.train_images // b * b * epochs
    validation = images.validation_images // b * b * 2 * epochs
    first = walk.layers[0].multiply_adds
    return 2 * (train * (3 * walk.multiply_adds - first) + validation * walk.multiply_adds)


def training_seconds(
    walk: Walk, spec: NetworkSpec, images: ImageSet, epochs: int, machine: Machine
) -> float:
    """Predicted seconds of all epochs on a nominal device."""
    train_steps = images.train_images // spec.batch_size * epochs
    validation_steps = images.validation_images // spec.batch_size * 2 * epochs
    kernels = len(walk.layers) * (KERNELS_A_LAYER * train_steps + validation_steps)
    operations = training_operations(walk, spec, images, epochs)
    return operations / machine.operations_per_second + kernels * machine.seconds_a_kernel


def predict_seconds(spec: NetworkSpec, images: ImageSet, epochs: int, machine: Machine) -> float:
    """`training_seconds` straight from a specification."""
    return training_seconds(walk_network(spec, images), spec, images, epochs, machine)


def predict_step_seconds(spec: NetworkSpec, images: ImageSet, machine: Machine) -> float:
    """Predicted seconds of one training step on a nominal device."""
    walk = walk_network(spec, images)
    operations = 6 * walk.multiply_adds * spec.batch_size
    kernels = KERNELS_A_LAYER * len(walk.layers)
    return operations / machine.operations_per_second + kernels * machine.seconds_a_kernel


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What is worth knowing of a network before it is trained."""

    parameters: int
    forward_multiply_adds: int
    """One image, one forward pass."""
    predicted_operations: int
    """Floating-point operations of the whole training, validation included."""
    predicted_gpu_seconds: float
    """On the nominal `GPU`."""


def network_cost(spec: NetworkSpec, images: ImageSet, epochs: int) -> NetworkCost:
    """Sizes and predicted cost of one network."""
    walk = walk_network(spec, images)
    return NetworkCost(
        walk.parameters,
        walk.multiply_adds,
        training_operations(walk, spec, images, epochs),
        round(training_seconds(walk, spec, images, epochs, GPU), 3),
    )
