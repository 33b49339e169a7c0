"""The shape walk: every layer of a network with its sizes, parameters and arithmetic.

The order of layers is decided here and nowhere else: the torch module is built from this walk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Literal

from nnlc.errors import SpecError
from nnlc.networks.imagesets import ImageSet
from nnlc.networks.spec import DROPOUT, POOLING, RELU, NetworkSpec

LayerKind = Literal["convolution", "relu", "dropout", "pooling", "flatten", "linear"]
Shape = tuple[int, ...]
"""(channels, height, width) in the feature part, (features,) after it; no batch dimension."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer, with what one image costs in it."""

    kind: LayerKind
    input: Shape
    output: Shape
    kernel: int = 0
    stride: int = 0
    padding: int = 0
    rate: float = 0
    """Dropout rate."""

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        match self.kind:
            case "convolution":
                return self.output[0] * (self.input[0] * self.kernel**2 + 1)
            case "linear":
                return self.output[0] * (self.input[0] + 1)
            case _:
                return 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass, as a direct convolution or a dot product.

        C_in * C_out * k^2 * H_out * W_out for a convolution, in * out for a linear layer; the
        rest of the layers have none.
        """
        match self.kind:
            case "convolution":
                return self.input[0] * self.kernel**2 * prod(self.output)
            case "linear":
                return self.input[0] * self.output[0]
            case _:
                return 0

    @property
    def activations(self) -> int:
        """Values that one image leaves in memory: the output, but for a flatten (a view)."""
        return 0 if self.kind == "flatten" else prod(self.output)


@dataclass(frozen=True)
class Walk:
    """All layers of a network, first to last, and their sums for one image."""

    layers: tuple[Layer, ...]

    @cached_property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @cached_property
    def activations(self) -> int:
        return sum(layer.activations for layer in self.layers)

    @property
    def classes(self) -> int:
        return self.layers[-1].output[0]


def output_width(width: int, kernel: int, stride: int, padding: int) -> int:
    """floor((width + 2 * padding - kernel) / stride) + 1, as PyTorch rounds."""
    return (width + 2 * padding - kernel) // stride + 1


def walk_network(spec: NetworkSpec, images: ImageSet) -> Walk:
    """Follow one image of `images` through the network.

    After each convolution its block: ReLU, dropout, pooling, each only where the block has it.
    Then flatten, and the fully connected layers with their dropout, nothing else between them.

    Raises:
        SpecError: a kernel that does not fit its input, or another number of classes.
    """
    layers = [*_feature_layers(spec, (images.channels, images.width, images.width))]
    features = prod(layers[-1].output)
    layers.append(Layer(kind="flatten", input=layers[-1].output, output=(features,)))
    layers.extend(_classification_layers(spec, features))
    if spec.fc_filters[-1] != images.classes:
        raise SpecError(
            f"network {spec.id} ends in {spec.fc_filters[-1]} classes; "
            f"{images.name} has {images.classes}"
        )
    return Walk(tuple(layers))


def _feature_layers(spec: NetworkSpec, shape: Shape) -> Iterator[Layer]:
    pools = iter(zip(spec.pool_kernels, spec.pool_strides, spec.pool_paddings, strict=True))
    for i, block in enumerate(spec.layer_types):
        conv = (spec.conv_kernels[i], spec.conv_strides[i], spec.conv_paddings[i])
        layer = _window("convolution", shape, spec.conv_filters[i], *conv, spec.id)
        yield layer
        shape = layer.output
        if block & RELU:
            yield Layer(kind="relu", input=shape, output=shape)
        if block & DROPOUT:
            yield Layer(kind="dropout", input=shape, output=shape, rate=spec.dropout_rate)
        if block & POOLING:
            layer = _window("pooling", shape, shape[0], *next(pools), spec.id)
            yield layer
            shape = layer.output


def _window(
    kind: LayerKind, shape: Shape, channels: int, kernel: int, stride: int, padding: int, id: str
) -> Layer:
    width = shape[1]
    if kernel > width + 2 * padding:
        raise SpecError(
            f"network {id}: a {kind} kernel of {kernel} does not fit an input of width {width} "
            f"padded by {padding}"
        )
    if kind == "pooling" and padding > kernel // 2:
        raise SpecError(f"network {id}: pool padding {padding} exceeds half of kernel {kernel}")
    out = output_width(width, kernel, stride, padding)
    return Layer(
        kind=kind,
        input=shape,
        output=(channels, out, out),
        kernel=kernel,
        stride=stride,
        padding=padding,
    )


def _classification_layers(spec: NetworkSpec, features: int) -> Iterator[Layer]:
    dropouts = (*spec.fc_dropout_layers, 0)
    for (inputs, units), dropout in zip(
        pairwise((features, *spec.fc_filters)), dropouts, strict=True
    ):
        yield Layer(kind="linear", input=(inputs,), output=(units,))
        if dropout:
            yield Layer(kind="dropout", input=(units,), output=(units,), rate=spec.fc_dropout_rate)
