"""Pictures of tables as files: choice of the picture, caption and reproducible bytes."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Unpack, get_args, overload

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnlc.analysis.comparison import check_comparison
from nnlc.analysis.metrics import metrics
from nnlc.errors import NnlcError
from nnlc.families.layouts import layer_kinds
from nnlc.plotting.comparison_plot import draw_comparison
from nnlc.plotting.curve_plots import draw_curves
from nnlc.plotting.final_accuracies import SETTINGS, draw_finals, draw_layer_types
from nnlc.plotting.look import Look, size_of
from nnlc.plotting.sawtooth import draw_saw_tooth
from nnlc.plotting.style import caption, headline, join_sentences, nnlc_style
from nnlc.system.output_file import check_output, write_output
from nnlc.tables.frames import Tables, check_choice, check_tables
from nnlc.wording import counted

_Setting = Literal["learning-rate", "batch-size", "depth", "parameters", "multiply-adds"]
Kind = Literal["curves", _Setting, "layer-types", "saw-tooth"]
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


@overload
def plot_tables(
    tables: Tables, path: None = None, *, kind: Kind = ..., value: Value = ..., **look: Unpack[Look]
) -> Figure: ...
@overload
def plot_tables(
    tables: Tables, path: str | Path, *, kind: Kind = ..., value: Value = ..., **look: Unpack[Look]
) -> str: ...
def plot_tables(
    tables: Tables,
    path: str | Path | None = None,
    *,
    kind: Kind = "curves",
    value: Value = "accuracy",
    **look: Unpack[Look],
) -> Figure | str:
    """Draw tables; the same tables and versions of libraries give the same bytes.

    Args:
        tables: the result of `load_tables`; curves may differ in length.
        path: a .png, .svg or .pdf file; an earlier picture of nnlc is replaced. None: no file.
        kind: "curves", final accuracy by a setting or size, or the training losses'
            "saw-tooth".
        value: the value that curves show.
        look: `preset` ("one-column", "two-column"), `width` and `height` with their unit, such as
            "89mm", `font_size` in points, `title`, and `caption=False` for a picture without its
            caption: see `nnlc.plotting.look.Look`.

    Returns:
        Without a path, a matplotlib figure to change and save; its label is the caption. With a
        path, the caption: numbers of networks drawn and left out.

    Raises:
        NnlcError: an option is wrong, there is no table, or the file can't be written.
    """
    check_plot(path, kind, value, look)
    check_tables(tables)
    if not len(tables):
        raise NnlcError("there is no table to draw")
    if tables.from_elsewhere:
        _check_known(tables, kind, value)

    def draw(width: float | None) -> tuple[Figure, str]:
        figure, note = _draw(tables, kind, value, width, named=not look.get("title"))
        return figure, join_sentences([_counts(tables), _losses(tables, kind, value), note])

    return _finish(draw, path, look)


@overload
def plot_comparison(found: pd.DataFrame, path: None = None, **look: Unpack[Look]) -> Figure: ...
@overload
def plot_comparison(found: pd.DataFrame, path: str | Path, **look: Unpack[Look]) -> str: ...
def plot_comparison(
    found: pd.DataFrame, path: str | Path | None = None, **look: Unpack[Look]
) -> Figure | str:
    """Draw a comparison of prediction methods: mean error against epochs saved.

    Args:
        found: the result of `nnlc.compare`.
        path: a .png, .svg or .pdf file; an earlier picture of nnlc is replaced. None: no file.
        look: the options of `plot_tables`.

    Returns:
        Without a path, a matplotlib figure, whose label is the caption; with a path, the caption.

    Raises:
        NnlcError: an option is wrong, or the file can't be written.
    """
    check_plot(path, look=look)
    check_comparison(found)
    return _finish(lambda width: draw_comparison(found, width), path, look)


def _finish(
    draw: Callable[[float | None], tuple[Figure, str]], path: str | Path | None, look: Look
) -> Figure | str:
    """Return a figure with title, caption and size, or write it and return the caption."""
    size = size_of(look)
    # Losses may be near the largest double, and overflow to infinity.
    with nnlc_style(size.font_size), np.errstate(over="ignore"):
        figure, words = draw(size.width)
        figure.set_label(words)
        if look.get("caption", True):
            caption(figure, words)
        headline(figure, look.get("title"), size.height)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "constrained_layout not applied")
            try:
                if path is None:
                    figure.draw_without_rendering()
                    return figure
                write_picture(figure, Path(path))
            except UserWarning:
                wide, high = figure.get_size_inches() * 25.4
                raise NnlcError(
                    f"the panels and their text don't fit into {wide:.0f} mm × {high:.0f} mm: give "
                    "more width or height, a smaller font size, or fewer datasets"
                ) from None
    return words


def _draw(
    tables: Tables, kind: str, value: str, width: float | None, *, named: bool
) -> tuple[Figure, str]:
    match kind:
        case "curves":
            return draw_curves(tables, VALUES[value], width, named=named)
        case "layer-types":
            return draw_layer_types(tables, width)
        case "saw-tooth":
            return draw_saw_tooth(tables, width)
        case _:
            return draw_finals(tables, SETTINGS[kind], width)


def check_plot(
    path: str | Path | None, kind: str = KINDS[0], value: str = "accuracy", look: Look | None = None
) -> None:
    """Check the options of a picture, and that a file can be written at its path, if any.

    Raises:
        NnlcError: the kind, value, ending or an option of `look` is wrong, or the path has a file
            that nnlc did not draw.
    """
    size_of(look or {})
    check_choice("kind", kind, KINDS)
    check_choice("value", value, tuple(VALUES))
    if kind != KINDS[0] and value != "accuracy":
        raise NnlcError(
            f"value {value!r} goes with kind 'curves', but kind is {kind!r}; leave one of them out"
        )
    if path is not None:
        check_choice("the picture's ending", Path(path).suffix.lower(), tuple(_METADATA))
        check_output(Path(path), mark=_MARK, endings=tuple(_METADATA))


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's ending.

    Raises:
        NnlcError: the file can't be written; an earlier file is left as it was.
    """
    ending = path.suffix.lower()
    content = io.BytesIO()
    figure.savefig(content, format=ending[1:], metadata=_METADATA[ending])
    write_output(path, content.getvalue(), mark=_MARK, endings=(ending,))


def _check_known(tables: Tables, kind: str, value: str) -> None:
    """Check that curves from elsewhere have the values to draw."""
    if kind == "layer-types":
        if all(each.isna().all() for each in layer_kinds(tables.networks).values()):
            raise NnlcError("these curves have no layer_types or flags, which this figure shows")
        return
    columns = {"curves": VALUES[value], "saw-tooth": "train_loss"}
    needed = columns.get(kind) or SETTINGS[kind].column
    values = (tables.curves if needed in tables.curves else tables.networks)[needed]
    halves = " in half epochs" if kind == "saw-tooth" else ""
    if values.isna().all() or (kind == "saw-tooth" and tables.step == 1):
        raise NnlcError(f"these curves have no {needed}{halves}, which this figure shows")


def _counts(tables: Tables) -> str:
    """Return a sentence with numbers: all networks, those diverged, those that never learned."""
    found = metrics(tables, columns=())
    is_diverged = found["diverged"].fillna(value=False)
    diverged = int(is_diverged.sum())
    never = int((found["never_learned"] & ~is_diverged).sum())
    unknown = int((found["never_learned"].isna() & ~is_diverged).sum())
    parts = [counted(len(tables), "network")]
    if diverged:
        parts.append(f"{diverged:,} diverged (values that are not finite are left out)")
    if never:
        parts.append(f"{never:,} never learned better than chance")
    if unknown:
        who = f"{unknown:,}" if unknown < len(tables) else "they" if unknown > 1 else "it"
        parts.append(f"whether {who} learned better than chance is not known")
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
