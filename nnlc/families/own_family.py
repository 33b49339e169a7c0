"""A family that is written against the documented interface, as nnlc asks it."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, cast

from nnlc.errors import SpecError
from nnlc.families.counted_costs import counted_of
from nnlc.families.interface import Draws, Family, Layer, Value, Wrong
from nnlc.families.network_family import NetworkFamily, NetworkSize, TrainedNetwork
from nnlc.families.own_code import what_was_raised
from nnlc.families.purity import check_purity
from nnlc.families.reference import FamilyReference
from nnlc.networks.device_memory import VALUE_BYTES, heap_bytes, image_bytes, library_bytes
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS, optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification, check_value
from nnlc.networks.work import Work

if TYPE_CHECKING:
    import torch

_DRAWN = ("batch_size", "learning_rate", "momentum", "dampening", "weight_decay")
"""Values of every training that a family gives with its own; the first two are required."""


class OwnFamily(NetworkFamily):
    """Networks of a `Family`.

    Args:
        family: the family with its settings.
        reference: reference to its code.
    """

    def __init__(self, family: Family, reference: FamilyReference) -> None:
        self.space = self.family = family
        self.reference = reference
        self.label = f"{family.name}@{family.version}"
        self.groups = family.groups

    def specification(
        self,
        images: ImageSet,
        group: int,
        number: int,
        seed: int,
        *,
        id: str,
        optimizer: str,
    ) -> FamilySpec:
        values = self._specified(images, group, number, seed)
        training = {name: values.pop(name, 0) for name in _DRAWN}
        uses = OPTIMIZERS[optimizer].uses
        training |= {name: 0 for name in ("momentum", "dampening") if name not in uses}
        try:
            for name, value in training.items():
                check_value(name, "integer" if name == "batch_size" else "number", value)
            _check_batch_size(cast(int, training["batch_size"]), images)
            return FamilySpec(
                id=id,
                random_seed=seed,
                train_gpu=True,
                torch_set_deterministic=True,
                dataset=images.table_name,
                loss_fn=LOSSES[0],
                optimizer=optimizer,
                family=self.label,
                own=tuple((name, kind, values[name]) for name, kind in self.family.columns.items()),
                **training,  # type: ignore[arg-type]
            )
        except SpecError as problem:
            where = f"number {number} of group {group} for {images.name}"
            raise SpecError(f"family {self.label}, network {id} ({where}): {problem}") from None

    def _specified(self, images: ImageSet, group: int, number: int, seed: int) -> dict[str, Value]:
        """Return the values that the family's specify gives, as Python's own types.

        Raises:
            SpecError: specify fails, or does not give all values.
        """
        where = f"family {self.label}: specify of number {number} of group {group} for"
        try:
            values = dict(self.family.specify(Draws(seed), images, group, number))
        except Exception as problem:  # whatever the family's code raises
            raised = what_was_raised(self.family, problem)
            raise SpecError(f"{where} {images.name} raised {raised}") from problem
        wanted = {*self.family.columns, *_DRAWN[:2]}
        if not wanted <= values.keys() <= {*wanted, *_DRAWN}:
            wrong = sorted(map(str, wanted ^ (values.keys() - {*_DRAWN[2:]})))
            raise SpecError(
                f"{where} {images.name} must return each of {', '.join(_DRAWN[:2])} and "
                f"{', '.join(self.family.columns)}, and may return {', '.join(_DRAWN[2:])}; it is "
                f"not so for {', '.join(wrong)}"
            )
        return {name: _plain(value) for name, value in values.items()}

    def check_against(self, images: ImageSet) -> None:
        low, _ = self.groups
        check_purity(
            lambda group, number: self._specified(images, group, number, group + number),
            sorted({*self.groups}),
        )
        self.specification(
            images, low, 0, 0, id="2000_01_01_00_00_00_000000", optimizer=next(iter(OPTIMIZERS))
        )

    def size(self, spec: Specification, images: ImageSet) -> NetworkSize:
        del images  # counts are those of the spec's own images
        counted = counted_of(cast(FamilySpec, spec))
        return NetworkSize(counted.parameters, counted.multiply_adds)

    def forward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        counted = counted_of(cast(FamilySpec, spec))
        return Work(
            operations=counted.forward_operations,
            values=counted.forward_values,
            weights=counted.parameters,
            kernels=counted.forward_kernels,
        )

    def backward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        counted = counted_of(cast(FamilySpec, spec))
        return Work(
            operations=counted.backward_operations,
            values=counted.backward_values,
            weights=(2 + optimizer_of(spec).passes(spec)) * counted.parameters,
            kernels=counted.backward_kernels,
        )

    def training_operations(self, spec: Specification, images: ImageSet, epochs: int) -> int:
        counted = counted_of(cast(FamilySpec, spec))
        train = images.train_images // spec.batch_size * epochs
        validation = images.validation_images // spec.batch_size * 2 * epochs
        step = counted.forward_operations + counted.backward_operations
        return train * step + validation * counted.forward_operations

    def memory_bytes(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: DeviceKind,
        *,
        resident: Collection[ImageSet] = (),
    ) -> int:
        counted = counted_of(cast(FamilySpec, spec))
        copies = 2 + optimizer_of(spec).kept_values(spec)
        used = copies * VALUE_BYTES * counted.parameters + counted.buffer_bytes
        used += counted.kept_bytes + 2 * counted.largest_bytes
        held = sum(map(image_bytes, {images, *resident}))
        return library_bytes(device) + held + heap_bytes(used, device)

    def convolutions(self, spec: Specification, images: ImageSet) -> int:
        return counted_of(cast(FamilySpec, spec)).convolutions

    def layers(self, spec: Specification, images: ImageSet) -> Iterable[Layer]:
        own = self.family.layers(cast(FamilySpec, spec), images)
        if own is not None:
            return own
        from nnlc.families.modules.own_network import module_layers

        return module_layers(self.family, cast(FamilySpec, spec), images)

    def check(self, spec: Specification, images: ImageSet) -> Iterable[Wrong]:
        return self.family.check(cast(FamilySpec, spec), images)

    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        from nnlc.families.modules.own_network import trained_network

        return trained_network(self.family, cast(FamilySpec, spec), images, device)


def _check_batch_size(batch_size: int, images: ImageSet) -> None:
    """Check that half epochs of whole batches can be made of some images.

    Raises:
        SpecError: they can't.
    """
    batches = images.train_images // max(1, batch_size)
    if batches < 2 or batches % 2 or batch_size > images.validation_images:
        raise SpecError(
            f"batch_size {batch_size} does not divide the {images.train_images} training images of "
            f"{images.name} into an even number of batches, or is larger than its "
            f"{images.validation_images} validation images"
        )


def _plain(value: Value) -> Value:
    """Return a value as one of Python's own types, which tables write; NumPy's have other texts."""
    if isinstance(value, list | tuple):
        return tuple(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
