"""What was read from a folder's tables, kept in the user's cache directory for the next time.

A table is taken from here only while its file has the size, times and inode that it had when it
was read. Whatever is wrong with the cache, the tables are read instead.
"""

import hashlib
import itertools
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from nnlc import __version__
from nnlc.system.files import folder_of_user, open_regular, write_atomically
from nnlc.tables.columns import HEADER
from nnlc.tables.fast_parsing import Curve, Metadata

FORMAT = f"1, nnlc {__version__}, {HEADER}"
"""The number is raised when a table would be read otherwise."""
FEWEST_TABLES = 50
"""Fewer are read as fast from their own files."""
MOST_FOLDERS = 64
"""Of so many folders the cache keeps what was read; the longest unread goes first."""
_SETTLED_NANOSECONDS = 3_000_000_000
"""A file that is younger could change once more within the grain of its times."""


class Stamp(NamedTuple):
    """What changes when a file does."""

    size: int
    modified: int
    """Nanoseconds, as the next."""
    changed: int
    """Unlike `modified`, nobody can set it back."""
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_settled(self, now: int) -> bool:
        """Whether a change after `now`, in nanoseconds, would give another stamp."""
        return now - max(self.modified, self.changed) > _SETTLED_NANOSECONDS


@dataclass(frozen=True, slots=True)
class Kept:
    """A table as it was read, and the stamp that its file had."""

    stamp: Stamp
    metadata: Metadata
    curve: Curve


class FolderCache:
    """The cache of one folder of tables."""

    def __init__(self, folder: Path) -> None:
        directory = folder_of_user("XDG_CACHE_HOME", ".cache")
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
        self._path = directory / "tables" / f"{name}.npz" if directory else None

    def load(self) -> dict[str, Kept]:
        """What is kept, by the name of the table's file; nothing where there is any trouble."""
        if self._path is None:
            return {}
        try:
            kept = _read(self._path)
            os.utime(self._path)
        except Exception:  # whatever numpy, zipfile and orjson find wrong with a strange file
            return {}
        return kept

    def store(self, kept: Mapping[str, Kept]) -> None:
        """Keep this, and nothing else, of the folder."""
        # JSON has no infinity: a network that has one is read anew each time.
        kept = {name: one for name, one in kept.items() if math.inf not in one.metadata}
        if self._path is None or len(kept) < FEWEST_TABLES:
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._path, kept)
            _make_room(self._path.parent)


def _write(path: Path, kept: Mapping[str, Kept]) -> None:
    texts = {
        "format": FORMAT,
        "names": list(kept),
        "stamps": [tuple(one.stamp) for one in kept.values()],
        "lengths": [len(one.curve) for one in kept.values()],
        "metadata": list(zip(*(one.metadata for one in kept.values()), strict=True)),
    }
    encoded = np.frombuffer(orjson.dumps(texts), dtype=np.uint8)
    curves = np.concatenate([one.curve for one in kept.values()])
    write_atomically(path, lambda file: np.savez(file, texts=encoded, curves=curves))


def _read(path: Path) -> dict[str, Kept]:
    """What `_write` wrote: zip's own checksums are compared.

    Raises:
        Exception: of many kinds, where the file is another one or damaged.
    """
    with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
        texts, curves = orjson.loads(arrays["texts"].tobytes()), arrays["curves"]
    if texts["format"] != FORMAT:
        return {}
    columns = [map(tuple, c) if isinstance(c[0], list) else c for c in texts["metadata"]]
    ends = np.cumsum(texts["lengths"]).tolist()
    parts = map(curves.__getitem__, map(slice, [0, *ends], ends))
    stamps = itertools.starmap(Stamp, texts["stamps"])
    kept = map(Kept, stamps, zip(*columns, strict=True), parts)
    return dict(zip(texts["names"], kept, strict=True))


def _make_room(directory: Path) -> None:
    files = sorted(directory.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
    for path in files[:-MOST_FOLDERS]:
        path.unlink(missing_ok=True)
