"""Cost of training a network: counted operations, and predicted seconds on a machine.

    seconds of a step = sum over the fields of `Work` (count / the machine's rate for that field)

Networks spend their time on different things: comparisons in a wide pooling window, kernel launches
in a small network, weights read from memory in a fully connected layer after a large feature map.
So `Work` counts each of them.

Predictions serve to order and plan work: the longest network is trained first, `nnlc plan` sums
predicted seconds, and a job that ends soon starts no network that it could not save in time. No
table depends on predictions. `nnlc calibrate` fits a machine to the seconds in a journal.
"""

from dataclasses import astuple, dataclass, fields
from math import inf, prod

from nnlc.networks.conditions import DeviceKind, conditions_of
from nnlc.networks.geometry import Walk, walk_network
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.memory import memory_bytes
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.spec import NetworkSpec
from nnlc.networks.work import Work, sum_work

_STEP_KERNELS = 12
"""Kernels of any step outside its layers: select a batch, convert it to floats, loss, sums."""
_TRAINING_KERNELS = 8
"""Further kernels of a training step: gradient of the loss, optimizer."""


FOURIER_SHARE = 6 / 7
"""Speed of Fourier convolutions over that of direct ones on a GPU, an assumption.

Where direct convolutions reach 35% of the fp32 peak, Fourier convolutions reach 30%. In `paper`,
70% of their operations are products of matrices with hundreds of rows and columns, for which GPUs'
libraries reach more than half of the peak; the others read and write more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Speed of a device: a rate for each field of `Work`, in the same order.

    An infinite rate means that the device spends no time on that field.
    """

    operations_per_second: float
    fourier_per_second: float
    gathered_per_second: float
    comparisons_per_second: float
    values_per_second: float
    narrow_per_second: float
    random_per_second: float
    weights_per_second: float
    seconds_a_kernel: float

    @property
    def unit_seconds(self) -> Work:
        """Seconds per unit of each field of `Work`."""
        *rates, seconds_a_kernel = astuple(self)
        return Work._make([*(1 / rate for rate in rates), seconds_a_kernel])

    @classmethod
    def from_unit_seconds(cls, unit_seconds: Work) -> "Machine":
        """Return the machine with these seconds per unit of each field of `Work`."""
        rates = [1 / seconds if seconds else inf for seconds in unit_seconds[:-1]]
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, [*rates, unit_seconds.kernels], strict=True)))

    def seconds(self, work: Work) -> float:
        """Return the predicted seconds of some work."""
        return sum(unit * count for unit, count in zip(self.unit_seconds, work, strict=True))


def gpu_machine(
    *,
    operations_per_second: float,
    bytes_per_second: float,
    fourier_per_second: float | None = None,
) -> Machine:
    """Return the machine of a GPU, estimated from a few of its rates.

    Assumptions: convolutions copy no values into windows; a random number costs as much as writing
    it; a comparison takes four instructions; a kernel of a captured step takes 3 µs.

    Args:
        operations_per_second: rate that training reaches, not the peak.
        bytes_per_second: rate that copies within the GPU's memory reach.
        fourier_per_second: rate that Fourier convolutions reach; default: `FOURIER_SHARE` of
            operations_per_second.
    """
    values_per_second = bytes_per_second / 4
    return Machine(
        operations_per_second=operations_per_second,
        fourier_per_second=fourier_per_second or FOURIER_SHARE * operations_per_second,
        gathered_per_second=inf,
        comparisons_per_second=operations_per_second / (4 * 8),
        values_per_second=values_per_second,
        narrow_per_second=inf,
        random_per_second=values_per_second,
        weights_per_second=values_per_second,
        seconds_a_kernel=3e-6,
    )


GPU = gpu_machine(operations_per_second=7.85e12, bytes_per_second=7.2e11)
"""Nominal GPU, a V100 at 50% of its fp32 peak (15.7 TFLOP/s) and 80% of its 900 GB/s.

By `FOURIER_SHARE`, Fourier convolutions reach 43% of the peak."""
# Measured on one core with AVX2, an EPYC of the third generation: `python benchmarks/cost.py`. The
# rate of Fourier convolutions is 0.49 times that of direct ones, as measured on one with AVX-512.
CPU = Machine(
    operations_per_second=9.5e10,
    fourier_per_second=4.7e10,
    gathered_per_second=6.8e8,
    comparisons_per_second=8.4e8,
    values_per_second=2.2e9,
    narrow_per_second=7.8e10,
    random_per_second=7.6e8,
    weights_per_second=3.1e9,
    seconds_a_kernel=4.4e-5,
)


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


def predict_seconds(
    spec: NetworkSpec,
    images: ImageSet,
    epochs: int,
    machine: Machine,
    settings: TrainingSection,
    device: DeviceKind,
) -> float:
    """Return the predicted seconds of all epochs of a network, from its specification."""
    half_epoch = half_epoch_work(walk_network(spec, images), spec, images, settings, device)
    return machine.seconds(half_epoch.times(2 * epochs))


def predict_step_seconds(
    spec: NetworkSpec,
    images: ImageSet,
    machine: Machine,
    settings: TrainingSection,
    device: DeviceKind,
) -> float:
    """Return the predicted seconds of one training step."""
    return machine.seconds(training_work(walk_network(spec, images), spec, settings, device))


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Size and predicted cost of a network, known before it is trained."""

    parameters: int
    forward_multiply_adds: int
    """Multiply-adds of one image's forward pass."""
    predicted_operations: int
    """Floating-point operations of the whole training, validation included."""
    predicted_gpu_seconds: float
    """Seconds of the whole training on the nominal `GPU`."""
    predicted_gpu_memory_bytes: int
    """Peak memory on a GPU in bytes, images included."""


def network_cost(
    spec: NetworkSpec, images: ImageSet, epochs: int, settings: TrainingSection
) -> NetworkCost:
    """Return the size and predicted cost of one network."""
    walk = walk_network(spec, images)
    half_epoch = half_epoch_work(walk, spec, images, settings, "cuda")
    return NetworkCost(
        walk.parameters,
        walk.multiply_adds,
        training_operations(walk, spec, images, epochs),
        round(GPU.seconds(half_epoch.times(2 * epochs)), 3),
        memory_bytes(spec, images, settings, "cuda", walk=walk),
    )
