"""The files that images come in: their place below the root, and the checksum each must have.

Places are torchvision's own, so that a folder which torchvision filled can be used as the root.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

from nnlc.campaign import DatasetSection
from nnlc.errors import ImagesError
from nnlc.files import open_regular, read_regular, why_unread

# torchvision only looks whether Fashion-MNIST's files exist, so their content is pinned here.
# Taken from files that, packed as published, have the md5s in torchvision's
# FashionMNIST.resources. Repackaged .gz files (Debian's, say) differ in their headers alone.
FASHION_MNIST_FILES = {
    "train-images-idx3-ubyte": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        47_040_016,
    ),
    "train-labels-idx1-ubyte": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        60_008,
    ),
    "t10k-images-idx3-ubyte": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        7_840_016,
    ),
    "t10k-labels-idx1-ubyte": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        10_008,
    ),
}
"""Name of each uncompressed idx file to its SHA-256 and its size in bytes."""

SAMPLE_PATH = Path(__file__).resolve().parent / "sample" / "fashion_mnist_sample.npz"
SAMPLE_SHA256 = "82b6c61add2a4b94401d9bafc04961169f9979d98f05c5956fb65d00d852b7d3"

SVHN_EXTRA_IMAGES = {"train": 0, "train+extra300000": 300_000, "train+extra": None}
"""How many images of SVHN's `extra` split follow those of `train`; None is all of them."""
SVHN_DEFAULT = "train+extra300000"


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


FilesOf = Callable[[DatasetSection], list[ImageFile]]


def cifar100_files(_section: DatasetSection) -> list[ImageFile]:
    """CIFAR-100's three pickles, out of one archive."""
    from torchvision.datasets import CIFAR100

    published = Published(
        archive=CIFAR100.filename, md5=CIFAR100.tgz_md5, urls=(str(CIFAR100.url),)
    )
    meta = (CIFAR100.meta["filename"], CIFAR100.meta["md5"])
    return [
        ImageFile(
            path=f"{CIFAR100.base_folder}/{name}",
            algorithm="md5",
            checksum=md5,
            published=published,
        )
        for name, md5 in (*CIFAR100.train_list, *CIFAR100.test_list, meta)
    ]


def fashion_mnist_files(_section: DatasetSection) -> list[ImageFile]:
    """Fashion-MNIST's four idx files, uncompressed; each is published as a .gz."""
    from torchvision.datasets import FashionMNIST

    md5s = dict(FashionMNIST.resources)
    return [
        ImageFile(
            path=f"FashionMNIST/raw/{name}",
            algorithm="sha256",
            checksum=sha256,
            size_bytes=size_bytes,
            published=Published(
                archive=f"{name}.gz",
                md5=md5s[f"{name}.gz"],
                urls=tuple(f"{mirror}{name}.gz" for mirror in FashionMNIST.mirrors),
            ),
        )
        for name, (sha256, size_bytes) in FASHION_MNIST_FILES.items()
    ]


def svhn_files(section: DatasetSection) -> list[ImageFile]:
    """SVHN's .mat files, one a split; `extra` (1.3 GB) only where it is trained on."""
    from torchvision.datasets import SVHN

    extra = [] if svhn_extra_images(section) == 0 else ["extra"]
    return [
        ImageFile(
            path=name,
            algorithm="md5",
            checksum=md5,
            published=Published(archive=name, md5=md5, urls=(url,)),
        )
        for url, name, md5 in (SVHN.split_list[split] for split in ("train", "test", *extra))
    ]


def svhn_extra_images(section: DatasetSection) -> int | None:
    """How many images of `extra` are trained on; None is all of them."""
    return SVHN_EXTRA_IMAGES[section.train or SVHN_DEFAULT]


def sample_files(_section: DatasetSection) -> list[ImageFile]:
    """The sample that comes with nnlc."""
    return [ImageFile(path=str(SAMPLE_PATH), algorithm="sha256", checksum=SAMPLE_SHA256)]


def own_files(section: DatasetSection) -> list[ImageFile]:
    """A user's own npz; the campaign file has its checksum."""
    return [ImageFile(path=str(section.npz), algorithm="sha256", checksum=str(section.sha256))]
