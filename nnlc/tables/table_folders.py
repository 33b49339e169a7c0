"""Search for tables in a dataset folder, a results folder or a whole download.

The search follows no symbolic links inside a given folder. Every file or folder that it skips is
returned with the reason.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnlc.errors import NnlcError, TableError
from nnlc.networks.specification import ID_PATTERN
from nnlc.tables.folder_names import IMPORTED_CURVES, PARTS, TABLE
from nnlc.wording import first_few

LEVELS = 2
"""Levels of subfolders to search: a download has results folders, which have dataset folders."""
TABLE_NAME = re.compile(ID_PATTERN.pattern + re.escape(TABLE))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was not read, and the reason."""

    path: Path
    reason: str

    def __str__(self) -> str:
        """Return path and reason, with the path only once."""
        return self.reason if str(self.path) in self.reason else f"{self.path}: {self.reason}"


def skipped_lines(skipped: Sequence[Skipped]) -> list[str]:
    """Return lines for the first few skipped files and folders, and for the number of others."""
    return first_few(skipped, write=lambda one: f"skipped: {one}")


@dataclass(frozen=True, slots=True)
class TableFiles:
    """Files of one folder that must be tables."""

    folder: Path
    names: tuple[str, ...]
    """Sorted file names."""
    whole: bool
    """True for all tables of the folder, False for single files that the user named."""


def find_tables(paths: Iterable[Path]) -> tuple[list[TableFiles], list[Skipped]]:
    """Return the tables at a user's paths, each once, and the files and folders skipped.

    A path is a table, or a folder with tables in it or up to two levels below. A path may be a
    symbolic link; links inside a folder are not followed.

    Raises:
        TableError: a folder has no tables or can't be read.
        NnlcError: a folder has imported curves.
    """
    found: list[TableFiles] = []
    skipped: dict[Path, Skipped] = {}
    seen: set[tuple[Path, str]] = set()
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112  False if the path can't be read
            if is_imported(path):
                raise NnlcError(
                    f"{path}: has curves from a CSV file, but no tables of networks, which are "
                    "needed here; metrics, importance, compare, predict, plot and Benchmark take "
                    "such a folder"
                )
            tables, passed_over = _search(path, LEVELS)
            if not tables:
                example = [one for one in passed_over if one.reason != "hidden"][:1]
                raise TableError(
                    "no table is in this folder or its subfolders; tables are files "
                    "<ID>.txt, such as SVHN_models/2022_01_05_00_00_00_000000.txt"
                    + "".join(f"; {line}" for line in skipped_lines(example)),
                    path=path,
                )
        else:
            tables, passed_over = [TableFiles(path.parent, (path.name,), whole=False)], []
        found += filter(None, (_without_seen(files, seen) for files in tables))
        skipped |= {one.path: one for one in passed_over}
    return found, list(skipped.values())


def is_imported(path: Path) -> bool:
    """Return True for a folder that `nnlc import --csv` wrote."""
    return os.path.isfile(path / IMPORTED_CURVES)  # noqa: PTH113  False if it can't be read


def _without_seen(files: TableFiles, seen: set[tuple[Path, str]]) -> TableFiles | None:
    """Return the files that were not found before under another path; None if there are none."""
    folder = files.folder.resolve()
    names = tuple(name for name in files.names if (folder, name) not in seen)
    seen.update((folder, name) for name in names)
    return TableFiles(files.folder, names, files.whole and names == files.names) if names else None


def _search(folder: Path, levels: int) -> tuple[list[TableFiles], list[Skipped]]:
    names: list[str] = []
    subfolders: list[Path] = []
    skipped: list[Skipped] = []
    for entry in _entries(folder):
        if reason := _reason_to_skip(entry):
            skipped.append(Skipped(folder / entry.name, reason))
        elif entry.is_file(follow_symlinks=False):
            names.append(entry.name)
        else:
            subfolders.append(folder / entry.name)
    found = [TableFiles(folder, tuple(names), whole=True)] if names else []
    for subfolder in subfolders:
        tables, passed_over = _search(subfolder, levels - 1) if levels else ([], [])
        found += tables
        skipped += passed_over if tables else [Skipped(subfolder, "a folder without tables")]
    return found, skipped


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as problem:
        raise TableError(f"can't be read: {problem.strerror}", path=folder) from None
    names = {entry.name for entry in entries}
    parts = set().union(*(parts for file, parts in PARTS.items() if file in names))
    return [entry for entry in entries if entry.name not in parts]


def _reason_to_skip(entry: os.DirEntry[str]) -> str | None:
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "a symbolic link"
    if entry.is_dir(follow_symlinks=False):
        return None
    if not TABLE_NAME.fullmatch(entry.name):
        return "its name is not <ID>.txt"
    return None if entry.is_file(follow_symlinks=False) else "no regular file"
