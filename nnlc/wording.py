"""Numbers of things in sentences that a person reads."""

from collections.abc import Sequence


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Such as "1 network" and "6,000 networks".

    Args:
        number: of things.
        noun: what one of them is called.
        plural: what several are called, where that is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def first_few(lines: Sequence[str], most: int = 10) -> list[str]:
    """Return lines that tell of mistakes, or the first of them and how many more there are."""
    if len(lines) <= most + 1:
        return list(lines)
    return [*lines[:most], f"and {len(lines) - most:,} more"]
