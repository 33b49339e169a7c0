"""The article's family, as nnlc asks it."""

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from nnlc.families.article import cost, memory
from nnlc.families.article.geometry import Walk, walk_network
from nnlc.families.article.sampler import MAX_DEPTH, sample_network
from nnlc.families.article.space import SearchSpace
from nnlc.families.article.spec import NetworkSpec
from nnlc.families.interface import Layer
from nnlc.families.network_family import NetworkFamily, NetworkSize, TrainedNetwork
from nnlc.families.table_rules import TableValues
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification
from nnlc.networks.work import Work

if TYPE_CHECKING:
    import torch
    from torch import nn

_cached_walk = lru_cache(maxsize=16)(walk_network)


def _walk(spec: Specification, images: ImageSet) -> tuple[Walk, NetworkSpec]:
    spec = cast(NetworkSpec, spec)
    return _cached_walk(spec, images), spec


class ArticleFamily(NetworkFamily):
    """The article's networks, drawn from a search space."""

    label = "article"
    groups = (1, MAX_DEPTH)
    group_word = "depth"
    has_cost_model = True
    space: SearchSpace

    def __init__(self, space: SearchSpace = SearchSpace()) -> None:  # noqa: B008  it is immutable
        self.space = space

    def specification(
        self,
        images: ImageSet,
        group: int,
        number: int,
        seed: int,
        *,
        id: str,
        optimizer: str,
    ) -> NetworkSpec:
        del number
        return sample_network(self.space, images, group, seed, id=id, optimizer=optimizer)

    def check_against(self, images: ImageSet) -> None:
        self.space.check_against(images)

    def likely_mistakes(self) -> Iterable[tuple[str, str]]:
        return self.space.likely_mistakes()

    def size(self, spec: Specification, images: ImageSet) -> NetworkSize:
        walk, _ = _walk(spec, images)
        return NetworkSize(walk.parameters, walk.multiply_adds)

    def forward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        return cost.forward_work(*_walk(spec, images), settings, device)

    def backward_work(
        self, spec: Specification, images: ImageSet, settings: TrainingSection, device: DeviceKind
    ) -> Work:
        return cost.backward_work(*_walk(spec, images), settings, device)

    def training_operations(self, spec: Specification, images: ImageSet, epochs: int) -> int:
        return cost.training_operations(*_walk(spec, images), images, epochs)

    def memory_bytes(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: DeviceKind,
        *,
        resident: Collection[ImageSet] = (),
    ) -> int:
        walk, spec = _walk(spec, images)
        return memory.memory_bytes(spec, images, settings, device, resident=resident, walk=walk)

    def convolutions(self, spec: Specification, images: ImageSet) -> int:
        del images
        return cast(NetworkSpec, spec).depth

    def layers(self, spec: Specification, images: ImageSet) -> Iterable[Layer]:
        walk, _ = _walk(spec, images)
        return (Layer(each.description, each.output, each.parameters) for each in walk.layers)

    def layer_table(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> Iterable[str]:
        from nnlc.families.article.source_text import layer_table

        walk, _ = _walk(spec, images)
        return layer_table(walk, settings)

    def python_source(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> str:
        from nnlc.families.article.source_text import python_source

        return python_source(*_walk(spec, images), settings)

    def plain_network(
        self, spec: Specification, images: ImageSet, settings: TrainingSection
    ) -> "nn.Module":
        from nnlc.families.article.modules.network import plain_network

        walk, _ = _walk(spec, images)
        return plain_network(walk, settings)

    def check_table(self, table: TableValues) -> None:
        from nnlc.families.article.audit_rules import check_values  # only audits need it
        from nnlc.families.article.feature_rules import Standard

        check_values(table, Standard(self.space))

    def trained_network(
        self,
        spec: Specification,
        images: ImageSet,
        settings: TrainingSection,
        device: "torch.device",
    ) -> TrainedNetwork:
        from nnlc.families.article.modules.network import trained_network

        return trained_network(*_walk(spec, images), settings, device)


ARTICLE = ArticleFamily()
"""The article's family with the article's search space."""
