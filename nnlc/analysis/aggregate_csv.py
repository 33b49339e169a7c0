"""Curves and metrics as CSV files, for programs that read no tables."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from nnlc.analysis.metrics import check_columns
from nnlc.system.output_file import CSV, write_output
from nnlc.tables.frames import Tables, check_tables

CURVES_MARK = b"id,dataset,half_epoch,epoch,train_loss,val_loss,val_accuracy_percent"
METRICS_MARK = b",counted_half_epochs,train_loss_max,"
"""Parts of the header by which nnlc recognises its CSV files of curves and of metrics."""


def aggregate_csv(tables: Tables, path: str | Path, *, columns: Sequence[str] = ()) -> None:
    """Write all curves into one CSV file, a row for each half epoch of each network.

    Args:
        tables: the result of `load_tables`.
        path: the CSV file, written whole or not at all.
        columns: columns of `tables.networks` that each row of a network repeats.

    Raises:
        NnlcError: a column is unknown, or the file can't be written or would replace another kind
            of file.
    """
    check_tables(tables)
    check_columns(tables, columns)
    chosen = [name for name in dict.fromkeys(columns) if name not in tables.curves]
    networks = tables.networks[["id", *chosen]]
    curves = tables.curves.merge(networks, on="id", how="left") if chosen else tables.curves
    write_csv(curves, Path(path), mark=CURVES_MARK)


def write_csv(frame: pd.DataFrame, path: Path, *, mark: bytes) -> None:
    """Write a frame as CSV: floats with all digits, lists as in tables (3-5).

    Args:
        frame: the frame.
        path: the CSV file; a file that contains `mark` is replaced.
        mark: a part of the header that no other kind of file has.

    Raises:
        NnlcError: the file can't be written.
    """
    text = csv_ready(frame)
    write = partial(text.to_csv, index=False, lineterminator="\n", errors="replace")
    write_output(path, write, mark=mark, endings=CSV)


def csv_ready(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of a frame whose lists are text (3-5)."""
    ready = frame.copy()
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], tuple):
            ready[name] = frame[name].map(lambda values: "-".join(map(str, values)))
    return ready
