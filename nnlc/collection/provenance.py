"""`provenance.csv`: where each table of a collection was before it came into any.

A line for each table and each place it stood in: `id`, `dataset`, `folder` (in the collection),
`sha256`, `source`. Sources begin with the name of the folder that was given to be read, or as much
of its path as tells it from the others, so that nothing depends on the machine; what was in a
collection already keeps the source that this tells.
"""

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nnlc.collection.clashes import Merger
from nnlc.collection.sources import Source, home_of
from nnlc.errors import NnlcError
from nnlc.system.text_file import read_text
from nnlc.tables.table_folders import PROVENANCE_FILE

COLUMNS = ("id", "dataset", "folder", "sha256", "source")
_LONGEST_SOURCE = 4096
_Told = dict[tuple[str, str], list[str]]
"""Sources by ID and sha256."""


def provenance(merger: Merger, paths: Sequence[Path]) -> bytes:
    """The file for these tables, sorted.

    Args:
        merger: the tables.
        paths: what was given to be read.
    """
    told = _Provenances(paths)
    rows = {
        (id_, one.dataset, sources[0].folder, one.sha256, source)
        for id_, sources in merger.taken.items()
        for one in sources
        for source in told.sources(one)
    }
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return text.getvalue().encode("utf-8", "backslashreplace")


class _Provenances:
    """What the collections among the given paths tell of their tables."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths, self._names = paths, _names(paths)
        self._told: dict[Path, _Told] = {}

    def sources(self, table: Source) -> list[str]:
        """Where this table was first of all, as far as anything tells."""
        folder = table.path.parent
        if folder not in self._told:
            home = home_of(folder, self._paths)
            self._told[folder] = _read(home / PROVENANCE_FILE) if home else {}
        return self._told[folder].get((table.id, table.sha256)) or list(self._place(table.path))

    def _place(self, table: Path) -> Iterator[str]:
        for path, name in self._names:
            if table.is_relative_to(path):
                yield str(name / table.relative_to(path))
                return


def _names(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each folder that was given, and the end of its path that tells it from the others."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    absolute = {f: Path(os.path.abspath(f)).parts for f in folders}  # noqa: PTH100  links keep names
    several = set(absolute.values())
    count = 1
    while len({parts[-count:] for parts in several}) < len(several):
        count += 1
    return [(folder, Path(*parts[1:][-count:])) for folder, parts in absolute.items()]


def _read(path: Path) -> _Told:
    """What a file tells; nothing where it is none of ours."""
    told: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    if path.is_symlink() or not path.is_file():
        return {}
    with suppress(NnlcError, csv.Error):
        for row in csv.DictReader(io.StringIO(read_text(path)), strict=True):
            source = row.get("source") or ""
            is_text = source.isprintable() and 0 < len(source) <= _LONGEST_SOURCE
            if tuple(row) == COLUMNS and is_text:
                told[row["id"], row["sha256"]].append(source)
    return dict(told)
