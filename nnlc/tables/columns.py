"""Columns of a table's learning curve, and the headers of tables.

A table has the epochs, the three columns of the curve, the twelve of every training, and those of
its family. The article's tables have no column `family`, and every other family's have.
"""

from nnlc.errors import SpecError
from nnlc.families.layouts import article_layout
from nnlc.networks.columns import FAMILY_COLUMN, TRAINING_COLUMNS, Column, Layout, read_float
from nnlc.networks.specification import own_columns, own_layout


def _write_curve_value(value: float | None) -> str:
    return "" if value is None else repr(value)


def _read_curve_value(text: str) -> float | None:
    """Return a value of a learning curve; None for an empty field, as some programs write NaN."""
    return read_float(text) if text else None


_CURVE = (_write_curve_value, _read_curve_value)

EPOCHS = Column("epochs", "epochs", repr, read_float)

CURVE_COLUMNS = (
    Column("trainLoss", "train_loss", *_CURVE),
    Column("valLoss", "val_loss", *_CURVE),
    Column("valAcc", "val_accuracy_percent", *_CURVE),
)

FIRST_COLUMNS = (EPOCHS, *CURVE_COLUMNS)
"""Columns before the metadata, in every table."""
_NAMED = [column.name for column in (*FIRST_COLUMNS, *TRAINING_COLUMNS, FAMILY_COLUMN)]


def columns_of(layout: Layout) -> tuple[Column, ...]:
    """Return all columns of tables of a layout, in their order."""
    return FIRST_COLUMNS + layout.columns


def header_of(layout: Layout) -> str:
    """Return the first line of tables of a layout, without its end."""
    return " ".join(column.name for column in columns_of(layout))


def layout_of_header(line: str) -> Layout | None:
    """Return the layout of a table with this first line; the article's unless it names a family.

    Returns None if the line is no header of a table.

    Raises:
        SpecError: the line has the column `family`, but another name in it is no column's.
    """
    names = line.split(" ")
    if names[: len(_NAMED)] == _NAMED:
        return own_layout(own_columns(names[len(_NAMED) :]))
    layout = article_layout()
    return layout if line == header_of(layout) else None


def nearest_layout(line: str) -> Layout:
    """Return the layout that a damaged header was meant to be of, as far as it can be read."""
    names, article = line.split(" "), article_layout()
    named = [text for text in names if ":" in text]
    of_article = {column.name for column in article.own} & {*names}
    if len(of_article) > len(named) or (FAMILY_COLUMN.name not in names and not named):
        return article
    try:
        return own_layout(own_columns(named))
    except SpecError:
        return own_layout(())
