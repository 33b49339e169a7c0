"""Learning curves of other programs: two data frames or CSV files, checked and completed.

`Tables.from_frames` says which columns they need.
"""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from nnlc.errors import NnlcError, check_kind
from nnlc.families.layouts import article_layout
from nnlc.networks.columns import FAMILY_COLUMN
from nnlc.system.text_file import read_text
from nnlc.tables.folder_names import IMPORTED_CURVES, IMPORTED_NETWORKS

UNKNOWN_DATASET = "unknown"
_ACCURACY = "val_accuracy_percent"
_VALUES = ("train_loss", "val_loss", _ACCURACY, "train_accuracy_percent", "seconds")
_COLUMNS = {
    column.field: column.kind in ("integer", "number")
    for column in (*article_layout().columns, FAMILY_COLUMN)
}
_COLUMNS |= dict.fromkeys(("depth", "parameters", "multiply_adds", "seconds"), True)
"""Columns of networks; True for numbers."""

Frames = tuple[pd.DataFrame, pd.DataFrame]


class _Given:
    """Frame that a user gave, and words for messages about its rows, such as "curves, row"."""

    def __init__(self, frame: pd.DataFrame, name: str, needed: tuple[str, ...]) -> None:
        self.name, self.source = name, name.rpartition(",")[0]
        check_kind(self.source, frame, pd.DataFrame, "a pandas data frame")
        columns = list(map(str, frame.columns))
        self.frame = frame.set_axis(columns, axis=1)
        if len(set(columns)) < len(columns) or not set(needed) <= set(columns):
            raise NnlcError(
                f"{self.source}: needs {', '.join(needed)} among its columns, and none twice; it "
                f"has {', '.join(columns) or 'none'}"
            )
        if not len(frame):
            raise NnlcError(f"{self.source}: has no rows")

    def check(self, column: str, holds: NDArray[np.bool_], words: str) -> None:
        """Check that every row of a column is right."""
        if not holds.all():
            row = int(np.argmin(holds))
            place = f"{self.name} {self.frame.index[row]}, column {column}"
            raise NnlcError(f"{place}: {str(self.frame[column].iloc[row])[:40]!r} {words}")

    def texts(self, column: str) -> NDArray[Any]:
        """Return a column as texts; "" for blank fields."""
        texts = self.frame[column].astype("string").fillna("").str.strip().to_numpy(dtype=object)
        printable = np.array([one.isprintable() for one in texts])
        self.check(column, printable, "has characters that can't be printed")
        return texts

    def ids(self) -> NDArray[Any]:
        """Return the networks' IDs as texts."""
        texts = self.texts("id")
        self.check("id", texts != "", "is no name of a network")
        return texts

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column as numbers; NaN for blank fields."""
        given = self.frame[column]
        if not is_numeric_dtype(given):
            texts = given.astype("string").fillna("").str.strip().str.lower()
            given = pd.to_numeric(texts, errors="coerce")
            blank = texts.isin(["", "nan"]).to_numpy(dtype=bool)
            self.check(column, given.notna().to_numpy(dtype=bool) | blank, "is no number")
        return np.asarray(given.astype("Float64").to_numpy(dtype=float, na_value=np.nan))


def complete_frames(
    curves: pd.DataFrame,
    networks: pd.DataFrame | None,
    names: tuple[str, str] = ("curves, row", "networks, row"),
) -> Frames:
    """Return both frames of `Tables`; what is unknown is missing.

    Args:
        curves: the rows of all curves.
        networks: the networks; None if only their IDs are known.
        names: words for each frame, before a row's label in messages.

    Raises:
        NnlcError: a column is missing, or a value is wrong; the message names row and column.
    """
    given = _Given(curves, names[0], ("id", "epoch", _ACCURACY))
    ids, epochs, accuracies = given.ids(), given.numbers("epoch"), given.numbers(_ACCURACY)
    halves = np.nan_to_num(2 * epochs, posinf=0)
    given.check("epoch", (halves > 0) & (halves % 1 == 0), "is not one of 1, 2, … or 0.5, 1, …")
    in_percent = (accuracies >= 0) & (accuracies <= 100)
    given.check(_ACCURACY, in_percent, "is no percentage from 0 to 100")
    if accuracies.max() <= 1:
        words = "and all others are at most 1: give percent, not shares"
        given.check(_ACCURACY, accuracies > 1, words)
    step = 0.5 if (halves % 2).any() else 1.0
    owners, unique = pd.factorize(ids)
    counts = pd.Series(owners).groupby(owners).cumcount().to_numpy() + 1
    wanted = f"is not next: each network's epochs must be {step:g}, {2 * step:g}, … in order"
    given.check("epoch", epochs == counts * step, wanted)
    about = _about(unique, networks, names[1])
    about["half_epochs"] = lengths = np.bincount(owners)
    table = pd.DataFrame({"id": ids, "half_epoch": halves.astype("int64"), "epoch": epochs})
    for name in _VALUES:
        table[name] = given.numbers(name) if name in curves else np.nan
    table = table.iloc[np.argsort(owners, kind="stable")].reset_index(drop=True)
    table.insert(1, "dataset", np.repeat(about["dataset"].to_numpy(), lengths))
    if "seconds" in curves:
        wrong = (given.numbers("seconds") < 0) | np.isinf(given.numbers("seconds"))
        given.check("seconds", ~wrong, "is no number of seconds")
        starts = np.cumsum(lengths) - lengths
        about["seconds"] = np.add.reduceat(table["seconds"].to_numpy(), starts)
    for frame in (table, about):
        frame.attrs["val_loss"] = "as-published"
    return table, about


def _about(ids: NDArray[Any], networks: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """Return a row for each network, in the order of their curves."""
    given = _Given(pd.DataFrame({"id": ids}) if networks is None else networks, name, ("id",))
    found = given.frame.assign(id=given.ids(), published=False, path="")
    given.check("id", ~found["id"].duplicated().to_numpy(), "is there already")
    given.check("id", found["id"].isin(ids).to_numpy(), "has no curve")
    for missing in set(ids) - set(found["id"]):
        raise NnlcError(f"{given.source}: network {missing!r} has a curve, but no row")
    for column, is_number in _COLUMNS.items():
        if column not in found:
            found[column] = np.nan if is_number else None
        elif is_number and not is_numeric_dtype(found[column]):
            found[column] = given.numbers(column)
    datasets = given.texts("dataset") if "dataset" in given.frame else [""] * len(found)
    found["dataset"] = [name or UNKNOWN_DATASET for name in datasets]
    return found.set_index("id").loc[ids].reset_index()


def read_imported(paths: Sequence[Path]) -> Frames:
    """Return both frames of a folder that `nnlc import --csv` wrote.

    Raises:
        NnlcError: other paths are given too, or a file is wrong.
    """
    folder, *others = paths
    if others:
        raise NnlcError(
            "curves that 'nnlc import --csv' wrote can't be read together with others; give their "
            "folder as the only path"
        )
    networks = folder / IMPORTED_NETWORKS
    return read_csv_frames(folder / IMPORTED_CURVES, networks if networks.exists() else None)


def read_csv_frames(curves: Path, networks: Path | None) -> Frames:
    """Return both frames of `Tables` from CSV files.

    Raises:
        NnlcError: a file can't be read, or is wrong; the message names line and column.
    """
    read = None if networks is None else _read_csv(networks)
    return complete_frames(_read_csv(curves), read, (f"{curves}, line", f"{networks}, line"))


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV file, with the number of its line as each row's label."""
    rows: dict[int, list[str]] = {}
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        columns = next(reader, [])
        for row in filter(None, reader):  # without blank lines
            if len(row) != len(columns):
                raise csv.Error(f"{len(row)} fields where the first line has {len(columns)}")
            rows[reader.line_num] = row
    except csv.Error as problem:
        raise NnlcError(f"{path}, line {reader.line_num}: {problem}") from None
    frame = pd.DataFrame(rows.values(), index=list(rows), columns=columns)
    for place, column in enumerate(columns):
        if column not in ("id", "dataset"):
            with suppress(ValueError):  # text stays text
                numbers = pd.to_numeric(frame.iloc[:, place].replace("", "nan"))
                frame.isetitem(place, numbers.to_numpy())
    return frame
