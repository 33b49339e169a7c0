"""Facts of the article's networks that readers of tables show."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nnlc.families.article.geometry import walk_network
from nnlc.families.article.spec import DROPOUT, POOLING, RELU
from nnlc.networks.image_sets import ImageSet

if TYPE_CHECKING:
    import pandas as pd


def _blocks_with(bit: int) -> Callable[[tuple[int, ...]], float]:
    return lambda codes: sum(bool(code & bit) for code in codes) / len(codes)


DERIVED: dict[str, tuple[str, Callable[[tuple[int, ...]], float]]] = {
    "fc_layers": ("fc_filters", len),
    "largest_kernel": ("conv_kernels", max),
    "pooling_share": ("layer_types", _blocks_with(POOLING)),
    "dropout_share": ("layer_types", _blocks_with(DROPOUT)),
    "relu_share": ("layer_types", _blocks_with(RELU)),
}
"""Numbers computed from a column of lists; a share is that of the blocks with such a layer."""


def depth(values: Mapping[str, Any]) -> int:
    """Return the number of convolutions of a network with this metadata."""
    return len(values["conv_kernels"])


def size(values: Mapping[str, Any], images: ImageSet) -> tuple[int, int]:
    """Return the parameters of a network with this metadata, and multiply-adds of one image.

    Raises:
        SpecError: the network does not fit these images.
    """
    # The same attributes as those of a `NetworkSpec`, which takes longer to make.
    spec: Any = SimpleNamespace(**values)
    walk = walk_network(spec, images)
    return walk.parameters, walk.multiply_adds


def layer_kinds(networks: "pd.DataFrame") -> "dict[str, pd.Series[Any]]":
    """Return for each kind of layer in blocks whether any block of a network has it."""
    if "layer_types" not in networks:
        return {}
    blocks = networks["layer_types"]

    def has(bit: int) -> "pd.Series[Any]":
        found = [
            any(code & bit for code in one) if isinstance(one, tuple) else None for one in blocks
        ]
        return type(blocks)(found, index=blocks.index, dtype="boolean")

    return {"ReLU": has(RELU), "pooling": has(POOLING), "dropout": has(DROPOUT)}
