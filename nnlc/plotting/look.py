"""Size of a picture and of its text, as journals want them."""

import re
from typing import Literal, NamedTuple, TypedDict, get_args

from nnlc.errors import NnlcError
from nnlc.tables.frames import check_choice

Preset = Literal["one-column", "two-column"]
# https://research-figure-guide.nature.com/figures/building-and-exporting-figure-panels
_PRESET_WIDTHS = {"one-column": "89mm", "two-column": "183mm"}
_PRESET_FONT_SIZE = 7.0
USUAL_FONT_SIZE = 12.0
LEAST_FONT_SIZE = 5.0
"""Smallest text that journals accept, in points: Nature's guide, as above."""
_MOST_FONT_SIZE = 72.0
_INCHES = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}
_LEAST_WIDTH_INCHES = 4.0
"""Least width for text of 12 points: labels of one panel, and its legend, have room."""
_LEAST_INCHES, _MOST_INCHES = 1.0, 40.0


class Look(TypedDict, total=False):
    """Options of a picture's size and text; all may be left out."""

    preset: Preset | None
    """Width of one column, 89 mm, or of two, 183 mm, with text of 7 points: those of Nature."""
    width: str | None
    """Width with its unit, mm, cm or in, such as "89mm"; it replaces the preset's."""
    height: str | None
    """Height with its unit; by default, as high as panels, legend and caption need."""
    font_size: float | None
    """Size of text in points, at least 5; lines and marks follow it. Smaller text, superscripts
    apart, has 5 points at least."""
    title: str | None
    """Title above the picture."""
    caption: bool
    """False to leave out the caption below the panels."""


class Size(NamedTuple):
    """Width and height in inches, None for what the panels need, and size of text in points."""

    width: float | None
    height: float | None
    font_size: float


def size_of(look: Look) -> Size:
    """Return the size that options ask for.

    Raises:
        NnlcError: an option is wrong; the message names it.
    """
    for name in look:
        check_choice("a picture's option", name, tuple(Look.__annotations__))
    preset, font_size = look.get("preset"), look.get("font_size")
    if preset is not None:
        check_choice("preset", preset, get_args(Preset))
    if font_size is None:
        font_size = USUAL_FONT_SIZE if preset is None else _PRESET_FONT_SIZE
    is_number = isinstance(font_size, int | float)
    if not (is_number and LEAST_FONT_SIZE <= font_size <= _MOST_FONT_SIZE):
        raise NnlcError(
            f"font size {font_size!r}: give {LEAST_FONT_SIZE:g} to {_MOST_FONT_SIZE:g} points"
        )
    width = _inches("width", look.get("width") or (_PRESET_WIDTHS[preset] if preset else None))
    least = _LEAST_WIDTH_INCHES * font_size / USUAL_FONT_SIZE
    if width is not None and width < least:
        raise NnlcError(
            f"{width:.2f}in is too narrow for text of {font_size:g} points: give {least:.2f}in or "
            "more, or a smaller font size"
        )
    return Size(width, _inches("height", look.get("height")), font_size)


def _inches(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(rf"([0-9]{{1,6}}(?:\.[0-9]+)?) ?({'|'.join(_INCHES)})", str(text).strip())
    inches = float(found[1]) * _INCHES[found[2]] if found else 0.0
    if not _LEAST_INCHES <= inches <= _MOST_INCHES:
        raise NnlcError(
            f"{name} {str(text)!r}: give a number with its unit, mm, cm or in, such as 89mm or "
            f"3.5in, from {_LEAST_INCHES:g}in to {_MOST_INCHES:g}in"
        )
    return inches
