"""A family that is written against the documented interface, as nnlc asks it."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, cast

from nnlc.console import printing_aside
from nnlc.errors import FamilyError, SpecError
from nnlc.families.counted_family import CountedFamily
from nnlc.families.interface import Draws, Family, Layer, Value
from nnlc.families.network_family import TrainedNetwork
from nnlc.families.own_code import what_was_raised
from nnlc.families.purity import check_purity
from nnlc.families.reference import FamilyReference
from nnlc.families.table_rules import TableValues
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification, check_value
from nnlc.system.extras import require_extra
from nnlc.system.foreign_code import ForeignCodeError, running_foreign_code

if TYPE_CHECKING:
    import torch
    from torch import nn

_DRAWN = ("batch_size", "learning_rate", "momentum", "dampening", "weight_decay")
"""Values of every training that a family gives with its own; the first two are required."""

_MOST = 1000
"""Number of an author's findings on one table that are read."""


class OwnFamily(CountedFamily):
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
        self.tells_layers = type(family).layers is not Family.layers

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
            with printing_aside():
                given = self.family.specify(Draws(seed), images, group, number)
        except (Exception, SystemExit) as problem:  # whatever the family's code raises
            raised = what_was_raised(self.family, problem)
            raise SpecError(f"{where} {images.name} raised {raised}") from problem
        if not isinstance(given, Mapping):
            raise SpecError(f"{where} {images.name} must return a dictionary, not {given!r:.40}")
        values = dict(given)
        wanted = {*self.family.columns, *_DRAWN[:2]}
        if not wanted <= values.keys() <= {*wanted, *_DRAWN}:
            wrong = sorted(map(str, wanted ^ (values.keys() - {*_DRAWN[2:]})))
            raise SpecError(
                f"{where} {images.name} must return each of {', '.join(_DRAWN[:2])} and "
                f"{', '.join(self.family.columns)}, and may return {', '.join(_DRAWN[2:])}; "
                f"missing or not declared: {', '.join(wrong)}"
            )
        return {name: _plain(value) for name, value in values.items()}

    def check_against(self, images: ImageSet) -> None:
        low, _ = self.groups

        def specified(group: int, number: int) -> dict[str, Value]:
            try:
                return self._specified(images, group, number, group + number)
            except SpecError:
                if number == 0:
                    raise
                return {}  # a family that enumerates its networks may have none of this number

        check_purity(self.label, specified, sorted({*self.groups}))
        self.specification(
            images, low, 0, 0, id="2000_01_01_00_00_00_000000", optimizer=next(iter(OPTIMIZERS))
        )

    def layers(self, spec: Specification, images: ImageSet) -> Iterable[Layer]:
        try:
            with running_foreign_code():
                own = self.family.layers(cast(FamilySpec, spec), images)
                if own is not None:
                    return [
                        Layer(str(name), tuple(map(int, output)), int(parameters))
                        for name, output, parameters in own
                    ]
        except ForeignCodeError as problem:
            why = what_was_raised(self.family, problem.raised)
            raise FamilyError(f"network {spec.id}: layers of {self.label}: {why}") from None
        require_extra("train", "a drawing of this network's layers", "torch")
        from nnlc.families.modules.own_network import module_layers

        return module_layers(self.family, cast(FamilySpec, spec), images)

    def plain_network(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> "nn.Module":
        from nnlc.families.modules.own_network import built

        return built(self.family, cast(FamilySpec, spec), images)

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
        if any(column.field not in table.values for column in table.layout.columns):
            return  # a value can't be read, which other rules say
        try:
            spec = table.layout.make(table.values)
        except SpecError:
            return  # likewise
        try:
            with running_foreign_code():
                for column, found, right in islice(self.family.check(spec, table.images[0]), _MOST):
                    table.refuse("family-rule", str(column), str(found), str(right))
        except ForeignCodeError as problem:
            found = f"check raised {what_was_raised(self.family, problem.raised)}"
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
