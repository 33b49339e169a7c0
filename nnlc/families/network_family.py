"""Questions that nnlc asks about the networks of a campaign, whatever their family."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from nnlc.errors import FamilyError
from nnlc.families.interface import Layer
from nnlc.families.layer_lines import layer_lines
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.families.reference import FamilyReference
from nnlc.families.table_rules import TableValues
from nnlc.networks.columns import FAMILY_COLUMN
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import GPU, DeviceKind, Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification
from nnlc.networks.work import Work, sum_work

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Size of a network, for one image."""

    parameters: int
    multiply_adds: int
    """Multiply-adds of the forward pass."""


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


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network on the device that trains it."""

    module: "nn.Module"
    restart_masks: Callable[[int], None] | None = None
    """Seeds the masks of dropout layers before a training step; None if there are no masks."""
    is_dead: Callable[[], bool] = lambda: False
    """Returns True if all scores are NaN, whatever the images, and stay so in all later steps."""


class NetworkFamily(ABC):
    """A family with its settings, as campaign, planner, ranks and trainers ask it."""

    reference: FamilyReference | None = None
    """Reference to its code; None for the article's."""
    label: str
    """Name and version, such as residual@1; "article" for the article's."""
    space: Any
    """Settings of the family: `[space]` of the campaign."""
    groups: tuple[int, int]
    """First and last group that the family has."""
    group_word: ClassVar[str] = "group"
    """Word for a group, as in the keys of `[datasets.NAME]`."""
    has_cost_model: ClassVar[bool] = False
    """True if costs follow from specifications; False if they are counted or read from a file."""

    def __eq__(self, other: object) -> bool:
        """Return True for the same family with the same settings."""
        if not isinstance(other, NetworkFamily):
            return NotImplemented
        return (self.label, self.reference, self.space) == (
            other.label,
            other.reference,
            other.space,
        )

    def __hash__(self) -> int:
        return hash(self.label)

    @abstractmethod
    def specification(
        self,
        images: ImageSet,
        group: int,
        number: int,
        seed: int,
        *,
        id: str,
        optimizer: str,
    ) -> Specification:
        """Return a network of the campaign.

        Args:
            images: the images that it trains on.
            group: its group.
            number: its number among those of its group and images.
            seed: its `random_seed`.
            id: its ID.
            optimizer: name of the campaign's optimizer.

        Raises:
            SpecError, SpaceError: the family has no such network.
        """

    @abstractmethod
    def check_against(self, images: ImageSet) -> None:
        """Check that networks of this family fit some images.

        Raises:
            ValueError: they don't; the text begins with the key of `[space]` that is wrong, if any.
        """

    def knows_cost(self, spec: Specification) -> bool:
        """Return True if size, work and memory of a network can be asked for."""
        del spec
        return True

    def could_count(self, spec: Specification) -> bool:
        """Return False if a network's costs are zeros, as it could not be counted."""
        del spec
        return True

    def with_batch_size(self, spec: Specification, batch_size: int) -> Specification:
        """Return a network with another batch size, whose cost is known if that network's is."""
        return replace(spec, batch_size=batch_size)

    def likely_mistakes(self) -> Iterable[tuple[str, str]]:
        """Return settings whose values are probably mistakes, though legal, and what they mean."""
        return ()

    @abstractmethod
    def size(self, spec: Specification, images: ImageSet) -> NetworkSize:
        """Return the size of a network.

        Raises:
            SpecError: the network does not fit these images.
            UnknownCostError: its costs are unknown, as for all methods below.
        """

    def step_operations(self, spec: Specification, images: ImageSet) -> float:
        """Return about how many operations a training step has; 0 if that is unknown."""
        if not self.knows_cost(spec):
            return 0.0
        return 6.0 * self.size(spec, images).multiply_adds * spec.batch_size

    @abstractmethod
    def forward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        """Return the work of a validation step, and of a training step's forward pass."""

    @abstractmethod
    def backward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        """Return the work that a training step adds: dropout, gradients, optimizer."""

    @abstractmethod
    def training_operations(self, spec: Specification, images: ImageSet, epochs: int) -> int:
        """Return the operations of all epochs, validation included; a multiply-add counts twice."""

    @abstractmethod
    def memory_bytes(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: DeviceKind,
        *,
        resident: Collection[ImageSet] = (),
    ) -> int:
        """Return the predicted peak bytes while a network trains, images and libraries included.

        Args:
            spec: the network.
            images: the image set that it trains on, all of it on the device.
            settings: `[training]` of its campaign.
            device: "cuda" or "cpu".
            resident: further image sets on the device.
        """

    @abstractmethod
    def convolutions(self, spec: Specification, images: ImageSet) -> int:
        """Return the number of a network's convolutions, on which its set-up time depends."""

    tells_layers: bool = True
    """True if `layers` needs no torch."""

    @abstractmethod
    def layers(self, spec: Specification, images: ImageSet) -> Iterable[Layer]:
        """Return the layers of a network for people; for own families this loads torch."""

    def layer_table(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> Iterable[str]:
        """Return lines on the layers of a network, with all that is known of each."""
        return layer_lines(self.layers(spec, images), images)

    def python_source(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> str:
        """Return a program that builds a network, its loss and its optimizer, with PyTorch alone.

        Raises:
            SpecError: nnlc does not know the optimizer or loss, or sizes don't fit the images.
            FamilyError: nnlc can't print networks of this family.
        """
        raise FamilyError(
            f"network {spec.id}: nnlc prints no source of family {self.label}; its networks are "
            f"built by class {type(self.space).__qualname__} of module "
            f"{type(self.space).__module__}, and nnlc.rebuild(TABLE) returns them"
        )

    def check_spec(self, spec: Specification) -> None:
        """Check that a network is of this family.

        Raises:
            FamilyError: it is of another family or version, or has other columns.
        """
        label = getattr(spec, FAMILY_COLUMN.field, ARTICLE_NAME)
        if label != self.label:
            raise FamilyError(
                f"network {spec.id}: its table is of family {label}, and the code here of "
                f"{self.label}"
            )

    @abstractmethod
    def check_table(self, table: TableValues) -> None:
        """Note the values in a table that no network of the family has.

        Nothing is noted on tables of other families: the campaign's networks show that.
        """

    @abstractmethod
    def plain_network(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> "nn.Module":
        """Return a network on the CPU, of torch's own modules as far as the family has them."""

    @abstractmethod
    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        """Return the torch module that trainers train, with its initial weights, on a device.

        The caller has seeded torch's global random stream.
        """

    def training_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        """Return the work of a training step."""
        about = spec, images, settings, device
        return sum_work((self.forward_work(*about), self.backward_work(*about)))

    def half_epoch_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        """Return the work of half of the training images, and of all validation images."""
        about = spec, images, settings, device
        train_steps = images.train_images // spec.batch_size / 2
        validation_steps = images.validation_images // spec.batch_size
        forward = self.forward_work(*about).times(train_steps + validation_steps)
        return sum_work((forward, self.backward_work(*about).times(train_steps)))

    def predict_seconds(
        self,
        spec: Specification,
        images: ImageSet,
        epochs: int,
        machine: Machine,
        settings: TrainingSection,
        device: DeviceKind,
    ) -> float:
        """Return the predicted seconds of all epochs of a network."""
        half_epoch = self.half_epoch_work(spec, images, settings, device)
        return machine.seconds(half_epoch.times(2 * epochs))

    def predict_step_seconds(
        self,
        spec: Specification,
        images: ImageSet,
        machine: Machine,
        settings: TrainingSection,
        device: DeviceKind,
    ) -> float:
        """Return the predicted seconds of one training step."""
        return machine.seconds(self.training_work(spec, images, settings, device))

    def cost(
        self, spec: Specification, images: ImageSet, epochs: int, settings: TrainingSection
    ) -> NetworkCost:
        """Return the size and predicted cost of a network."""
        size = self.size(spec, images)
        half_epoch = self.half_epoch_work(spec, images, settings, "cuda")
        return NetworkCost(
            size.parameters,
            size.multiply_adds,
            self.training_operations(spec, images, epochs),
            round(GPU.seconds(half_epoch.times(2 * epochs)), 3),
            self.memory_bytes(spec, images, settings, "cuda"),
        )
