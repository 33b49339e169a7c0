"""The torch module of a network of a family that is written against the documented interface."""

from collections.abc import Iterator

import torch

from nnlc.families.interface import Family, FamilySpec, ImageSet, Layer
from nnlc.families.network_family import TrainedNetwork


def trained_network(
    family: Family, spec: FamilySpec, images: ImageSet, device: torch.device
) -> TrainedNetwork:
    """Return a network as trainers train it."""
    module = family.build(spec, images)
    if device.type == "cpu":
        module = module.to(memory_format=torch.channels_last)
    return TrainedNetwork(module.to(device))


def module_layers(family: Family, spec: FamilySpec, images: ImageSet) -> Iterator[Layer]:
    """Yield the layers of a network's module that have no layers within them."""
    with torch.device("meta"):
        module = family.build(spec, images)
    for each in module.modules():
        if not list(each.children()):
            parameters = sum(one.numel() for one in each.parameters())
            yield Layer(type(each).__name__, (), parameters)
