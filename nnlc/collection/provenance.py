"""`provenance.csv`: the original source of each table of a collection.

The file has a line for each source of each table: `id`, `dataset`, `folder` (in the collection),
`sha256`, `source`, `campaign`. A source is a path that begins with the name of the folder that the
user gave, so that it is the same on every machine; given folders with the same name are told apart
by the names of their parents. A table from another collection keeps the sources listed there.
`campaign` is the name of the table's file in `campaigns/`, or "".
"""

import csv
import io
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path

from nnlc.collection.clashes import MergedTables
from nnlc.collection.sources import parent_collection
from nnlc.tables.campaign_files import provenance_rows

COLUMNS = ("id", "dataset", "folder", "sha256", "source", "campaign")
_FORMER_COLUMNS = COLUMNS[:5]
_LONGEST_SOURCE = 4096
_Sources = dict[tuple[str, str], list[str]]
"""Sources by ID and sha256."""


def provenance(merged: MergedTables, paths: Sequence[Path], campaigns: Mapping[str, str]) -> bytes:
    """Return the content of the file, sorted.

    Args:
        merged: the tables.
        paths: paths that the user gave to read.
        campaigns: names of the kept campaigns' files, by ID.
    """
    names = _names(paths)
    read = cache(partial(_read_beside, paths))
    rows = {
        (id_, one.dataset, sources[0].folder, one.sha256, source, campaigns.get(id_, ""))
        for id_, sources in merged.taken.items()
        for one in sources
        for source in read(one.path.parent).get((id_, one.sha256)) or _named(one.path, names)
    }
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _names(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return each folder that the user gave, with the shortest unique end of its path."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    absolute = {f: Path(os.path.abspath(f)).parts for f in folders}  # noqa: PTH100  links keep names
    several = set(absolute.values())
    count = 1
    while len({parts[-count:] for parts in several}) < len(several):
        count += 1
    return [(folder, Path(*parts[1:][-count:])) for folder, parts in absolute.items()]


def _named(table: Path, names: list[tuple[Path, Path]]) -> list[str]:
    """Return a table's path, beginning with the name of the folder that the user gave."""
    inside = ((path, name) for path, name in names if table.is_relative_to(path))
    return [str(name / table.relative_to(path)) for path, name in islice(inside, 1)]


def _read_beside(paths: Sequence[Path], folder: Path) -> _Sources:
    """Return the sources in a collection's provenance.csv; none if nnlc did not write it."""
    sources: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    collection = parent_collection(folder, paths)
    if collection is None:
        return {}
    for row in provenance_rows(collection):
        source = row.get("source") or ""
        is_text = source.isprintable() and 0 < len(source) <= _LONGEST_SOURCE
        if tuple(row) in (COLUMNS, _FORMER_COLUMNS) and is_text:
            sources[row["id"], row["sha256"]].append(source)
    return dict(sources)
