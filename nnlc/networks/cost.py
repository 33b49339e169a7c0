"""What training a network costs: counted operations, and predicted seconds on a machine.

    seconds of a step = sum over what it asks of (count / what the machine does of that in a second)

Dispatch hands out the longest network first, plans add up, and a job that ends soon begins nothing
that it could not save: no table depends on the seconds. `nnlc calibrate` fits a machine to what a
journal has measured.
"""

from dataclasses import astuple, dataclass, fields
from math import inf

from nnlc.networks.geometry import Walk, walk_network
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.memory import training_bytes
from nnlc.networks.operations import forward_work, learning_work, training_work
from nnlc.networks.spec import NetworkSpec
from nnlc.networks.work import Work, sum_work


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a device does in a second of each thing that `Work` counts, in its order.

    Infinite: it is free there.
    """

    operations_per_second: float
    gathered_per_second: float
    comparisons_per_second: float
    values_per_second: float
    narrow_per_second: float
    random_per_second: float
    weights_per_second: float
    seconds_a_kernel: float

    @property
    def prices(self) -> Work:
        """Seconds of each thing."""
        *rates, seconds_a_kernel = astuple(self)
        return Work._make([*(1 / rate for rate in rates), seconds_a_kernel])

    @classmethod
    def from_prices(cls, prices: Work) -> "Machine":
        """The machine with these seconds of each thing; 0: it is free."""
        rates = [1 / price if price else inf for price in prices[:-1]]
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, [*rates, prices.kernels], strict=True)))

    def seconds(self, work: Work) -> float:
        """What some work takes."""
        return sum(price * count for price, count in zip(self.prices, work, strict=True))


def gpu_machine(*, operations_per_second: float, bytes_per_second: float) -> Machine:
    """A GPU, as far as two figures tell.

    Its convolutions gather nothing, and random numbers are made where the mask is written. The
    rest is assumed: four instructions to compare a value, 3 µs for a kernel of a captured step.

    Args:
        operations_per_second: that training reaches, not the peak.
        bytes_per_second: that copies reach.
    """
    values_per_second = bytes_per_second / 4
    return Machine(
        operations_per_second=operations_per_second,
        gathered_per_second=inf,
        comparisons_per_second=operations_per_second / (4 * 8),
        values_per_second=values_per_second,
        narrow_per_second=inf,
        random_per_second=values_per_second,
        weights_per_second=values_per_second,
        seconds_a_kernel=3e-6,
    )


# A V100: half of its fp32 peak (15.7 TFLOP/s), and 80% of its memory's (900 GB/s).
GPU = gpu_machine(operations_per_second=7.85e12, bytes_per_second=7.2e11)
# One core with AVX2, an EPYC of the third generation: `python benchmarks/cost.py`.
CPU = Machine(
    operations_per_second=9.5e10,
    gathered_per_second=6.8e8,
    comparisons_per_second=8.4e8,
    values_per_second=2.2e9,
    narrow_per_second=7.8e10,
    random_per_second=7.6e8,
    weights_per_second=3.1e9,
    seconds_a_kernel=4.4e-5,
)


def training_operations(walk: Walk, spec: NetworkSpec, images: ImageSet, epochs: int) -> int:
    """Floating-point operations of all epochs, validation included, as direct convolutions.

    Two a multiply-add. A training step costs three forward passes (forward, gradient of the
    input, gradient of the weights), but two in the first layer, whose input needs no gradient.
    """
    b = spec.batch_size
    train = images.train_images // b * b * epochs
    validation = images.validation_images // b * b * 2 * epochs
    first = walk.layers[0].multiply_adds
    return 2 * (train * (3 * walk.multiply_adds - first) + validation * walk.multiply_adds)


def half_epoch_work(walk: Walk, spec: NetworkSpec, images: ImageSet) -> Work:
    """All steps of a half epoch: half of the training images, and all validation images."""
    train_steps = images.train_images // spec.batch_size / 2
    validation_steps = images.validation_images // spec.batch_size
    forward = forward_work(walk, spec).times(train_steps + validation_steps)
    return sum_work((forward, learning_work(walk, spec).times(train_steps)))


def training_seconds(
    walk: Walk, spec: NetworkSpec, images: ImageSet, epochs: int, machine: Machine
) -> float:
    """Predicted seconds of all epochs."""
    return machine.seconds(half_epoch_work(walk, spec, images).times(2 * epochs))


def predict_seconds(spec: NetworkSpec, images: ImageSet, epochs: int, machine: Machine) -> float:
    """`training_seconds` straight from a specification."""
    return training_seconds(walk_network(spec, images), spec, images, epochs, machine)


def predict_step_seconds(spec: NetworkSpec, images: ImageSet, machine: Machine) -> float:
    """Predicted seconds of one training step."""
    return machine.seconds(training_work(walk_network(spec, images), spec))


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
    predicted_gpu_memory_bytes: int
    """At the worst moment, with its images."""


def network_cost(spec: NetworkSpec, images: ImageSet, epochs: int) -> NetworkCost:
    """Sizes and predicted cost of one network."""
    walk = walk_network(spec, images)
    return NetworkCost(
        walk.parameters,
        walk.multiply_adds,
        training_operations(walk, spec, images, epochs),
        round(training_seconds(walk, spec, images, epochs, GPU), 3),
        training_bytes(walk, spec, images),
    )
