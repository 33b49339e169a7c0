"""Checkpoints: what a network needs to go on at the next step, safe from whatever ends a job.

checkpoints/
  <ID>.<about>.ckpt          the newest, by one renaming; <about> is a digest of what made it
  <ID>.<about>.before.ckpt   the one before, should the newest be damaged
  aside/                     damaged ones, for whoever wants to know why

A file is what `torch.save` writes, and after it the SHA-256 of that as 64 hexadecimal digits. It
is read with `weights_only=True`: numbers and tensors, never code. What the digest in the name
stands for is in the file too: a network that was begun under other settings, versions or on
another device never goes on from there, and its file is left as it is.
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
from nnlc.networks.arithmetic import FIRST
from nnlc.system.files import (
    TEMPORARY_SUFFIX,
    NotAFileError,
    Ready,
    make_folder,
    open_regular,
    write_atomically,
)
from nnlc.system.newer_format import too_new
from nnlc.training.loop import State

FORMAT = 2
"""Raised when something else is kept of a step: older checkpoints are then foreign. When a step's
bits change, only the arithmetic of its networks rises: `nnlc.networks.arithmetic`."""

PAUSES_SECONDS = (1.0, 5.0, 15.0, 40.0)
"""Between looks at what the file system can't show just now."""

_DIGITS = 64  # of a SHA-256


class DamagedError(Exception):
    """A checkpoint that can't be used; the text says why."""


class Head(NamedTuple):
    """What a foreign checkpoint says of itself."""

    path: Path
    differences: list[tuple[str, str, str]]
    """Dotted key, value there and value here, in words."""
    seconds: float
    """How long its network had been trained."""
    nnlc: str | None
    """The version that has written it; 0.1.0 did not say so."""
    arithmetic: str
    """Of its network, when it was trained."""


class Checkpoints:
    """The checkpoints of one network.

    Args:
        folder: where the checkpoints of all networks are.
        id: the network's.
        about: what the network's bits depend on: its specification, the campaign's settings,
            device and versions. Plain values.
        ready: called with a folder before it is written to.
    """

    def __init__(
        self, folder: Path, id: str, about: dict[str, Any], ready: Ready = make_folder
    ) -> None:
        self._folder, self._id, self._ready = folder, id, ready
        text = json.dumps({"format": FORMAT, **about}, sort_keys=True)
        self._about = json.loads(text)  # strings and numbers: torch refuses to read any other
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._newest = folder / f"{id}.{digest}.ckpt"
        self._before = folder / f"{id}.{digest}.before.ckpt"

    def save(self, state: State) -> int:
        """Write a checkpoint; returns its size in bytes.

        Raises:
            OSError: it can't be written. What `load` would have given, it still gives.
        """

        def write(file: IO[bytes]) -> None:
            hashing = _HashingFile(file)
            content = {"about": self._about, "nnlc": __version__, "state": state}
            torch.save(content, cast(IO[bytes], hashing))
            hashing.raise_problem()
            file.write(hashing.digest.hexdigest().encode())

        self._ready(self._folder)
        write_atomically(self._newest, write, keep=self._before)
        return self._newest.stat().st_size

    def load(self) -> tuple[State | None, list[tuple[Path, str]]]:
        """The newest good checkpoint, if any, and what was found wrong: path and reason of each.

        A damaged one is put aside, a foreign one left where it is.

        Raises:
            OSError: one can't be read, again and again, and there is no other, or the folder is
                away: nothing may start over because of that.
        """
        _patiently(lambda: self._ready(self._folder.parent))
        found: State | None = None
        unreadable: OSError | None = None
        there = set(self._folder.glob(f"{self._id}.*.ckpt")) - {self._newest, self._before}
        wrong = [(path, self._how_foreign(path)) for path in sorted(there)]
        for path in (self._newest, self._before):
            try:
                found = _patiently(partial(self._read, path))
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

    def look(self, names: Iterable[str]) -> list[Head] | None:
        """Return what each foreign checkpoint says of itself; None if one is there to go on from.

        That one is not read. A foreign one that can't be read is left out.

        Args:
            names: of all checkpoints of this network.
        """
        paths = {self._folder / name for name in names}
        if paths & {self._newest, self._before}:
            return None
        heads = []
        for path in sorted(paths):
            with contextlib.suppress(OSError, DamagedError):
                heads.append(self._head(path))
        return heads

    def _head(self, path: Path) -> Head:
        if not path.is_file():
            raise DamagedError("no checkpoint of nnlc: it is no regular file")
        content = _unpickled(str(path))  # by its path, as little of a gigabyte is needed
        state, nnlc = content["state"], content.get("nnlc")
        try:
            seconds = float(state["rows"][:, 3].sum()) + float(state["seconds"])
        except (TypeError, KeyError, IndexError, ValueError):  # of another format
            seconds = 0.0
        return Head(
            path,
            self._differences(content),
            seconds,
            nnlc if isinstance(nnlc, str) else None,
            str(content["about"].get("versions.arithmetic", FIRST)),
        )

    def clean(self) -> None:
        """Remove what an interrupted write of this network left behind: it may be large."""
        for path in self._folder.glob(f".{self._id}.*{TEMPORARY_SUFFIX}"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _read(self, path: Path) -> State | None:
        try:
            content = _load(path)
        except FileNotFoundError:
            return None
        if content["about"] != self._about:
            raise DamagedError("it is another network's, or of other settings, under this name")
        return content["state"]  # type: ignore[no-any-return]

    def _how_foreign(self, path: Path) -> str:
        try:
            content = _load(path)
        except (OSError, DamagedError) as problem:
            return f"of other settings, and can't be read: {problem}"
        if newer := too_new(path, content["about"].get("format"), FORMAT, content.get("nnlc")):
            return newer.removeprefix(f"{path}: ")
        for key, there, here in self._differences(content):
            return f"made with another {key}: {there} where this job has {here}"
        return "its file has another name"

    def _differences(self, content: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Return in what a checkpoint is foreign; 0.1.0 did not say the arithmetic: it was 1."""
        first = {"versions.arithmetic": FIRST}
        return list(_differences(first | content["about"], first | self._about))

    def _put_aside(self, path: Path) -> Path:
        aside = self._folder / "aside"
        targets = (aside / f"{path.stem}.{number}.ckpt" for number in count())
        target = next(target for target in targets if not os.path.lexists(target))
        try:
            self._ready(self._folder)
            self._ready(aside)
            path.replace(target)
        except OSError:
            return path  # it is passed over all the same
        return target


def _differences(there: object, here: object, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield where two objects of plain values differ: the dotted key and both values, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**here, **there}:
            if there.get(key) != here.get(key):
                inner = f"{name}.{key}".strip(".")
                yield from _differences(there.get(key), here.get(key), inner)
    else:
        yield name, f"{there!r:.80}", f"{here!r:.80}"


def _patiently(do: Callable[[], State | None]) -> State | None:
    """Ask again for a minute what the file system refuses: to start over would cost more."""
    for pause in PAUSES_SECONDS:
        try:
            return do()
        except OSError:
            time.sleep(pause)
    return do()


class _HashingFile:
    """Passes what `torch.save` writes on to a file and keeps its SHA-256.

    torch can't bear an exception in the middle of writing: what the file system says is kept for
    `raise_problem`, and the rest of the bytes go nowhere.
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
        """Left to whoever owns the file."""

    def raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem


def _check_digest(file: IO[bytes]) -> None:
    """See that a file is whole."""
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
        with open_regular(path) as file:  # once: another job may put a newer one in its place
            _check_digest(file)
            return _unpickled(file)
    except NotAFileError as problem:
        raise DamagedError(f"no checkpoint of nnlc: it {problem.strerror}") from None


def _unpickled(file: str | IO[bytes]) -> dict[str, Any]:
    """Return what a checkpoint holds; tensors of one that is given by its path are read when used.

    Raises:
        DamagedError: it is none.
        OSError, MemoryError: it can't be read.
    """
    try:
        mapped = isinstance(file, str)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, MemoryError, DamagedError):
        raise
    except Exception as problem:  # whatever torch makes of what another program wrote
        first_line = str(problem).split("\n")[0]
        raise DamagedError(f"no checkpoint of nnlc: {first_line}") from None
    if (
        not isinstance(content, dict)
        or not {"about", "state"} <= content.keys()
        or not isinstance(content["about"], dict)
    ):
        raise DamagedError("no checkpoint of nnlc: it has no state")
    return content
