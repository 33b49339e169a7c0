"""A family that is written against the documented interface, as nnlc asks it."""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import TYPE_CHECKING, cast

from nnlc.errors import FamilyError, SpecError
from nnlc.families.counted_costs import counted_of
from nnlc.families.interface import Draws, Family, Layer, Value
from nnlc.families.network_family import NetworkFamily, NetworkSize, TrainedNetwork
from nnlc.families.reference import FamilyReference
from nnlc.families.table_rules import TableValues
from nnlc.networks.device_memory import VALUE_BYTES, heap_bytes, image_bytes, library_bytes
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS, optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification
from nnlc.networks.work import Work
from nnlc.system.extras import require_extra

if TYPE_CHECKING:
    import torch
    from torch import nn

_DRAWN = ("batch_size", "learning_rate", "momentum", "dampening", "weight_decay")
"""Values of every training that a family gives with its own; the first two are required."""

_MOST = 1000
"""Number of an author's findings on one table that are read."""


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
        values = dict(self.family.specify(Draws(seed), images, group, number))
        training = {name: values.pop(name, 0) for name in _DRAWN}
        if values.keys() != self.family.columns.keys():
            wrong = sorted(values.keys() ^ self.family.columns.keys())
            raise SpecError(
                f"family {self.label}: specify must return each of {', '.join(_DRAWN[:2])} and "
                f"{', '.join(self.family.columns)}; it is not so for {', '.join(map(str, wrong))}"
            )
        uses = OPTIMIZERS[optimizer].uses
        unused = {name: 0 for name in ("momentum", "dampening") if name not in uses}
        given: dict[str, Value] = training | unused
        return FamilySpec(
            id=id,
            random_seed=seed,
            train_gpu=True,
            torch_set_deterministic=True,
            dataset=images.table_name,
            loss_fn=LOSSES[0],
            optimizer=optimizer,
            family=self.label,
            own=tuple(
                (name, kind, _as_kind(values[name])) for name, kind in self.family.columns.items()
            ),
            **given,  # type: ignore[arg-type]
        )

    def check_against(self, images: ImageSet) -> None:
        low, _ = self.groups
        spec = self.specification(
            images, low, 0, 0, id="2000_01_01_00_00_00_000000", optimizer=next(iter(OPTIMIZERS))
        )
        batches = images.train_images // spec.batch_size
        if batches < 2 or batches % 2 or spec.batch_size > images.validation_images:
            raise SpecError(
                f"batch_size {spec.batch_size} does not divide the {images.train_images} training "
                f"images of {images.name} into an even number of batches, or is larger than its "
                f"{images.validation_images} validation images"
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
        require_extra("train", "a drawing of this network's layers", "torch")
        from nnlc.families.modules.own_network import module_layers

        return module_layers(self.family, cast(FamilySpec, spec), images)

    def plain_network(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> "nn.Module":
        return self.family.build(cast(FamilySpec, spec), images)

    def check_spec(self, spec: Specification) -> None:
        super().check_spec(spec)
        own = {name: kind for name, kind, _ in cast(FamilySpec, spec).own}
        if own != self.family.columns:
            here, there = (
                ", ".join(f"{name}:{kind}" for name, kind in columns.items())
                for columns in (self.family.columns, own)
            )
            raise FamilyError(
                f"network {spec.id}: its table has the columns {there}, but family {self.label} "
                f"has {here} here, in the same version"
            )

    def check_table(self, table: TableValues) -> None:
        if table.values.get("family") != self.label or not table.images:
            return
        try:
            spec = table.layout.make(table.values)
        except (SpecError, KeyError):
            return  # a value can't be read, which other rules say
        try:
            for column, found, right in islice(self.family.check(spec, table.images[0]), _MOST):
                table.refuse("family-rule", str(column), str(found), str(right))
        except Exception as problem:  # whatever an author's code may raise
            found = f"check raised {type(problem).__name__}: {problem}"
            table.refuse("family-rule", "family", found, "a Wrong for each value that is wrong")

    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        from nnlc.families.modules.own_network import trained_network

        return trained_network(self.family, cast(FamilySpec, spec), images, device)


def _as_kind(value: Value) -> Value:
    return tuple(value) if isinstance(value, list) else value
