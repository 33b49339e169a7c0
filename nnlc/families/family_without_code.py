"""A family whose code can't be used: what is known of its networks all the same."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnlc.errors import FamilyError
from nnlc.families.counted_family import CountedFamily
from nnlc.families.interface import Layer
from nnlc.families.network_family import TrainedNetwork
from nnlc.families.reference import FamilyReference
from nnlc.families.table_rules import TableValues
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.optimizers import LOSSES
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec, Specification

if TYPE_CHECKING:
    import torch
    from torch import nn


class FamilyWithoutCode(CountedFamily):
    """Networks of which only the campaign's share is known: ID, seed, images and optimizer.

    Args:
        reference: the family as it was recorded, with its label.
        groups: first and last group of the campaign.
        why: why the code can't be used.
    """

    space = None

    def __init__(
        self, reference: FamilyReference, groups: tuple[int, int], why: FamilyError
    ) -> None:
        self.reference, self.groups, self._why = reference, groups, why
        self.label = reference.label or f"{reference.name.partition(':')[0]}@0"

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
        return FamilySpec(
            id=id,
            random_seed=seed,
            train_gpu=True,
            torch_set_deterministic=True,
            dataset=images.table_name,
            batch_size=1,
            loss_fn=LOSSES[0],
            optimizer=optimizer,
            learning_rate=0,
            momentum=0,
            dampening=0,
            weight_decay=0,
            family=self.label,
            own=(),
        )

    def check_against(self, images: ImageSet) -> None:
        raise self._why

    def layers(self, spec: Specification, images: ImageSet) -> Iterable[Layer]:
        raise self._why

    def check_table(self, table: TableValues) -> None:
        raise self._why

    def plain_network(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> "nn.Module":
        raise self._why

    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        raise self._why
