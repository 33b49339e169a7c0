"""Writing a collection: all of it or nothing."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nnlc.collection.clashes import Merger
from nnlc.collection.journals import FOLDER, Event, Journals
from nnlc.collection.provenance import provenance
from nnlc.collection.sources import Source, check_destination
from nnlc.errors import NnlcError
from nnlc.system.new_folder import new_folder
from nnlc.tables.table_folders import PROVENANCE_FILE
from nnlc.tables.table_reading import read_bytes


def write_collection(
    merger: Merger,
    folder: Path,
    paths: Sequence[Path],
    journals: Journals,
    *,
    link: bool = False,
) -> int:
    """Write tables into a new folder, whole or not at all: under another name, then renamed.

    Args:
        merger: the tables.
        folder: the collection's; new or empty.
        paths: what was given to be read.
        journals: of these paths.
        link: hard links in place of copies.

    Returns:
        How many of the tables have an event that says how they were finished.

    Raises:
        TableError: a table is no longer what was read.
        NnlcError: the folder can't be written, or something stands there by now.
    """
    recorded = _recorded(merger, journals)
    with new_folder(folder, partial(check_destination, folder, paths)) as temporary:
        for one in merger.firsts:
            _write_table(one, temporary, link=link)
        write_new(temporary / PROVENANCE_FILE, provenance(merger, paths))
        if recorded:
            lines = "".join(json.dumps(event) + "\n" for event in recorded)
            write_new(temporary / FOLDER / "finishes.jsonl", lines.encode())
    return len(recorded)


def _recorded(merger: Merger, journals: Journals) -> list[Event]:
    """For each table, in the order of IDs, the last event that says how it was finished."""
    found: list[Event] = []
    for _, sources in sorted(merger.taken.items()):
        events = (journals.finish(one.path, one.id, one.sha256) for one in sources)
        found += [event for event in events if event is not None][:1]
    return found


def _write_table(source: Source, collection: Path, *, link: bool) -> None:
    path = collection / source.folder / f"{source.id}.txt"
    if not link:
        write_new(path, source.content())
        return
    path.parent.mkdir(exist_ok=True)
    try:
        os.link(source.path.resolve() if source.is_link else source.path, path)
    except OSError as problem:
        raise NnlcError(
            f"{source.path}: can't be linked into {collection.parent.parent}: {problem.strerror}; "
            "leave out --link to have copies"
        ) from None
    content, _ = read_bytes(path, follow_link=False)
    source.check(content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that does not stand yet, and make its folder.

    Raises:
        OSError: it stands, or can't be written.
    """
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
