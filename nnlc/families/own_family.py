"""A family that is written against the documented interface, as nnlc asks it."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, cast

from nnlc.console import printing_aside
from nnlc.errors import FamilyError, SpecError
from nnlc.families.counted_family import CountedFamily
from nnlc.families.given_values import DRAWN, check_training, taken
from nnlc.families.interface import Draws, Family, Layer, Value
from nnlc.families.network_family import TrainedNetwork
from nnlc.families.own_code import what_was_raised
from nnlc.families.purity import PURE, Place, differences
from nnlc.families.reference import FamilyReference
from nnlc.families.table_rules import TableValues
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification
from nnlc.system.extras import require_extra
from nnlc.system.foreign_code import ForeignCodeError, running_foreign_code

if TYPE_CHECKING:
    import torch
    from torch import nn

_SAMPLE = (0, 1, 7)
"""Numbers of the networks of a group that are drawn twice before a campaign begins."""
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
        try:
            values = self._specified(images, group, number, seed)
            training = {name: values.pop(name, 0) for name in DRAWN}
            uses = OPTIMIZERS[optimizer].uses
            training |= {name: 0 for name in ("momentum", "dampening") if name not in uses}
            check_training(training, images)
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
            where = Place(images.name, group, number)
            raise SpecError(
                f"family {self.label}, network {id} ({where}): {problem}"
            ) from problem.__cause__

    def _specified(self, images: ImageSet, group: int, number: int, seed: int) -> dict[str, Value]:
        """Return the values that the family's specify gives, as Python's own types.

        Raises:
            SpecError: specify fails, or does not give all values.
        """
        try:
            with printing_aside():
                given = self.family.specify(Draws(seed), images, group, number)
        except (Exception, SystemExit) as problem:  # whatever the family's code raises
            raised = what_was_raised(self.family, problem)
            raise SpecError(f"specify raised {raised}") from problem
        return taken(given, self.family.columns)

    def check_against(self, images: ImageSet) -> None:
        low, _ = self.groups

        def values_at(place: Place) -> dict[str, Value]:
            seed = place.group + place.number
            try:
                return self._specified(images, place.group, place.number, seed)
            except SpecError as problem:
                if place.number == 0:
                    text = f"family {self.label}, {place}: {problem}"
                    raise SpecError(text) from problem.__cause__
                return {}  # a family that enumerates its networks may have none of this number

        groups = sorted({*self.groups})
        places = [Place(images.name, group, number) for group in groups for number in _SAMPLE]
        for place, text in differences(values_at, places):
            raise SpecError(f"family {self.label}, {place}: {text} when drawn again: {PURE}")
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
                for column, found, right in self.findings(cast(FamilySpec, spec), table.images[0]):
                    table.refuse("family-rule", column, found, right)
        except ForeignCodeError as problem:
            found = f"check raised {what_was_raised(self.family, problem.raised)}"
            table.refuse("family-rule", "family", found, "a Wrong for each value that is wrong")

    def findings(self, spec: FamilySpec, images: ImageSet) -> Iterator[tuple[str, str, str]]:
        """Yield what the author's check finds in a table: column, found value and right value.

        Raises:
            Exception: whatever the author's code raises.
        """
        for column, found, right in islice(self.family.check(spec, images), _MOST):
            yield str(column), str(found), str(right)

    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        from nnlc.families.modules.own_network import trained_network

        return trained_network(self.family, cast(FamilySpec, spec), images, device)
