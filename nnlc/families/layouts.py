"""Facts about networks that readers of tables need, without the code of their families."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnlc.errors import SpecError
from nnlc.networks.columns import Layout
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import TAKEN_COLUMNS, Specification

if TYPE_CHECKING:
    import pandas as pd

_GENERAL = TAKEN_COLUMNS | {"depth"}
ARTICLE_NAME = "article"
"""Name of the data article's family."""


def article_layout() -> Layout:
    """Return the layout of the article's tables, whose header names no family."""
    from nnlc.families.article.spec import LAYOUT  # not needed by jobs of other families

    return LAYOUT


def family_name(layout: Layout, label: str) -> str:
    """Return the name of a network's family: its label, or "article"."""
    return label if layout.is_named else ARTICLE_NAME


def article_remark() -> str:
    """Return a sentence on what may surprise in the columns of the article's tables."""
    from nnlc.families.article.table_facts import REMARK

    return REMARK


def depth_of(layout: Layout, values: Mapping[str, Any]) -> int | None:
    """Return the depth of a network: the article's convolutions, or an own column `depth`.

    Args:
        layout: layout of the network's table.
        values: its metadata by field.
    """
    if layout.is_named:
        return values.get("depth")
    from nnlc.families.article.table_facts import depth

    return depth(values)


def size_of(
    layout: Layout, values: Mapping[str, Any], images: ImageSet | None
) -> tuple[int, int] | None:
    """Return a network's parameters and multiply-adds of one image, or None if unknown.

    Sizes of other families are counted: `nnlc.tables.counted_sizes` knows them.

    Args:
        layout: layout of the network's table.
        values: its metadata by field.
        images: the images that it was trained on; None if they are unknown.
    """
    if layout.is_named:
        return None
    from nnlc.families.article.table_facts import size

    try:
        return size(values, images) if images else None
    except SpecError:  # the table names other images than its network's
        return None


def drawn_numbers() -> Sequence[str]:
    """Return the own columns of the article's networks that are numbers."""
    return [column.field for column in article_layout().own if column.kind == "number"]


def derived_numbers(networks: "pd.DataFrame | None" = None) -> dict[str, list[float | None]]:
    """Return numbers that follow from lists of the article's networks, such as the largest kernel.

    Args:
        networks: the networks; a number is None where one has no such list. Without networks, the
            result has the names alone.
    """
    from nnlc.families.article.table_facts import derived_numbers

    return derived_numbers(networks)


def own_numbers(networks: "pd.DataFrame") -> list[str]:
    """Return the columns of numbers and flags that only families other than the article's have."""
    if "family" not in networks or networks["family"].isin([ARTICLE_NAME]).all():
        return []
    own = networks[networks["family"].ne(ARTICLE_NAME) & networks["family"].notna()]
    numbers = own.select_dtypes(["number", "bool", "boolean"])
    return [str(name) for name in numbers if name not in _GENERAL]


def layer_kinds(networks: "pd.DataFrame") -> "dict[str, pd.Series[Any]]":
    """Return for each kind of layer whether a network has it; missing where it is unknown.

    They are those of the article's blocks and, for networks of other families, their own flags.
    """
    from nnlc.families.article.table_facts import layer_kinds

    own = networks[own_numbers(networks)].select_dtypes(["bool", "boolean"])
    return layer_kinds(networks) | {str(name): own[name].astype("boolean") for name in own}


def flat_layers(networks: "pd.DataFrame") -> "Iterator[tuple[str, pd.Series[Any]]]":
    """Yield columns with the values of each layer of the article's networks.

    Raises:
        KeyError, TypeError, ValueError, IndexError: lists are missing or do not fit together.
    """
    from nnlc.families.article.flat_layers import flat_layers

    return flat_layers(networks)


def has_layer(name: str, values: Mapping[str, Any]) -> bool:
    """Return True if a network with these values has the layer that a flat column belongs to."""
    from nnlc.families.article.flat_layers import has_layer

    return has_layer(name, values)


def is_category(name: str) -> bool:
    """Return True if the numbers of a flat column of the article's networks have no order."""
    from nnlc.families.article.flat_layers import is_category

    return is_category(name)


def drawn_layers(spec: Specification, images: ImageSet) -> str | None:
    """Return the layers of one of the article's networks for `page/layers.js`.

    They are separated by semicolons, each a letter for its kind and numbers. None if the network's
    values contradict each other or the images.
    """
    from nnlc.families.article.table_facts import drawn_layers

    try:
        return drawn_layers(spec, images)
    except SpecError:
        return None
