"""The torch module of each kind of layer: as PyTorch has it, and as nnlc trains it."""

from collections.abc import Callable

from torch import nn

from nnlc.networks import Layer
from nnlc.networks.recipe import TrainingSection
from nnlc.training.convolution import Convolution
from nnlc.training.dropout import Dropout, Masks
from nnlc.training.torch_calls import CALLS, drops_channels

FAST: dict[str, Callable[[Layer, TrainingSection, Masks | None], nn.Module]] = {
    "convolution": lambda layer, _, masks: Convolution(layer, products=masks is not None),
    # After a convolution, which does not need its output.
    "relu": lambda *_: nn.ReLU(inplace=True),
    "dropout": lambda layer, settings, masks: (
        plain_module(layer, settings)
        if masks is None
        else Dropout(layer.rate, masks, whole_channels=drops_channels(layer, settings))
    ),
}
"""By kind, where PyTorch's module is not what is trained; the masks are those of a processor."""


def plain_module(layer: Layer, settings: TrainingSection) -> nn.Module:
    """Return a layer as PyTorch has it."""
    name, sizes, arguments = CALLS[layer.kind](layer, settings)
    module: nn.Module = getattr(nn, name)(*sizes, **arguments)
    return module


def fast_module(layer: Layer, settings: TrainingSection, masks: Masks | None) -> nn.Module:
    """Return a layer as nnlc trains it.

    Args:
        layer: one of a walk.
        settings: the campaign's.
        masks: of all dropouts of the network, on a processor; None on a GPU.
    """
    if layer.kind in FAST:
        return FAST[layer.kind](layer, settings, masks)
    return plain_module(layer, settings)
