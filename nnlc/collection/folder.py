"""Writing a collection: all of it or nothing."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from nnlc.collection.clashes import Merger
from nnlc.collection.journals import FOLDER, Event, Journals
from nnlc.collection.provenance import provenance
from nnlc.collection.sources import Source, check_destination
from nnlc.errors import NnlcError
from nnlc.files import TEMPORARY_SUFFIX, sync_folder
from nnlc.tables.folders import PROVENANCE_FILE
from nnlc.tables.reading import read_content

_SYNCING = 16
"""Threads that wait for the disk."""


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
    with _new_folder(folder, paths) as temporary:
        written = [_write_table(one, temporary, link=link) for one in merger.firsts]
        written += [_write(temporary / PROVENANCE_FILE, provenance(merger, paths))]
        if recorded:
            lines = "".join(json.dumps(event) + "\n" for event in recorded)
            written += [_write(temporary / FOLDER / "finishes.jsonl", lines.encode())]
        # After all were written, and many at once, so that the disk takes them together.
        with ThreadPoolExecutor(_SYNCING) as threads:
            list(threads.map(_sync, written))
        for parent in {path.parent for path in written}:
            sync_folder(parent)
    return len(recorded)


def _recorded(merger: Merger, journals: Journals) -> list[Event]:
    """For each table, in the order of IDs, the last event that says how it was finished."""
    found: list[Event] = []
    for _, sources in sorted(merger.taken.items()):
        events = (journals.finish(one.path, one.id, one.sha256) for one in sources)
        found += [event for event in events if event is not None][:1]
    return found


@contextmanager
def _new_folder(folder: Path, paths: Sequence[Path]) -> Iterator[Path]:
    """A folder beside that becomes this one in the end; without a trace where that fails."""
    place = Path(os.path.abspath(folder))  # noqa: PTH100  a link in its place is none of ours
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        temporary.mkdir()
        yield temporary
        check_destination(folder, paths)
        temporary.rename(place)
        sync_folder(place.parent)
    except OSError as problem:
        raise NnlcError(f"{folder}: can't be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_table(source: Source, collection: Path, *, link: bool) -> Path:
    path = collection / source.folder / f"{source.id}.txt"
    if not link:
        return _write(path, source.content())
    path.parent.mkdir(exist_ok=True)
    try:
        os.link(source.path.resolve() if source.is_link else source.path, path)
    except OSError as problem:
        raise NnlcError(
            f"{source.path}: can't be linked into {collection.parent}: {problem.strerror}; "
            "leave out --link to have copies"
        ) from None
    content, _ = read_content(str(path), follow_link=False)
    source.check(content)
    return path


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
