"""Two pandas data frames of many tables: the curves, and the networks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.errors import NnlcError, TableError, check_kind
from nnlc.tables.columns import CURVE_COLUMNS
from nnlc.tables.fast_parsing import Curve
from nnlc.tables.network_frame import network_frame
from nnlc.tables.record import Record, read_records
from nnlc.tables.table_folders import Skipped, find_tables
from nnlc.tables.val_loss_correction import correction_factors
from nnlc.wording import first_few

ValLoss = Literal["as-published", "corrected"]
Damaged = Literal["refuse", "skip"]
Recorded = Callable[[Record], Mapping[str, NDArray[np.float64]]]
"""Function that returns a table's values of `RECORDED_COLUMNS`, as far as they are known."""

RECORDED_COLUMNS = ("train_accuracy_percent", "seconds")
"""Columns of curves that tables don't have."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Many tables as two data frames, with networks in the same order.

    Attributes:
        curves: a row for each half epoch: `id`, `dataset`, `half_epoch` (1, 2, …), `epoch` (0.5,
            1.0, …), `train_loss`, `val_loss`, `val_accuracy_percent`; NaN for a blank field. From
            the journal, and NaN without a record: `train_accuracy_percent`, of the images of the
            half epoch while the network was trained on them, each before its step, with dropout;
            and `seconds` of training and validation.
        networks: a row for each network: the twelve metadata columns of every training by their
            names in `Specification`; `family` ("article", or name@version); the own columns of all
            families, lists as tuples, missing where a family has no such column; `depth` (the
            article's convolutions, or an own column of that name), `half_epochs` (rows of its
            curve), `published` (False for tables that nnlc wrote), `path` of the table, `seconds`
            (sum over its curve), and `parameters` and `multiply_adds` (of one image; missing where
            unknown). Integers are int64, or Int64 in columns that have missing values.
        skipped: files and folders that were found but not read, with reasons.

    `attrs["val_loss"]` of both frames is "as-published" or "corrected".
    """

    curves: pd.DataFrame
    networks: pd.DataFrame
    skipped: tuple[Skipped, ...]

    @classmethod
    def from_frames(cls, curves: pd.DataFrame, networks: pd.DataFrame | None = None) -> "Tables":
        """Return curves of other programs, for `metrics`, `compare`, `predict`, plots, `Benchmark`.

        Unknown values are missing. A loss of NaN is unknown, an infinite one has diverged. To
        predictors, a row of a curve is a point, whether of a whole epoch or of half an epoch.

        Args:
            curves: a row for each network and epoch, with at least `id`, `epoch` (1, 2, … or, for
                all networks, 0.5, 1, …; lengths may differ) and `val_accuracy_percent` (0 to 100);
                optionally `train_loss`, `val_loss`, `train_accuracy_percent`, `seconds`.
            networks: a row for each network, with at least `id`; `dataset`, the other columns of
                `networks` above, and columns of your own are kept.

        Raises:
            NnlcError: a column is missing, or a value is wrong; the message names row and column.
        """
        from nnlc.tables.curves_from_elsewhere import complete_frames  # seldom needed

        return cls(*complete_frames(curves, networks), ())

    @property
    def from_elsewhere(self) -> bool:
        """True if the curves are those of other programs, so that there are no tables' files."""
        return len(self) > 0 and "path" in self.networks and not self.networks["path"].any()

    @property
    def step(self) -> float:
        """Epochs from one row of a curve to the next: 0.5, or 1 for curves in whole epochs."""
        return 1.0 if self.from_elsewhere and self.curves["epoch"].iloc[0] == 1 else 0.5

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


def _nothing_recorded(_: Record) -> dict[str, NDArray[np.float64]]:
    return {}


def read_tables(
    paths: Iterable[Path],
    *,
    val_loss: ValLoss = "as-published",
    damaged: Damaged = "refuse",
    family: str | None = None,
    recorded: Recorded = _nothing_recorded,
) -> Tables:
    """Read tables as `nnlc.collection.loading.load_tables` does, with other records.

    Raises:
        TableError, NnlcError: as for `load_tables`.
    """
    check_choice("val_loss", val_loss, ("as-published", "corrected"))
    check_choice("damaged", damaged, ("refuse", "skip"))
    found, skipped = find_tables(paths)
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
    read = list(records.values())
    if family is not None:
        chosen = families_among(family, {one.family for one in read})
        read = [one for one in read if one.family in chosen]
    return _tables(read, val_loss, tuple(skipped), recorded)


def families_among(name: str, found: Iterable[object]) -> list[str]:
    """Return the families that a user's name stands for: one, or all versions of one.

    Raises:
        NnlcError: no table is of such a family.
    """
    known = sorted(family for family in found if isinstance(family, str))
    chosen = [family for family in known if name in (family, family.partition("@")[0])]
    if not chosen:
        raise NnlcError(
            f"no table is of family {name!r}; there are {', '.join(first_few(known)) or 'none'}"
        )
    return chosen


def frames_of(records: Iterable[Record], recorded: Recorded = _nothing_recorded) -> Tables:
    """Return data frames of tables that are already in memory, with losses as published.

    Args:
        records: the tables; no two of the same network.
        recorded: returns what is recorded about a table.
    """
    return _tables(list(records), "as-published", (), recorded)


def check_tables(tables: Tables) -> None:
    """Check that an argument is `Tables`, and not a path or a frame."""
    check_kind("tables", tables, Tables, "the result of nnlc.load_tables")


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


def _tables(
    records: list[Record],
    val_loss: ValLoss,
    skipped: tuple[Skipped, ...],
    recorded: Recorded = _nothing_recorded,
) -> Tables:
    networks = network_frame(records)
    curves = _curve_frame(networks, [one.curve for one in records])
    _add_recorded(networks, curves, list(map(recorded, records)))
    if val_loss == "corrected":
        curves["val_loss"] *= np.repeat(correction_factors(networks), networks["half_epochs"])
    for frame in (curves, networks):
        frame.attrs["val_loss"] = val_loss
    return Tables(curves, networks, skipped)


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


def _add_recorded(
    networks: pd.DataFrame,
    curves: pd.DataFrame,
    recorded: list[Mapping[str, NDArray[np.float64]]],
) -> None:
    unknown = [np.full(number, np.nan) for number in networks["half_epochs"]]
    for name in RECORDED_COLUMNS:
        known = (one.get(name, nothing) for one, nothing in zip(recorded, unknown, strict=True))
        curves[name] = np.concatenate([np.empty(0), *known])
    seconds = [one["seconds"].sum() if "seconds" in one else np.nan for one in recorded]
    networks["seconds"] = np.array(seconds, dtype=np.float64)
