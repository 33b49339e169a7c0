"""Files of a newer nnlc: told by what they say of themselves, and refused in words.

Each format has a number, raised when an older nnlc could no longer use a file, and each file says
beside it which nnlc has written it: that is the one to install.
"""

from pathlib import Path

from nnlc import __version__


def too_new(path: Path, found: object, known: int, made_by: object) -> str | None:
    """Return why a file can't be used, if its format is newer than this nnlc knows; else None.

    Args:
        path: the file.
        found: its format, by its own word.
        known: the newest format that this nnlc knows.
        made_by: the version that has written it, by its own word.
    """
    if type(found) is not int or found <= known:
        return None
    return f"{path}: has format {found}, and this nnlc knows none above {known}; {install(made_by)}"


def install(made_by: object) -> str:
    """Return what to do about a file that this nnlc does not understand."""
    if version_numbers(made_by):
        return f"nnlc {made_by} has written it: install that or a later one (this is {__version__})"
    return f"use the nnlc that has written it (this is {__version__})"


def is_newer(made_by: object, than: str | None = None) -> bool:
    """Tell whether a version of nnlc is a later one than another, by default this."""
    return version_numbers(made_by) > version_numbers(than or __version__)


def version_numbers(version: object) -> list[int]:
    """Return the numbers of a version such as 0.2.0; none for what is no version."""
    parts = version.split(".") if isinstance(version, str) else []
    if not 1 < len(parts) < 5:
        return []
    is_version = all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts)
    return [int(part) for part in parts] if is_version else []
