"""The torch module of a network of a family that is written against the documented interface."""

from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor, nn

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
    """Yield the layers of a network, those modules that have none within them, as they are called.

    Outputs have no shape if the network can't be called on torch's meta device.
    """
    with torch.device("meta"):
        module = family.build(spec, images)
        pixels = torch.zeros(2, images.channels, images.width, images.width)
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, _: object, output: object) -> None:
        shapes.setdefault(layer, tuple(output.shape[1:]) if isinstance(output, Tensor) else ())

    layers = [each for each in module.modules() if not list(each.children())]
    for each in layers:
        each.register_forward_hook(note)
    with suppress(Exception), torch.no_grad():  # whatever a module does without its values
        module(pixels)
    for each in dict.fromkeys([*shapes, *layers]):
        parameters = sum(one.numel() for one in each.parameters())
        yield Layer(_name(each), shapes.get(each, ()), parameters)


def _name(layer: nn.Module) -> str:
    """Return the class of a layer, and the sizes of a window if it has any."""
    parts = [type(layer).__name__]
    for name in ("kernel_size", "stride"):
        size = getattr(layer, name, None)
        if isinstance(size, tuple | int):
            sizes = (size,) * 2 if isinstance(size, int) else size
            parts.append("×".join(map(str, sizes)) if name == "kernel_size" else f"/{sizes[0]}")
    return " ".join(parts)
