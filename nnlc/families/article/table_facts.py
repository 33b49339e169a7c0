"""Facts of the article's networks that readers of tables show."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nnlc.families.article.geometry import walk_network
from nnlc.families.article.spec import DROPOUT, POOLING, RELU, NetworkSpec
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import Specification

if TYPE_CHECKING:
    import pandas as pd


def _blocks_with(bit: int) -> Callable[[tuple[int, ...]], float]:
    return lambda codes: sum(bool(code & bit) for code in codes) / len(codes)


_DERIVED: dict[str, tuple[str, Callable[[tuple[int, ...]], float]]] = {
    "fc_layers": ("fc_filters", len),
    "largest_kernel": ("conv_kernels", max),
    "pooling_share": ("layer_types", _blocks_with(POOLING)),
    "dropout_share": ("layer_types", _blocks_with(DROPOUT)),
    "relu_share": ("layer_types", _blocks_with(RELU)),
}
"""Numbers computed from a column of lists; a share is that of the blocks with such a layer."""
REMARK = "fc_dropout_rate may be above 0 where no fully connected layer has dropout."


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


def are_articles(networks: "pd.DataFrame", column: str) -> "pd.Series[bool]":
    """Return for each network whether it is the article's and has a list in one of its columns.

    Networks without a known family, such as those of other programs, count as the article's.
    """
    have = networks[column].map(lambda one: isinstance(one, tuple)).astype(bool)
    if "family" in networks:
        have &= networks["family"].isna() | networks["family"].eq("article")
    return have


def layer_kinds(networks: "pd.DataFrame") -> "dict[str, pd.Series[Any]]":
    """Return for each kind of layer in blocks whether any block of a network has it."""
    if "layer_types" not in networks:
        return {}
    blocks, known = networks["layer_types"], are_articles(networks, "layer_types")

    def has(bit: int) -> "pd.Series[Any]":
        found = [
            any(code & bit for code in one) if is_known else None
            for one, is_known in zip(blocks, known, strict=True)
        ]
        return type(blocks)(found, index=blocks.index, dtype="boolean")

    return {"ReLU": has(RELU), "pooling": has(POOLING), "dropout": has(DROPOUT)}


def derived_numbers(networks: "pd.DataFrame | None" = None) -> dict[str, list[float | None]]:
    """Return the numbers of `_DERIVED` of each network, None where it has no such list."""
    found: dict[str, list[float | None]] = {}
    for name, (column, derive) in _DERIVED.items():
        if networks is None:
            found[name] = []
        elif column in networks:
            known = are_articles(networks, column)
            pairs = zip(networks[column], known, strict=True)
            found[name] = [derive(one) if is_known and one else None for one, is_known in pairs]
    return found


def drawn_layers(spec: Specification, images: ImageSet) -> str:
    """Return a network's layers for `page/layers.js`.

    Raises:
        SpecError: the network does not fit these images.
    """

    def short(value: str | float) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    layers = walk_network(cast(NetworkSpec, spec), images).layers
    return ";".join(" ".join(map(short, layer.page_parts())) for layer in layers)
