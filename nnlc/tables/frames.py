"""Two pandas data frames of many tables: the curves, and the networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nnlc.errors import NnlcError, TableError
from nnlc.networks import NetworkSpec
from nnlc.tables.columns import CURVE_COLUMNS, METADATA_COLUMNS
from nnlc.tables.fast_parsing import Curve
from nnlc.tables.record import Record, read_records
from nnlc.tables.table_folders import Skipped, find_tables
from nnlc.tables.val_loss_correction import correction_factors, is_published

ValLoss = Literal["as-published", "corrected"]
Damaged = Literal["refuse", "skip"]

_DTYPES: dict[Any, Any] = {int: "int64", float: "float64", bool: "bool", str: str}


@dataclass(frozen=True, eq=False)
class Tables:
    """Many tables as two data frames, with networks in the same order.

    Attributes:
        curves: a row for each half epoch: `id`, `dataset`, `half_epoch` (1, 2, …), `epoch` (0.5,
            1.0, …), `train_loss`, `val_loss`, `val_accuracy_percent`; NaN for a blank field.
        networks: a row for each network: the 24 metadata columns by their names in `NetworkSpec`,
            lists as tuples; `depth` (convolutions), `half_epochs` (rows of its curve), `published`
            (False for tables that nnlc wrote), and `path` of the table.
        skipped: files and folders that were found but not read, with reasons.

    `attrs["val_loss"]` of both frames is "as-published" or "corrected".
    """

    curves: pd.DataFrame
    networks: pd.DataFrame
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.networks)

    def network(self, id: str) -> "pd.Series[Any]":
        """Return the row of `networks` with this ID.

        Raises:
            NnlcError: no table with this ID was loaded.
        """
        return self.networks.iloc[self._position(id)]

    def curve(self, id: str) -> pd.DataFrame:
        """Return the rows of `curves` with this ID.

        Raises:
            NnlcError: no table with this ID was loaded.
        """
        self._position(id)
        return self.curves[self.curves["id"] == id]

    def select(self, ids: Iterable[str]) -> "Tables":
        """Return only the tables with these IDs, in the order of the IDs.

        Raises:
            NnlcError: no table with one of the IDs was loaded.
        """
        asked = list(ids)
        positions = pd.Index(self.networks["id"]).get_indexer(asked)
        if (positions < 0).any():
            self._position(asked[int(positions.argmin())])
        lengths = self.networks["half_epochs"].to_numpy()
        starts = np.cumsum(lengths) - lengths
        rows = [np.arange(starts[i], starts[i] + lengths[i]) for i in positions]
        curves = self.curves.iloc[np.concatenate([np.empty(0, np.int64), *rows])]
        networks = self.networks.iloc[positions]
        return Tables(curves.reset_index(drop=True), networks.reset_index(drop=True), self.skipped)

    def _position(self, id: str) -> int:
        positions = np.flatnonzero(self.networks["id"] == id)
        if not len(positions):
            raise NnlcError(f"no network {id!r} is among the {len(self)} that were loaded")
        return int(positions[0])


def load_tables(
    paths: str | Path | Iterable[str | Path],
    *,
    val_loss: ValLoss = "as-published",
    damaged: Damaged = "refuse",
    cache: bool = False,  # noqa: ARG001  accepted, and without effect, until 0.3.0
) -> Tables:
    """Read tables, of nnlc or published, as strictly as `read_table` and far faster.

    Args:
        paths: a table, a folder of tables, a results folder, a folder of results folders, or
            several of these.
        val_loss: "corrected" multiplies published validation losses by the missing factor
            (`nnlc.tables.val_loss_correction`); tables that nnlc wrote are right and don't change.
        damaged: "refuse" raises TableError for a damaged table or a second table of the same ID;
            "skip" leaves it out and names it in `Tables.skipped`.
        cache: without effect; 0.3.0 removes it.

    Raises:
        TableError: there is nothing to read, a table is damaged (with line and column), or two
            tables have the same ID.
    """
    check_choice("val_loss", val_loss, ("as-published", "corrected"))
    check_choice("damaged", damaged, ("refuse", "skip"))
    several = [paths] if isinstance(paths, str | Path) else paths
    found, skipped = find_tables(map(Path, several))
    records: dict[str, Record] = {}
    for files in found:
        for one in read_records(files):
            if isinstance(one, Record) and one.id not in records:
                records[one.id] = one
                continue
            problem = _same_id(one, records[one.id]) if isinstance(one, Record) else one
            if damaged == "refuse":
                raise problem
            skipped.append(Skipped(problem.path or files.folder, str(problem)))
    return _tables(list(records.values()), val_loss, tuple(skipped))


def frames_of(records: Iterable[Record]) -> Tables:
    """Return data frames of tables that are already in memory, with losses as published.

    Args:
        records: the tables; no two of the same network.
    """
    return _tables(list(records), "as-published", ())


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Check that an argument has one of its allowed values.

    Raises:
        NnlcError: the value is not allowed; the message lists the allowed values.
    """
    if value not in choices:
        raise NnlcError(f"{name} is {value!r}, but can only be {' or '.join(map(repr, choices))}")


def _same_id(second: Record, first: Record) -> TableError:
    return TableError(
        f"network {second.id} also has a table in {first.path.parent}; load only one of them",
        path=second.path,
        line=2,
        column=5,
        column_name="ID",
    )


def _tables(records: list[Record], val_loss: ValLoss, skipped: tuple[Skipped, ...]) -> Tables:
    networks = _network_frame(records)
    curves = _curve_frame(networks, [one.curve for one in records])
    if val_loss == "corrected":
        curves["val_loss"] *= np.repeat(correction_factors(networks), networks["half_epochs"])
    for frame in (curves, networks):
        frame.attrs["val_loss"] = val_loss
    return Tables(curves, networks, skipped)


def _network_frame(records: list[Record]) -> pd.DataFrame:
    names = [column.field for column in METADATA_COLUMNS]
    types = {field.name: field.type for field in fields(NetworkSpec)}
    values = list(zip(*(one.metadata for one in records), strict=True)) or [()] * len(names)
    frame = pd.DataFrame(
        {
            name: pd.Series(column, dtype=_DTYPES.get(types[name], object))
            for name, column in zip(names, values, strict=True)
        }
    )
    frame["depth"] = frame["conv_kernels"].map(len).astype("int64")
    frame["half_epochs"] = pd.Series([len(one.curve) for one in records], dtype="int64")
    frame["published"] = is_published(frame)
    # As objects: pandas' own strings can't hold paths that are not UTF-8.
    frame["path"] = pd.Series([str(one.path) for one in records], dtype=object)
    return frame


def _curve_frame(networks: pd.DataFrame, curves: list[Curve]) -> pd.DataFrame:
    lengths = networks["half_epochs"].to_numpy()
    owner = np.repeat(np.arange(len(networks)), lengths)
    half_epochs = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    values = np.concatenate([np.empty((0, len(CURVE_COLUMNS))), *curves])
    return pd.DataFrame(
        {
            "id": networks["id"].array.take(owner),
            "dataset": networks["dataset"].array.take(owner),
            "half_epoch": half_epochs,
            "epoch": half_epochs / 2,
            **{column.field: values[:, i] for i, column in enumerate(CURVE_COLUMNS)},
        }
    )
