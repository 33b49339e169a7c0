"""Columns of the article's tables."""

from nnlc.families.layouts import article_layout
from nnlc.tables.columns import columns_of, header_of

METADATA_COLUMNS = article_layout().columns
COLUMNS = columns_of(article_layout())
HEADER = header_of(article_layout())
