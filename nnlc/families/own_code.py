"""Messages on exceptions that the code of a user's own family raised."""

import importlib
import sys
import traceback

import nnlc
from nnlc.wording import exception_words

_NOT_OF_FAMILIES = ("<frozen ", *importlib.__path__, *nnlc.__path__)
"""Beginnings of names of files that import or call a family's code."""


def what_was_raised(family: object, problem: BaseException) -> str:
    """Return kind, text and place of an exception that a family's code raised.

    The place is the innermost line of the module that defines the family, if it is among them.

    Args:
        family: the family, or its class.
        problem: the exception.
    """
    return raised_within(_file_of(family), problem)


def has_own_line(family: object, problem: BaseException) -> bool:
    """Return True if an exception came through the module that defines a family."""
    file = _file_of(family)
    frames = traceback.extract_tb(problem.__traceback__)
    return any(frame.filename == file for frame in frames)


def raised_within(place: str, problem: BaseException) -> str:
    """Return kind, text and place of an exception; no place if only nnlc's lines are known.

    Args:
        place: a file; or a folder, with / at its end, whose files are looked for before others, but
            for nnlc's; "" if unknown.
        problem: the exception.
    """
    frames = traceback.extract_tb(problem.__traceback__)
    others = [frame for frame in frames if not frame.filename.startswith(_NOT_OF_FAMILIES)]
    among = others if place.endswith("/") else frames
    own = [frame for frame in among if place and frame.filename.startswith(place)] or others[-1:]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return exception_words(problem) + where


def _file_of(family: object) -> str:
    kind = family if isinstance(family, type) else type(family)
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
