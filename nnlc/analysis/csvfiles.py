"""Curves and metrics as CSV files, for programs that read no tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnlc.analysis.metrics import check_columns
from nnlc.errors import NnlcError
from nnlc.files import write_atomically
from nnlc.tables.frames import Tables


def aggregate_csv(tables: Tables, path: str | Path, *, columns: Sequence[str] = ()) -> None:
    """Write all curves into one CSV file, a row for each half epoch of each network.

    Args:
        tables: what `load_tables` gave.
        path: the file; whole or not written at all.
        columns: of `tables.networks`, to be repeated in each row of their network.

    Raises:
        NnlcError: an unknown column, or the file can't be written.
    """
    check_columns(tables, columns)
    chosen = [name for name in dict.fromkeys(columns) if name not in tables.curves]
    networks = tables.networks[["id", *chosen]]
    write_csv(tables.curves.merge(networks, on="id", how="left") if chosen else tables.curves, path)


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as CSV: floats to the last bit, lists as tables write them (3-5).

    Raises:
        NnlcError: the file can't be written.
    """
    path, text = Path(path), csv_ready(frame)
    try:
        write_atomically(path, lambda file: text.to_csv(file, index=False, lineterminator="\n"))
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


def csv_ready(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with lists as text."""
    ready = frame.copy()
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], tuple):
            ready[name] = frame[name].map(lambda values: "-".join(map(str, values)))
    return ready
