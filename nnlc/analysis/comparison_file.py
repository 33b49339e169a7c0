"""Reader of the CSV file that `nnlc compare -o FILE` writes, with every value checked."""

import csv
import io
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nnlc.analysis.comparison import COMPARISON_COLUMNS
from nnlc.analysis.predictors.registry import MOST_EPOCHS
from nnlc.errors import NnlcError
from nnlc.system.text_file import read_text

_Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
_Epoch = Annotated[float, Field(gt=0, le=MOST_EPOCHS)]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
_Blank = BeforeValidator(lambda text: None if text == "" else text)
_Maybe = Annotated[_Percent | None, _Blank]
_FLOAT_ENDINGS = ("_error", "_percent", "_epoch", "milliseconds")
"""Endings of the names of columns that hold floats."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dataset: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    method: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    stop_rule: bool
    cutoff_epoch: _Epoch
    target_epoch: _Epoch
    networks: _Count
    predicted: _Count
    failed: _Count
    not_converged: Annotated[_Count | None, _Blank]
    epochs_saved_percent: _Percent
    cost_error: _Percent
    cost_standard_error: _Maybe
    mean_error: _Maybe
    standard_error: _Maybe
    median_error: _Maybe
    baseline_mean_error: _Maybe
    covered_percent: _Maybe
    top_overlap_percent: _Maybe
    milliseconds: Annotated[_Milliseconds | None, _Blank]


def read_comparison(path: str | Path) -> pd.DataFrame:
    """Return the frame of `nnlc.compare` from a file, without its `attrs`.

    Files of older versions have no column `dataset`; it is then empty.

    Raises:
        NnlcError: the file can't be read, or is no comparison; the message has line and column.
    """
    path = Path(path)
    try:
        rows = list(csv.reader(io.StringIO(read_text(path)), strict=True))
    except csv.Error:
        rows = []
    columns = tuple(rows[0]) if rows else ()
    if columns not in (COMPARISON_COLUMNS, COMPARISON_COLUMNS[1:]):
        raise NnlcError(
            f"{path}: is not a comparison; 'nnlc compare FOLDER -o FILE.csv' writes one"
        )
    if not rows[1:]:
        raise NnlcError(f"{path}: has no row below its header; run 'nnlc compare' again")
    values = [_read_row(columns, row, number, path) for number, row in enumerate(rows[1:], 2)]
    frame = pd.DataFrame([row.model_dump() for row in values])
    whole = {"not_converged": "Int64"}
    return frame.astype(
        whole | {name: "float64" for name in COMPARISON_COLUMNS if name.endswith(_FLOAT_ENDINGS)}
    )


def _read_row(columns: tuple[str, ...], row: list[str], line: int, path: Path) -> _Row:
    if len(row) != len(columns):
        raise NnlcError(f"{path}, line {line}: {len(row)} fields instead of {len(columns)}")
    try:
        return _Row.model_validate(dict(zip(columns, row, strict=True)))
    except ValidationError as problem:
        name = str(problem.errors()[0]["loc"][0])
        number = columns.index(name)
        raise NnlcError(
            f"{path}, line {line}, column {number + 1} ({name}): {row[number][:40]!r} is no valid "
            "value"
        ) from None
