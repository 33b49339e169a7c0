"""Pictures of tables as files: choice of the picture, caption and reproducible bytes."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnlc.analysis.metrics import metrics
from nnlc.errors import NnlcError
from nnlc.plotting.comparison_plot import draw_comparison
from nnlc.plotting.curve_plots import draw_curves
from nnlc.plotting.final_accuracies import SETTINGS, draw_finals, draw_layer_types
from nnlc.plotting.sawtooth import draw_saw_tooth
from nnlc.plotting.style import caption, join_sentences, nnlc_style
from nnlc.system.output_file import check_output, write_output
from nnlc.tables.frames import Tables, check_choice
from nnlc.wording import counted

Kind = Literal["curves", "learning-rate", "batch-size", "depth", "layer-types", "saw-tooth"]
KINDS: tuple[str, ...] = get_args(Kind)
Value = Literal["accuracy", "val-loss", "train-loss"]
VALUES = {"accuracy": "val_accuracy_percent", "val-loss": "val_loss", "train-loss": "train_loss"}
"""Columns of `Tables.curves` by the names that users give."""

_MARK = b"drawn by nnlc"
_METADATA: dict[str, dict[str, Any]] = {
    # No dates: the same tables give the same bytes.
    ".png": {"Software": _MARK.decode()},
    ".svg": {"Creator": _MARK.decode(), "Date": None},
    ".pdf": {"Creator": _MARK.decode(), "CreationDate": None},
}


def plot_tables(
    tables: Tables, path: str | Path, *, kind: Kind = "curves", value: Value = "accuracy"
) -> str:
    """Draw tables into a file; the same tables and versions of libraries give the same bytes.

    Args:
        tables: the result of `load_tables`; curves may differ in length.
        path: a .png, .svg or .pdf file; an earlier picture of nnlc is replaced.
        kind: "curves", final accuracy by a setting, or the training losses' "saw-tooth".
        value: the value that curves show.

    Returns:
        The caption: numbers of networks drawn and left out.

    Raises:
        NnlcError: the kind or ending is unknown, there is no table, or the file can't be written.
    """
    path = Path(path)
    check_plot(path, kind, value)
    if not len(tables):
        raise NnlcError("there is no table to draw")
    # Losses may be near the largest double, and overflow to infinity.
    with nnlc_style(), np.errstate(over="ignore"):
        figure, note = _draw(kind, value)(tables)
        words = join_sentences([_counts(tables), _losses(tables, kind, value), note])
        caption(figure, words)
        write_picture(figure, path)
    return words


def plot_comparison(found: pd.DataFrame, path: str | Path) -> str:
    """Draw a comparison of prediction methods: mean error against epochs saved.

    Args:
        found: the result of `nnlc.compare`.
        path: a .png, .svg or .pdf file; an earlier picture of nnlc is replaced.

    Returns:
        The caption.

    Raises:
        NnlcError: the ending is unknown, or the file can't be written.
    """
    path = Path(path)
    check_plot(path)
    with nnlc_style():
        figure, words = draw_comparison(found)
        caption(figure, words)
        write_picture(figure, path)
    return words


def _draw(kind: str, value: str) -> Callable[[Tables], tuple[Figure, str]]:
    match kind:
        case "curves":
            return lambda tables: draw_curves(tables, VALUES[value])
        case "layer-types":
            return draw_layer_types
        case "saw-tooth":
            return draw_saw_tooth
        case _:
            return lambda tables: draw_finals(tables, SETTINGS[kind])


def check_plot(path: Path, kind: str = KINDS[0], value: str = "accuracy") -> None:
    """Check that a kind of picture exists and that a file can be written at a path.

    Raises:
        NnlcError: the kind, value or ending is unknown, or the path has a file
            that nnlc did not draw.
    """
    check_choice("kind", kind, KINDS)
    check_choice("value", value, tuple(VALUES))
    if kind != KINDS[0] and value != "accuracy":
        raise NnlcError(
            f"value {value!r} goes with kind 'curves', but kind is {kind!r}; leave one of them out"
        )
    check_choice("the picture's ending", path.suffix.lower(), tuple(_METADATA))
    check_output(path, mark=_MARK, endings=tuple(_METADATA))


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's ending.

    Raises:
        NnlcError: the file can't be written; an earlier file is left as it was.
    """
    ending = path.suffix.lower()
    content = io.BytesIO()
    figure.savefig(content, format=ending[1:], metadata=_METADATA[ending])
    write_output(path, content.getvalue(), mark=_MARK, endings=(ending,))


def _counts(tables: Tables) -> str:
    """Return a sentence with numbers: all networks, those diverged, those that never learned."""
    found = metrics(tables, columns=())
    diverged = int(found["diverged"].sum())
    never = int((found["never_learned"] & ~found["diverged"]).sum())
    unknown = int((found["never_learned"].isna() & ~found["diverged"]).sum())
    parts = [counted(len(tables), "network")]
    if diverged:
        parts.append(f"{diverged:,} diverged (values that are not finite are left out)")
    if never:
        parts.append(f"{never:,} never learned better than chance")
    if unknown:
        parts.append(f"of {unknown:,} it is not known whether they learned")
    return "; ".join(parts) + "."


def _losses(tables: Tables, kind: str, value: str) -> str:
    """Return a sentence on published validation losses; empty if none is drawn."""
    if kind != "curves" or value != "val-loss" or not tables.networks["published"].any():
        return ""
    if tables.curves.attrs["val_loss"] == "corrected":
        return "Published validation losses are corrected."
    return (
        "Validation losses as published, too small by a known factor (--val-loss corrected undoes "
        "it)."
    )
