"""From a specification to a torch module, its optimizer and its loss."""

from typing import Literal

import torch
from torch import nn

from nnlc.networks import Layer, NetworkSpec, Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.training.convolution import Convolution
from nnlc.training.dropout import Dropout, Masks
from nnlc.training.lightoptim import keep_compiler_away


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


def make_optimizer(
    network: nn.Module, spec: NetworkSpec, settings: TrainingSection, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that a network's specification names, for a device.

    Raises:
        SpecError: nnlc does not know it, or not with such parameters.
    """
    known = optimizer_of(spec)
    arguments = known.arguments(spec, settings)
    if known.capturable and device.type == "cuda":
        arguments["capturable"] = True
    keep_compiler_away()
    # foreach: the same bits as one by one, and less Python.
    kind = getattr(torch.optim, known.torch_name)
    return kind(network.parameters(), **arguments, foreach=True)  # type: ignore[no-any-return]


def make_loss(spec: NetworkSpec) -> nn.Module:
    """Return the loss that a network's specification names.

    Raises:
        SpecError: nnlc does not know it.
    """
    optimizer_of(spec)
    return getattr(nn, spec.loss_fn)()  # type: ignore[no-any-return]
