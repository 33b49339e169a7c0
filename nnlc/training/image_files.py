"""The files that images come in: their place below the root, and the checksum each must have.

Places are torchvision's own, so that a folder which torchvision filled can be used as the root.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

from nnlc.errors import ImagesError
from nnlc.system.files import open_regular, read_regular, why_unread

_LARGEST = 2 << 30
"""Bytes; the largest published file has 1.3 GB. What is larger has another checksum anyway."""


class WrongFileError(ImagesError):
    """A file of images is missing, or its checksum is another; the message begins with the path."""


@contextmanager
def unchanged(file: BufferedReader, path: Path) -> Iterator[None]:
    """See that an open file stays as it is while its checksum is taken and it is parsed.

    Raises:
        ImagesError: something was written to it meanwhile.
    """
    before = os.fstat(file.fileno())
    yield
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ImagesError(
            f"{path}: was changed while it was read; start again once nothing writes to it"
        )


@dataclass(frozen=True, kw_only=True)
class Published:
    """How a file is published: the name and md5 to download, which may hold several files."""

    archive: str
    md5: str
    urls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One file that images are read from."""

    path: str
    """Below the root, or absolute for a file that doesn't depend on it."""
    algorithm: Literal["md5", "sha256"]
    checksum: str
    size_bytes: int | None = None
    published: Published | None = None
    """None: it comes with nnlc or from the user, and is never staged."""

    def problem(self, root: Path) -> str | None:
        """What is wrong with the file below `root`, or None; it is read, but not parsed."""
        try:
            with open_regular(root / self.path) as file:
                return self._problem_of_open(file)
        except OSError as problem:
            return _trouble(problem)

    def read(self, root: Path) -> bytes:
        """Return the file's content, whose checksum was taken.

        Raises:
            WrongFileError: it can't be read, or is another file.
        """
        try:
            content = read_regular(root / self.path, most=_LARGEST)
        except OSError as problem:
            raise WrongFileError(f"{root / self.path} {_trouble(problem)}") from None
        if wrong := self.problem_of(content):
            raise WrongFileError(f"{root / self.path} {wrong}")
        return content

    @contextmanager
    def verified(self, root: Path) -> Iterator[BufferedReader]:
        """Open the file, take its checksum and give it to be parsed, for files of any size.

        Raises:
            WrongFileError: as from `read`.
            ImagesError: it was written to meanwhile.
        """
        path = root / self.path
        try:
            opened = open_regular(path)
        except OSError as problem:
            raise WrongFileError(f"{path} {_trouble(problem)}") from None
        with opened as file, unchanged(file, path):
            try:
                wrong = self._problem_of_open(file)
            except OSError as problem:
                wrong = _trouble(problem)
            if wrong:
                raise WrongFileError(f"{path} {wrong}")
            file.seek(0)
            yield file

    def problem_of(self, content: bytes) -> str | None:
        """What is wrong with this content for the file, or None."""
        digest = self._hash()
        digest.update(content)
        return self._difference(digest.hexdigest(), len(content))

    def _problem_of_open(self, file: BufferedReader) -> str | None:
        digest = hashlib.file_digest(file, self._hash)
        return self._difference(digest.hexdigest(), file.tell())

    def _hash(self) -> Any:
        # md5 is all that torchvision pins. It tells damage and, since forging a file for a given
        # md5 is still out of reach, a foreign file too; the flag is for FIPS machines.
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def _difference(self, checksum: str, size_bytes: int) -> str | None:
        if self.size_bytes is not None and size_bytes < self.size_bytes:
            return f"is truncated: {size_bytes:,} of {self.size_bytes:,} bytes"
        if checksum != self.checksum:
            return (
                f"is damaged or another file: its checksum differs, {self.algorithm} of its "
                f"{size_bytes:,} bytes is {checksum} and should be {self.checksum}"
            )
        return None


def _trouble(problem: OSError) -> str:
    """Return what a file system's refusal means, to be read after the path."""
    is_missing = isinstance(problem, FileNotFoundError | NotADirectoryError)
    return "is missing" if is_missing else why_unread(problem)
