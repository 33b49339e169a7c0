"""From a specification to a torch module."""

from typing import Literal

from torch import nn

from nnlc.networks import Layer, Walk


def build_network(
    walk: Walk,
    *,
    pooling: Literal["max", "average"] = "max",
    dropout: Literal["element", "channel"] = "element",
) -> nn.Sequential:
    """The module of a walked network, layer for layer, on the current default device.

    Input: float32 (batch, channels, width, width). Output: float32 (batch, classes), unnormalised.
    Weights are drawn by PyTorch's default initialisation from its global random stream.
    """
    return nn.Sequential(*(_build_layer(layer, pooling, dropout) for layer in walk.layers))


def _build_layer(layer: Layer, pooling: str, dropout: str) -> nn.Module:
    match layer.kind:
        case "convolution":
            return nn.Conv2d(
                layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
            )
        case "relu":
            return nn.ReLU()
        case "dropout":
            in_features = len(layer.input) == 3
            whole = in_features and dropout == "channel"
            return nn.Dropout2d(layer.rate) if whole else nn.Dropout(layer.rate)
        case "pooling":
            pool = nn.MaxPool2d if pooling == "max" else nn.AvgPool2d
            return pool(layer.kernel, layer.stride, layer.padding)
        case "flatten":
            return nn.Flatten()
        case "linear":
            return nn.Linear(layer.input[0], layer.output[0])


def parameter_count(module: nn.Module) -> int:
    """Weights and biases."""
    return sum(parameter.numel() for parameter in module.parameters())
