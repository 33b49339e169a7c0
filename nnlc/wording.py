"""Counts and lists in messages."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

Mistake = TypeVar("Mistake")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as "1 network" or "6,000 networks".

    Args:
        number: the count.
        noun: the noun in the singular.
        plural: the noun in the plural; default the singular with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def all_of(number: int, noun: str) -> str:
    """Return all things with their verb, such as "all 16 tables are" or "the only table is"."""
    return f"the only {noun} is" if number == 1 else f"all {number:,} {noun}s are"


def first_few(
    mistakes: Sequence[Mistake], most: int = 10, write: Callable[[Mistake], str] = str
) -> list[str]:
    """Return one line per mistake for the first few, and a last line with the number of others.

    Args:
        mistakes: all mistakes.
        most: number of lines before the last one.
        write: returns the line for a mistake.
    """
    if len(mistakes) <= most + 1:
        return list(map(write, mistakes))
    return [*map(write, mistakes[:most]), f"and {len(mistakes) - most:,} more"]


def some_of(names: Collection[str], most: int) -> str:
    """Return the first `most` names, separated by commas, and the number of others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def duration(seconds: float) -> str:
    """Return seconds in words, in a unit that fits."""
    for least, unit, name in ((3, 86_400, "days"), (2, 3600, "hours"), (2, 60, "minutes")):
        if seconds >= least * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:.{0 if seconds >= 10 else 1}f} seconds"


def printable(text: str) -> str:
    """Return the text with a question mark for each unprintable character."""
    return "".join(c if c.isprintable() else "?" for c in text)


def one_line(text: str, most: int = 200) -> str:
    """Return a text of other code as one printable line of at most `most` characters."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def exception_words(problem: BaseException) -> str:
    """Return class and text of an exception of other code as one printable line."""
    try:
        text = str(problem)
    except BaseException:  # even str() may raise anything here
        text = "(no text)"
    return one_line(f"{type(problem).__name__}: {text}")


def reason_of(problem: Exception) -> str:
    """Return an exception's message on one short line, or its class if the message is empty."""
    return " ".join(str(problem).split())[:200] or type(problem).__name__
