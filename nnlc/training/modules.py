"""Torch modules of each kind of layer: PyTorch's own, and the faster ones that nnlc trains."""

from collections.abc import Callable

from torch import nn

from nnlc.networks import Layer
from nnlc.networks.recipe import TrainingSection
from nnlc.training.convolution import Convolution
from nnlc.training.dropout import Dropout, Masks
from nnlc.training.torch_calls import CALLS, drops_channels

FAST: dict[str, Callable[[Layer, TrainingSection, Masks | None], nn.Module]] = {
    "convolution": lambda layer, _, masks: Convolution(layer, products=masks is not None),
    # In place, as the convolution before it does not need its output in the backward pass.
    "relu": lambda *_: nn.ReLU(inplace=True),
    "dropout": lambda layer, settings, masks: (
        plain_module(layer, settings)
        if masks is None
        else Dropout(layer.rate, masks, whole_channels=drops_channels(layer, settings))
    ),
}
"""Functions that make a module, for kinds that nnlc does not train with PyTorch's own module.

They take the layer, the campaign's settings, and the dropout masks on a CPU or None."""


def plain_module(layer: Layer, settings: TrainingSection) -> nn.Module:
    """Return PyTorch's own module for a layer."""
    name, sizes, arguments = CALLS[layer.kind](layer, settings)
    module: nn.Module = getattr(nn, name)(*sizes, **arguments)
    return module


def fast_module(layer: Layer, settings: TrainingSection, masks: Masks | None) -> nn.Module:
    """Return the module that nnlc trains for a layer.

    Args:
        layer: a layer of a walk.
        settings: the campaign's training settings.
        masks: the masks for all dropout layers of the network on a CPU; None on a GPU.
    """
    if layer.kind in FAST:
        return FAST[layer.kind](layer, settings, masks)
    return plain_module(layer, settings)
