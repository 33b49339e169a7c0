"""The walk through a network: all its layers with their shapes, from the input to the classes.

Only this module decides the order of layers: the torch module is built from the walk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

from nnlc.errors import SpecError
from nnlc.families.article.layer import Layer, Shape, windowed
from nnlc.families.article.layers import BLOCK, Convolution, Dropout, Flatten, Linear
from nnlc.families.article.spec import NetworkSpec
from nnlc.networks.image_sets import ImageSet


@dataclass(frozen=True)
class Walk:
    """Layers of a network, first to last, and sums over them for one image."""

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


def walk_network(spec: NetworkSpec, images: ImageSet) -> Walk:
    """Return all layers of a network with their shapes for one image of `images`.

    Each convolution is followed by the layers of its block, in the order of `BLOCK`. After them are
    a flatten layer and the fully connected layers, each with its dropout layer, if any.

    Raises:
        SpecError: a kernel does not fit its input, or the images have another number of classes.
    """
    layers = [*_feature_layers(spec, (images.channels, images.width, images.width))]
    features = prod(layers[-1].output)
    layers.append(Flatten(input=layers[-1].output, output=(features,)))
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
        layer = windowed(Convolution, shape, spec.conv_filters[i], *conv, spec.id)
        yield layer
        for kind in BLOCK:
            if block & kind.bit:
                layer = kind.in_block(layer.output, spec, pools)
                yield layer
        shape = layer.output


def _classification_layers(spec: NetworkSpec, features: int) -> Iterator[Layer]:
    dropouts = (*spec.fc_dropout_layers, 0)
    for (inputs, units), dropout in zip(
        pairwise((features, *spec.fc_filters)), dropouts, strict=True
    ):
        yield Linear(input=(inputs,), output=(units,))
        if dropout:
            yield Dropout(input=(units,), output=(units,), rate=spec.fc_dropout_rate)
