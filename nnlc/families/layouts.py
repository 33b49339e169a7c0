"""Facts about networks that readers of tables need, without the code of their families."""

from collections.abc import Mapping
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.columns import Layout
from nnlc.networks.image_sets import ImageSet

ARTICLE_NAME = "article"
"""Name of the data article's family."""


def article_layout() -> Layout:
    """Return the layout of the article's tables, whose header names no family."""
    from nnlc.families.article.spec import LAYOUT  # not needed by jobs of other families

    return LAYOUT


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
