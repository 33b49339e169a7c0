"""Checkpoints: the state of a training between two steps, from which a later job resumes.

checkpoints/
  <ID>.<about>.ckpt          the newest, renamed into place; <about> is a digest of its origin
  <ID>.<about>.before.ckpt   the one before, in case the newest is damaged
  aside/                     damaged checkpoints, kept for inspection

The origin is everything that the bits of a table depend on: network, settings, versions, device. It
is in the file too. A training resumes only from a checkpoint of its own origin; other checkpoints
of the network are foreign, and are not touched.

A file is the output of `torch.save`, followed by its SHA-256 as 64 hexadecimal digits. It is read
with `weights_only=True`: numbers and tensors, never code.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch

from nnlc import __version__
from nnlc.families.arithmetic import FIRST
from nnlc.system.files import (
    TEMPORARY_SUFFIX,
    NotAFileError,
    PrepareFolder,
    make_folder,
    open_regular,
    write_atomically,
)
from nnlc.system.newer_format import too_new
from nnlc.tables.folder_names import ASIDE, CHECKPOINT
from nnlc.training.loop import State

FORMAT = 2
"""Version of the file's content. If the content changes, raise this version: older checkpoints
become foreign. If bits change, raise only the arithmetic of the networks concerned:
`nnlc.families.arithmetic`."""

PAUSES_SECONDS = (1.0, 5.0, 15.0, 40.0)
"""Pauses before further attempts to read, if the file system refuses."""
_DIGITS = 64  # of a SHA-256


class DamagedError(Exception):
    """A checkpoint can't be used; the text says why."""


class ForeignCheckpoint(NamedTuple):
    """A checkpoint of a network under other settings or versions, or from another device."""

    path: Path
    differences: list[tuple[str, str, str]]
    """Dotted key, its value in the checkpoint, and its value here, as text."""
    seconds: float
    """Seconds for which its network had been trained."""
    nnlc: str | None
    """Version of nnlc that wrote the checkpoint; None for 0.1.0, which did not record it."""
    arithmetic: str
    """Arithmetic of the network when it was trained."""


class Checkpoints:
    """The checkpoints of one network.

    Args:
        folder: the folder with the checkpoints of all networks.
        id: the network's ID.
        about: the origin, as values of JSON: specification, the campaign's settings, versions,
            device.
        ready: called with a folder before it is written to.
    """

    def __init__(
        self, folder: Path, id: str, about: dict[str, Any], ready: PrepareFolder = make_folder
    ) -> None:
        self._folder, self._id, self._ready = folder, id, ready
        text = json.dumps({"format": FORMAT, **about}, sort_keys=True)
        self.about = json.loads(text)  # torch.load refuses other types
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._newest = folder / f"{id}.{digest}{CHECKPOINT}"
        self._before = folder / f"{id}.{digest}.before{CHECKPOINT}"

    def save(self, state: State) -> int:
        """Write a checkpoint and return its size in bytes.

        Raises:
            OSError: the checkpoint can't be written; `load` still returns the checkpoint before it.
        """

        def write(file: IO[bytes]) -> None:
            hashing = _HashingFile(file)
            content = {"about": self.about, "nnlc": __version__, "state": state}
            torch.save(content, cast(IO[bytes], hashing))
            hashing.raise_problem()
            file.write(hashing.digest.hexdigest().encode())

        self._ready(self._folder)
        write_atomically(self._newest, write, keep=self._before)
        return self._newest.stat().st_size

    def load(self) -> tuple[State | None, list[tuple[Path, str]]]:
        """Return the newest usable checkpoint or None, and the paths of unusable ones with reasons.

        Damaged checkpoints are moved to `aside`; foreign ones stay where they are.

        Raises:
            OSError: the folder, or the only checkpoint, can't be read for a minute. The training
                must not start from the beginning because of that.
        """
        _retried(lambda: self._ready(self._folder.parent))
        found: State | None = None
        unreadable: OSError | None = None
        there = set(self._folder.glob(f"{self._id}.*{CHECKPOINT}")) - {self._newest, self._before}
        wrong = [(path, self._why_foreign(path)) for path in sorted(there)]
        for path in (self._newest, self._before):
            try:
                found = _retried(partial(self._read, path))
            except DamagedError as problem:
                wrong.append((self._put_aside(path), str(problem)))
            except OSError as problem:
                unreadable = problem
                wrong.append((path, f"can't be read: {problem.strerror}"))
            if found is not None:
                break
        if found is None and unreadable is not None:
            raise unreadable
        return found, wrong

    def foreign(self, names: Iterable[str]) -> list[ForeignCheckpoint] | None:
        """Return the network's foreign checkpoints, or None if it can resume from another one.

        Checkpoints that can't be read are left out. The one to resume from is not read.

        Args:
            names: file names of all checkpoints of this network.
        """
        paths = {self._folder / name for name in names}
        if paths & {self._newest, self._before}:
            return None
        foreign = []
        for path in sorted(paths):
            with contextlib.suppress(OSError, DamagedError):
                foreign.append(self._read_foreign(path))
        return foreign

    def _read_foreign(self, path: Path) -> ForeignCheckpoint:
        if not path.is_file():
            raise DamagedError("no checkpoint of nnlc: it is no regular file")
        content = _unpickled(str(path))  # given a path, torch maps the tensors and reads few bytes
        state, nnlc = content["state"], content.get("nnlc")
        try:
            seconds = float(state["rows"][:, 3].sum()) + float(state["seconds"])
        except (TypeError, KeyError, IndexError, ValueError):  # of another format
            seconds = 0.0
        return ForeignCheckpoint(
            path,
            self._differences(content),
            seconds,
            nnlc if isinstance(nnlc, str) else None,
            str(content["about"].get("versions.arithmetic", FIRST)),
        )

    def clean(self) -> None:
        """Remove the temporary files of interrupted writes of this network: they may be large."""
        for path in self._folder.glob(f".{self._id}.*{TEMPORARY_SUFFIX}"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _read(self, path: Path) -> State | None:
        try:
            content = _load(path)
        except FileNotFoundError:
            return None
        if content["about"] != self.about:
            raise DamagedError("its content belongs to another network or settings than its name")
        return content["state"]  # type: ignore[no-any-return]

    def _why_foreign(self, path: Path) -> str:
        try:
            content = _load(path)
        except (OSError, DamagedError) as problem:
            return f"made with other settings, and can't be read: {problem}"
        newer = too_new(path, content["about"].get("format"), FORMAT, content.get("nnlc"))
        why = newer.removeprefix(f"{path}: ") if newer else self.why_other(content)
        return why or "its file has been renamed"

    def why_other(self, content: dict[str, Any]) -> str:
        """Return how the origin in a file's content differs from this network's, or ""."""
        for key, there, here in self._differences(content):
            return f"made with another {key}: {there} where this job has {here}"
        return ""

    def _differences(self, content: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Return the differences between a checkpoint's origin and this network's origin."""
        # Checkpoints of 0.1.0 don't name their arithmetic, which was the first.
        first = {"versions.arithmetic": FIRST}
        return list(_differences(first | content["about"], first | self.about))

    def _put_aside(self, path: Path) -> Path:
        aside = self._folder / ASIDE
        targets = (aside / f"{path.stem}.{number}{CHECKPOINT}" for number in count())
        target = next(target for target in targets if not os.path.lexists(target))
        try:
            self._ready(self._folder)
            self._ready(aside)
            path.replace(target)
        except OSError:
            return path  # it is ignored all the same
        return target


def _differences(there: object, here: object, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the differences of two objects of JSON: dotted key and both values, as text."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**here, **there}:
            if there.get(key) != here.get(key):
                inner = f"{name}.{key}".strip(".")
                yield from _differences(there.get(key), here.get(key), inner)
    else:
        yield name, f"{there!r:.80}", f"{here!r:.80}"


def _retried(do: Callable[[], State | None]) -> State | None:
    """Return the result of `do`, which is called again for a minute while it raises OSError."""
    for pause in PAUSES_SECONDS:
        try:
            return do()
        except OSError:
            time.sleep(pause)
    return do()


class _HashingFile:
    """A file for `torch.save` that computes the SHA-256 of the bytes written.

    `torch.save` aborts on exceptions from `write`: so the first OSError is kept for
    `raise_problem`, and later bytes are dropped.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self._problem: OSError | None = None

    def write(self, data: bytes) -> int:
        if self._problem is None:
            try:
                self._file.write(data)
            except OSError as problem:
                self._problem = problem
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file's owner flushes it."""

    def raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem


def _check_digest(file: IO[bytes]) -> None:
    """Raise DamagedError unless a file ends in the checksum of its content."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _DIGITS))
    written = file.read()
    file.seek(0)
    digest = hashlib.sha256()
    left = size - _DIGITS
    while left > 0 and (data := file.read(min(left, 1 << 20))):
        digest.update(data)
        left -= len(data)
    if digest.hexdigest().encode() != written:
        raise DamagedError("damaged: its checksum is not that of its content")
    file.seek(0)


def _load(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:  # opened once: another job may replace it meanwhile
            _check_digest(file)
            return _unpickled(file)
    except NotAFileError as problem:
        raise DamagedError(f"no checkpoint of nnlc: it {problem.strerror}") from None


def _unpickled(file: str | IO[bytes]) -> dict[str, Any]:
    """Return the content of a checkpoint.

    Args:
        file: an open file, or a path, from which tensors are read only when they are used.

    Raises:
        DamagedError: the file is no checkpoint.
        OSError, MemoryError: it can't be read.
    """
    try:
        mapped = isinstance(file, str)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, MemoryError, DamagedError):
        raise
    except Exception as problem:  # torch raises many kinds for files of other programs
        first_line = str(problem).split("\n")[0]
        raise DamagedError(f"no checkpoint of nnlc: {first_line}") from None
    if (
        not isinstance(content, dict)
        or not {"about", "state"} <= content.keys()
        or not isinstance(content["about"], dict)
    ):
        raise DamagedError("no checkpoint of nnlc: it has no state")
    return content
