"""From a specification to a torch module."""

from typing import Literal

import torch
from torch import nn

from nnlc.networks import Layer, Walk
from nnlc.training.convolution import Convolution
from nnlc.training.dropout import Dropout, Masks


class Network(nn.Sequential):
    """A walked network, layer for layer.

    Input: float32 (batch, channels, width, width), on a CPU best with the channels last in memory.
    Output: float32 (batch, classes), unnormalised.

    Args:
        walk: its layers.
        pooling: of all pooling layers.
        dropout: what a dropout layer of the feature part drops: single values or whole channels.
        device: where it will run. The parameters are drawn on the current default device, by
            PyTorch's default initialisation from its global random stream: the same for all.
    """

    def __init__(
        self,
        walk: Walk,
        *,
        pooling: Literal["max", "average"] = "max",
        dropout: Literal["element", "channel"] = "element",
        device: torch.device = torch.device("cpu"),  # noqa: B008  it is immutable
    ) -> None:
        self._masks = Masks() if device.type == "cpu" else None
        self.has_dropout = any(layer.kind == "dropout" for layer in walk.layers)
        super().__init__(*(self._layer(layer, pooling, dropout) for layer in walk.layers))
        if device.type == "cpu":
            self.to(memory_format=torch.channels_last)
        self.to(device)

    def restart_dropout(self, seed: int) -> None:
        """From here on the masks depend on `seed` alone. Before each training step."""
        if self._masks is not None:
            self._masks.restart(seed)
        else:
            torch.cuda.manual_seed(seed)

    def _layer(self, layer: Layer, pooling: str, dropout: str) -> nn.Module:
        match layer.kind:
            case "convolution":
                return Convolution(layer, products=self._masks is not None)
            case "relu":
                return nn.ReLU(inplace=True)  # after a convolution, which does not need its output
            case "dropout":
                return self._dropout(layer.rate, len(layer.input) == 3 and dropout == "channel")
            case "pooling":
                pool = nn.MaxPool2d if pooling == "max" else nn.AvgPool2d
                return pool(layer.kernel, layer.stride, layer.padding)
            case "flatten":
                return nn.Flatten()
            case "linear":
                return nn.Linear(layer.input[0], layer.output[0])

    def _dropout(self, rate: float, whole_channels: bool) -> nn.Module:
        if self._masks is not None:
            return Dropout(rate, self._masks, whole_channels=whole_channels)
        return nn.Dropout2d(rate) if whole_channels else nn.Dropout(rate)
