"""A network's layers as lines of text, for a network of any family."""

from collections.abc import Iterable, Iterator

from nnlc.families.interface import Layer
from nnlc.networks.image_sets import ImageSet


def layer_lines(layers: Iterable[Layer], images: ImageSet) -> Iterator[str]:
    """Yield a line for each layer: its kind, output shape and number of parameters."""
    yield f"{'input':<34}{_shape((images.channels, images.width, images.width)):>16}"
    total = 0
    for layer in layers:
        total += layer.parameters
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        yield f"{layer.name:<34}{_shape(layer.output):>16}{parameters:>16}"
    yield f"{'sum':<34}{'':>16}{total:>16,}"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
