"""Numbers of things in sentences that a person reads."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

Mistake = TypeVar("Mistake")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Such as "1 network" and "6,000 networks".

    Args:
        number: of things.
        noun: what one of them is called.
        plural: what several are called, where that is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def first_few(
    mistakes: Sequence[Mistake], most: int = 10, write: Callable[[Mistake], str] = str
) -> list[str]:
    """Return lines that tell of mistakes, or the first of them and how many more there are.

    Args:
        mistakes: of which there may be very many.
        most: lines.
        write: gives the line of one; those that are not told are not written.
    """
    if len(mistakes) <= most + 1:
        return list(map(write, mistakes))
    return [*map(write, mistakes[:most]), f"and {len(mistakes) - most:,} more"]


def some_of(names: Collection[str], most: int) -> str:
    """Return the first of many names on one line, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def printable(text: str) -> str:
    """Return a text with a question mark for whatever no terminal shows."""
    return "".join(c if c.isprintable() else "?" for c in text)


def reason_of(problem: Exception) -> str:
    """Return what another library's exception says, in one short line; its kind if it is mute."""
    return " ".join(str(problem).split())[:200] or type(problem).__name__
