"""Tables in the given paths, and findings on other files and folders there."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nnlc.auditing.findings import Finding, make_finding, shown
from nnlc.auditing.rule_list import Severity
from nnlc.errors import NnlcError, TableError
from nnlc.networks.columns import TRAINING_COLUMNS
from nnlc.system.files import open_regular
from nnlc.tables.columns import FIRST_COLUMNS
from nnlc.tables.folder_names import CAMPAIGN_FILE, PART_NAMES, PROVENANCE_FILE
from nnlc.tables.table_folders import LEVELS, TABLE_NAME, TableFiles, find_tables

_HEAD = " ".join(c.name for c in (*FIRST_COLUMNS, *TRAINING_COLUMNS)).encode()
"""Beginning of every table's header, which identifies a table with a wrong name."""


@dataclass(slots=True)
class GivenPaths:
    """Content of the given paths."""

    files: list[TableFiles] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    results_folders: list[Path] = field(default_factory=list)
    """Results folders, which have a campaign.toml."""

    def add(self, rule: str, path: Path, found: str, right: str = "") -> None:
        """Add a finding of the rule with this name."""
        self.findings.append(make_finding(rule, path, found, right))


def look_at_paths(paths: Iterable[Path]) -> GivenPaths:
    """Find tables as `load_tables` does, but continue after files that can't be read.

    Raises:
        NnlcError: a path does not exist.
    """
    places = GivenPaths()
    seen: set[tuple[Path, str]] = set()
    for path in dict.fromkeys(paths):
        if not os.path.lexists(path):
            raise NnlcError(f"{shown(path)}: there is nothing of this name")
        folders, findings = len(places.results_folders), len(places.findings)
        found = _find(path, LEVELS, places)
        if not found and len(places.results_folders) == folders:
            _forget_notes(places, findings)
            places.add(
                "no-tables",
                path,
                "no table is here",
                "files <ID>.txt in the folder, in a folder of it, or in one of theirs",
            )
        for files in found:
            folder = files.folder.resolve()
            names = tuple(name for name in files.names if (folder, name) not in seen)
            seen.update((folder, name) for name in names)
            if names:
                places.files.append(TableFiles(files.folder, names, files.whole))
    places.results_folders = list(
        {one.resolve(): one for one in reversed(places.results_folders)}.values()
    )
    return places


def _forget_notes(places: GivenPaths, since: int) -> None:
    """Remove the notes after the first `since` findings, for a path without tables."""
    latest = places.findings[since:]
    places.findings[since:] = [one for one in latest if one.severity > Severity.NOTE]


def _find(path: Path, levels: int, places: GivenPaths) -> list[TableFiles]:
    """Return the tables of a path that can be read, and add findings on other files."""
    if os.path.isdir(path):  # noqa: PTH112  False if the path can't be read
        _add_results_folders(path, levels, places)
    elif os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  as above
        places.add("special-file", path, "no regular file", "a regular file")
        return []
    try:
        found, skipped = find_tables([path])
    except TableError:
        return _find_part(path, levels, places)
    for one in skipped:
        _tell_skipped(one.path, places)
    return found


def _find_part(folder: Path, levels: int, places: GivenPaths) -> list[TableFiles]:
    """Return the tables of a folder that `find_tables` refused."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  names are wanted
    except OSError as problem:
        places.add("unreadable", folder, f"can't be read: {problem.strerror}", "a readable folder")
        return []
    has_parts = {CAMPAIGN_FILE, PROVENANCE_FILE} & set(names)
    found: list[TableFiles] = []
    tables = []
    for name in names:
        path = folder / name
        kind = _kind(path)
        if has_parts and name in PART_NAMES:
            continue
        if levels and kind == stat.S_IFDIR and not name.startswith("."):
            found += _find(path, levels - 1, places)
        elif kind == stat.S_IFREG and TABLE_NAME.fullmatch(name):
            tables.append(name)
        else:
            _tell_skipped(path, places)
    return [*([TableFiles(folder, tuple(tables), whole=True)] if tables else []), *found]


def _kind(path: Path) -> int | None:
    """Return the file type in `stat`'s constants, links not followed; None if unknown."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return None


def _add_results_folders(path: Path, levels: int, places: GivenPaths) -> None:
    """Add the results folder at this path, or the results folders in it."""
    file = path / CAMPAIGN_FILE
    try:
        if file.is_symlink():
            places.add("symbolic-link", file, "a symbolic link", "a regular file")
        elif file.is_file():
            places.results_folders.append(path)
        elif os.path.lexists(file):
            places.add("special-file", file, "no regular file", "the file that nnlc wrote")
        elif levels:
            with os.scandir(path) as entries:
                folders = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
            for name in folders:
                if not name.startswith("."):
                    _add_results_folders(path / name, 0, places)
    except OSError:
        return  # `_find` adds the finding


def _tell_skipped(path: Path, places: GivenPaths) -> None:
    """Add a finding on a file or folder that is no table."""
    if path.name.startswith("."):
        places.add("hidden-file", path, "hidden", "")
        return
    kind = _kind(path)
    if kind is None:
        places.add("unreadable", path, "can't be looked at", "a readable file")
    elif kind == stat.S_IFLNK:
        places.add("symbolic-link", path, "a symbolic link", "the table itself")
    elif kind == stat.S_IFDIR:
        places.add("foreign-file", path, "a folder without tables", "")
    elif kind != stat.S_IFREG:
        places.add("special-file", path, "no regular file", "a regular file")
    elif _looks_like_table(path):
        places.add("misnamed-table", path, "a table that is not named after its ID", "<ID>.txt")
    else:
        places.add("foreign-file", path, "no table", "")


def _looks_like_table(path: Path) -> bool:
    try:
        with open_regular(path, follow_link=False) as file:
            return file.read(len(_HEAD)) == _HEAD
    except OSError:
        return False
