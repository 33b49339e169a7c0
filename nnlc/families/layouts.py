"""Layouts of tables that are known without a family's code."""

from nnlc.networks.columns import Layout


def article_layout() -> Layout:
    """Return the layout of the article's tables, whose header names no family."""
    from nnlc.families.article.spec import LAYOUT  # not needed by jobs of other families

    return LAYOUT
