"""Curves and metrics as CSV files, for programs that read no tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from nnlc.analysis.metrics import check_columns
from nnlc.system.output_file import CSV, write_output
from nnlc.tables.frames import Tables

CURVES_MARK = b"id,dataset,half_epoch,epoch,train_loss,val_loss,val_accuracy_percent"
METRICS_MARK = b",counted_half_epochs,train_loss_max,"
"""What every CSV of curves, and of metrics, has in its header."""


def aggregate_csv(tables: Tables, path: str | Path, *, columns: Sequence[str] = ()) -> None:
    """Write all curves into one CSV file, a row for each half epoch of each network.

    Args:
        tables: what `load_tables` gave.
        path: the file; whole or not written at all.
        columns: of `tables.networks`, to be repeated in each row of their network.

    Raises:
        NnlcError: an unknown column, or the file can't be written, such as where one stands that
            holds something else.
    """
    check_columns(tables, columns)
    chosen = [name for name in dict.fromkeys(columns) if name not in tables.curves]
    networks = tables.networks[["id", *chosen]]
    curves = tables.curves.merge(networks, on="id", how="left") if chosen else tables.curves
    write_csv(curves, Path(path), mark=CURVES_MARK)


def write_csv(frame: pd.DataFrame, path: Path, *, mark: bytes) -> None:
    """Write a frame as CSV: floats to the last bit, lists as tables write them (3-5).

    Args:
        frame: to be written.
        path: the file; one that holds the mark is replaced.
        mark: a part of the header that no other file has.

    Raises:
        NnlcError: the file can't be written.
    """
    text = csv_ready(frame)

    def write(file: IO[bytes]) -> None:
        text.to_csv(file, index=False, lineterminator="\n", errors="replace")

    write_output(path, write, mark=mark, endings=CSV)


def csv_ready(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with lists as text."""
    ready = frame.copy()
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], tuple):
            ready[name] = frame[name].map(lambda values: "-".join(map(str, values)))
    return ready
