"""Files of image sets: path below the image root, checksum and published archive of each.

Paths are those of torchvision, so that a folder filled by torchvision can be the root.
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
"""Maximum size in bytes of a file to read; the largest published file has 1.3 GB."""


class WrongFileError(ImagesError):
    """An image file is missing or has a wrong checksum; the message begins with its path."""


@contextmanager
def unchanged(file: BufferedReader, path: Path) -> Iterator[None]:
    """Check that an open file does not change while its checksum is taken and it is parsed.

    Raises:
        ImagesError: something was written to the file meanwhile.
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
    """A published archive or file: its name and addresses. It may hold several image files."""

    archive: str
    urls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One file that images are read from."""

    path: str
    """Path below the root; absolute for files that are elsewhere."""
    algorithm: Literal["md5", "sha256"]
    checksum: str
    size_bytes: int | None = None
    published: Published | None = None
    """Archive to download; None for files of nnlc or of the user, which are never staged."""

    def problem(self, root: Path) -> str | None:
        """Return a text for what is wrong with the file below `root`, or None.

        The whole file is read for its checksum, but not parsed.
        """
        try:
            with open_regular(root / self.path) as file:
                return self._problem_of_open(file)
        except OSError as problem:
            return trouble_of(problem)

    def read(self, root: Path) -> bytes:
        """Return the file's content, with its checksum verified.

        Raises:
            WrongFileError: the file can't be read, or its checksum differs.
        """
        try:
            content = read_regular(root / self.path, most=_LARGEST)
        except OSError as problem:
            raise WrongFileError(f"{root / self.path} {trouble_of(problem)}") from None
        if wrong := self.problem_of(content):
            raise WrongFileError(f"{root / self.path} {wrong}")
        return content

    @contextmanager
    def verified(self, root: Path) -> Iterator[BufferedReader]:
        """Open a file of any size for parsing, with its checksum verified.

        Raises:
            WrongFileError: the file can't be read, or its checksum differs.
            ImagesError: something was written to the file meanwhile.
        """
        path = root / self.path
        try:
            opened = open_regular(path)
        except OSError as problem:
            raise WrongFileError(f"{path} {trouble_of(problem)}") from None
        with opened as file, unchanged(file, path):
            try:
                wrong = self._problem_of_open(file)
            except OSError as problem:
                wrong = trouble_of(problem)
            if wrong:
                raise WrongFileError(f"{path} {wrong}")
            file.seek(0)
            yield file

    def problem_of(self, content: bytes) -> str | None:
        """Return a text for what is wrong with this content of the file, or None."""
        digest = self._hash()
        digest.update(content)
        return self._difference(digest.hexdigest(), len(content))

    def _problem_of_open(self, file: BufferedReader) -> str | None:
        digest = hashlib.file_digest(file, self._hash)
        return self._difference(digest.hexdigest(), file.tell())

    def _hash(self) -> Any:
        # Of some files only the md5 is known. It detects damage and other files, as nobody can yet
        # make a file for a given md5. Machines in FIPS mode need the flag.
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def _difference(self, checksum: str, size_bytes: int) -> str | None:
        if self.size_bytes is not None and size_bytes < self.size_bytes:
            return f"is truncated: {size_bytes:,} of {self.size_bytes:,} bytes"
        if checksum != self.checksum:
            return (
                f"is damaged or another file: its checksum differs, {self.algorithm} of its "
                f"{size_bytes:,} bytes is {checksum} instead of {self.checksum}"
            )
        return None


def trouble_of(problem: OSError) -> str:
    """Return a text for an error of the file system, to follow the path."""
    is_missing = isinstance(problem, FileNotFoundError | NotADirectoryError)
    return "is missing" if is_missing else why_unread(problem)
