"""Data frame of the networks of many tables, of any families side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nnlc.families.layouts import ARTICLE_NAME, article_layout, depth_of, size_of
from nnlc.networks.columns import FAMILY_COLUMN, TRAINING_COLUMNS, Kind, Layout
from nnlc.networks.specification import TAKEN_COLUMNS, FamilySpec, Specification
from nnlc.tables.counted_sizes import CountedSizes
from nnlc.tables.images_of_table import image_sets_of
from nnlc.tables.record import Record

_DTYPES: dict[Kind, tuple[Any, Any]] = {
    "text": (str, str),
    "integer": ("int64", "Int64"),
    "flag": ("bool", "boolean"),
    "number": ("float64", "float64"),
    "integers": (object, object),
}
"""Type of a column where every network has a value, and where some have none."""


_KINDS: dict[type, Kind] = {
    str: "text",
    int: "integer",
    bool: "flag",
    float: "number",
    tuple: "integers",
}


def network_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return a row for each network: `Tables.networks` without what the journal records.

    A network has no value in the own columns of other families.
    """
    rows = [one.values | {FAMILY_COLUMN.field: one.family} for one in records]
    layouts = {id(one.layout): one.layout for one in records}.values() or [article_layout()]
    frame = pd.DataFrame(
        {
            name: _series([row.get(name) for row in rows], kinds)
            for name, kinds in _kinds_by_column(layouts).items()
        }
    )
    about = list(zip(records, rows, strict=True))
    depths = [depth_of(one.layout, row) for one, row in about]
    frame["depth"] = _series(depths, {"integer"})
    frame["half_epochs"] = pd.Series([len(one.curve) for one in records], dtype="int64")
    frame["published"] = pd.Series([one.is_published for one in records], dtype=bool)
    # As objects: pandas' own strings can't hold paths that are not UTF-8.
    frame["path"] = pd.Series([str(one.path) for one in records], dtype=object)
    return frame.join(_sizes(about))


def _kinds_by_column(layouts: Iterable[Layout]) -> Mapping[str, set[Kind]]:
    """Return the kinds of each column: several if families give one name different kinds."""
    kinds: dict[str, set[Kind]] = {}
    for layout in layouts:
        for column in (*TRAINING_COLUMNS, FAMILY_COLUMN, *layout.own):
            if column.field != "depth":  # every network's column, whether it has a value or not
                kinds.setdefault(column.field, set()).add(column.kind)
    return kinds


def _series(values: list[Any], kinds: set[Kind]) -> "pd.Series[Any]":
    """Return a column; of different kinds, it holds Python's objects, except for numbers."""
    dtype: Any = object
    if len(kinds) == 1:
        (kind,) = kinds
        dtype = _DTYPES[kind][None in values]
    elif kinds == {"integer", "number"}:
        dtype = "float64"
    found: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return found


def _sizes(about: Iterable[tuple[Record, Mapping[str, Any]]]) -> pd.DataFrame:
    """Return parameters and multiply-adds of each table's network; missing where unknown."""
    about = list(about)
    image_sets = image_sets_of([one.dataset for one, _ in about], [one.path for one, _ in about])
    counted = CountedSizes()
    sizes = [
        size_of(one.layout, values, images) or counted.of(one) or (None, None)
        for (one, values), images in zip(about, image_sets, strict=True)
    ]
    return pd.DataFrame(sizes, columns=["parameters", "multiply_adds"]).astype("Int64")


def specs_of(networks: pd.DataFrame) -> list[Specification]:
    """Return the specifications of a frame's networks.

    A number of another family that was not drawn is 0.0 in them, not 0.
    """
    article, taken = article_layout(), {column.field for column in TRAINING_COLUMNS}
    names = [str(name) for name in networks if name not in TAKEN_COLUMNS]
    specs: list[Specification] = []
    for row in networks.to_dict("records"):
        if row["family"] == ARTICLE_NAME:
            specs.append(article.make({c.field: row[c.field] for c in article.columns}))
            continue
        own = tuple(
            (name, kind, _plain(row[name])) for name in names if (kind := _kind_of(row[name]))
        )
        training = {str(name): _plain(row[name]) for name in taken}
        specs.append(FamilySpec(family=row["family"], own=own, **training))
    return specs


def _plain(value: Any) -> Any:
    """Return a value without NumPy's type."""
    return value.item() if isinstance(value, np.generic) else value


def _kind_of(value: Any) -> Kind | None:
    """Return the kind of an own column by its value; None if it is missing."""
    plain = _plain(value)
    if plain is None or plain is pd.NA or plain != plain:
        return None
    return _KINDS[type(plain)]
