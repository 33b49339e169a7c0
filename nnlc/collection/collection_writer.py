"""Writing of a collection, whole or not at all."""

import json
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nnlc.collection.campaigns import KeptCampaigns
from nnlc.collection.clashes import MergedTables
from nnlc.collection.journals import Event, Journals
from nnlc.collection.provenance import provenance
from nnlc.collection.sources import Source, check_destination, parent_collection
from nnlc.errors import NnlcError
from nnlc.system.new_folder import new_folder
from nnlc.tables.folder_names import (
    CAMPAIGNS,
    EVENTS,
    JOURNAL,
    PROVENANCE_FILE,
    SAFETENSORS,
    WEIGHTS,
    table_name,
)
from nnlc.tables.record import read_bytes


def write_collection(
    merged: MergedTables,
    folder: Path,
    paths: Sequence[Path],
    journals: Journals,
    campaigns: KeptCampaigns,
    *,
    link: bool = False,
) -> int:
    """Write tables into a new folder, whole or not at all: under another name, then renamed.

    Args:
        merged: the tables.
        folder: the folder of the collection; new or empty.
        paths: paths that the user gave to read.
        journals: journals in these paths.
        campaigns: campaigns of the tables.
        link: True to make hard links instead of copies.

    Returns:
        The number of tables with an event "finish".

    Raises:
        TableError: a table has changed since it was read.
        NnlcError: the folder can't be written, or was made in the meantime.
    """
    recorded = _recorded(merged, journals)
    with new_folder(folder, partial(check_destination, folder, paths)) as temporary:
        for sources in merged.taken.values():
            _write_table(sources[0], temporary, link=link)
            _write_weights(sources, paths, temporary, link=link)
        write_new(temporary / PROVENANCE_FILE, provenance(merged, paths, campaigns.names))
        for name, content in campaigns.contents.items():
            write_new(temporary / CAMPAIGNS / name, content)
        if recorded:
            lines = "".join(json.dumps(event) + "\n" for event in recorded)
            write_new(temporary / JOURNAL / f"finishes{EVENTS}", lines.encode())
    return len(recorded)


def _recorded(merged: MergedTables, journals: Journals) -> list[Event]:
    """Return the last event "finish" of each table, in the order of IDs."""
    found: list[Event] = []
    for _, sources in sorted(merged.taken.items()):
        events = (journals.finish(one.path, one.id, one.sha256) for one in sources)
        found += [event for event in events if event is not None][:1]
    return found


def _write_table(source: Source, collection: Path, *, link: bool) -> None:
    path = collection / source.folder / table_name(source.id)
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
    source.check(read_bytes(path, follow_link=False))


def _write_weights(
    sources: Sequence[Source], paths: Sequence[Path], collection: Path, *, link: bool
) -> None:
    """Copy or link a network's kept weights, if a source has them, for `nnlc.rebuild`."""
    name = f"{sources[0].id}{SAFETENSORS}"
    homes = filter(None, (parent_collection(one.path.parent, paths) for one in sources))
    for weights in (home / WEIGHTS / name for home in homes):
        if weights.is_file() and not weights.is_symlink():
            path = collection / WEIGHTS / name
            path.parent.mkdir(exist_ok=True)
            (os.link if link else shutil.copyfile)(weights, path)
            return


def write_new(path: Path, content: bytes) -> None:
    """Write a new file, and make its folder.

    Raises:
        OSError: the file exists already, or can't be written.
    """
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
