"""Refusal of files of a newer nnlc, with the version to install.

Each format has a number, which is raised when an older nnlc can no longer use such files. Each file
contains this number and the version of nnlc that wrote it.
"""

from pathlib import Path

from nnlc import __version__


def too_new(path: Path, found: object, known: int, made_by: object) -> str | None:
    """Return why a file can't be used if its format is newer than this nnlc knows, else None.

    Args:
        path: the file.
        found: format number in the file.
        known: newest format number that this nnlc knows.
        made_by: version of nnlc in the file.
    """
    if type(found) is not int or found <= known:
        return None
    advice = install_advice(made_by)
    return f"{path}: has format {found}, but this nnlc knows formats up to {known}; {advice}"


def install_advice(made_by: object) -> str:
    """Return which nnlc to install for a file that this version doesn't understand."""
    if version_numbers(made_by):
        return f"nnlc {made_by} has written it: install that or a later one (this is {__version__})"
    return f"use the nnlc that has written it (this is {__version__})"


def is_newer(made_by: object, than: str | None = None) -> bool:
    """Return True if a version of nnlc is newer than another, by default this one."""
    return version_numbers(made_by) > version_numbers(than or __version__)


def version_numbers(version: object) -> list[int]:
    """Return the numbers of a version such as "0.2.0"; none if it is not a version."""
    parts = version.split(".") if isinstance(version, str) else []
    if not 1 < len(parts) < 5:
        return []
    is_version = all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts)
    return [int(part) for part in parts] if is_version else []
