"""Where each image set's files come from, and how they are read: a place for each in `SOURCES`.

A new image set is an entry here and one in `nnlc.networks.image_sets`. If either is missing, the
import of this module says so.
"""

import io
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnlc.campaign.campaign import DatasetSection
from nnlc.networks import ImageSet
from nnlc.networks.image_sets import CIFAR100, FASHION_MNIST, FASHION_MNIST_SAMPLE, KNOWN, SVHN
from nnlc.training.image_files import ImageFile, Published
from nnlc.training.own_images import read_npz

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """An image set in memory: pixels 0 to 255, labels 0 to classes - 1, in the files' order."""

    train_images: Pixels
    """(N, C, H, W), C-contiguous."""
    train_labels: Labels
    """(N,)"""
    validation_images: Pixels
    """(N, C, H, W), C-contiguous."""
    validation_labels: Labels
    """(N,)"""


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
    return SVHN_EXTRA_IMAGES[section.train or KNOWN[SVHN.name].default_split]


def sample_files(_section: DatasetSection) -> list[ImageFile]:
    """The sample that comes with nnlc."""
    return [ImageFile(path=str(SAMPLE_PATH), algorithm="sha256", checksum=SAMPLE_SHA256)]


def own_files(section: DatasetSection) -> list[ImageFile]:
    """A user's own npz; the campaign file has its checksum."""
    return [ImageFile(path=str(section.npz), algorithm="sha256", checksum=str(section.sha256))]


@dataclass(frozen=True)
class Source:
    """One kind of files that images come from."""

    files: FilesOf
    read: Callable[[list[ImageFile], DatasetSection, Path], Images]
    """From these files; what an `ImageFile` gives of itself is verified."""
    remedy: Callable[[DatasetSection, Path], str]
    """What to do about files that are missing or damaged."""


def source_of(facts: ImageSet, section: DatasetSection) -> Source:
    """Return where the images of a campaign's dataset come from."""
    return OWN if section.npz is not None else SOURCES[facts.name]


def _content(files: list[ImageFile], name: str, root: Path) -> bytes:
    """Return the verified content of the file of this name."""
    return next(file for file in files if Path(file.path).name == name).read(root)


def _read_cifar100(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    return Images(*_cifar100_split(files, "train", root), *_cifar100_split(files, "test", root))


def _cifar100_split(files: list[ImageFile], split: str, root: Path) -> tuple[Pixels, Labels]:
    # A pickle could run any code. It is acceptable only because the md5 of these very bytes pins
    # them to the published ones. Python 2 wrote them.
    batch = pickle.loads(_content(files, split, root), encoding="latin1")  # noqa: S301
    pixels = batch["data"].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(pixels), np.array(batch["fine_labels"], dtype=np.int64)


def _read_fashion_mnist(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    return Images(
        *_fashion_mnist_split(files, "train", root), *_fashion_mnist_split(files, "t10k", root)
    )


def _fashion_mnist_split(files: list[ImageFile], split: str, root: Path) -> tuple[Pixels, Labels]:
    """Read idx files: a header of 16 or 8 bytes, then the values."""
    pixels = np.frombuffer(_content(files, f"{split}-images-idx3-ubyte", root), np.uint8, offset=16)
    labels = np.frombuffer(_content(files, f"{split}-labels-idx1-ubyte", root), np.uint8, offset=8)
    return pixels.reshape(-1, 1, 28, 28).copy(), labels.astype(np.int64)


def _read_svhn(files: list[ImageFile], section: DatasetSection, root: Path) -> Images:
    pixels, labels = _svhn_split(files, "train", root)
    extra = svhn_extra_images(section)
    if extra != 0:
        more_pixels, more_labels = _svhn_split(files, "extra", root)
        pixels = _joined(pixels, more_pixels[:extra])
        labels = np.concatenate([labels, more_labels[:extra]])
    validation_pixels, validation_labels = _svhn_split(files, "test", root)
    return Images(
        train_images=np.ascontiguousarray(pixels),
        train_labels=labels,
        validation_images=np.ascontiguousarray(validation_pixels),
        validation_labels=validation_labels,
    )


def _svhn_split(files: list[ImageFile], split: str, root: Path) -> tuple[Pixels, Labels]:
    """Images (N, C, H, W), in the memory order of the .mat file, and labels (N,)."""
    import scipy.io

    arrays = scipy.io.loadmat(io.BytesIO(_content(files, f"{split}_32x32.mat", root)))
    labels = arrays["y"].astype(np.int64).reshape(-1)
    return arrays["X"].transpose(3, 2, 0, 1), labels % 10  # 10 stands for the digit 0


def _joined(first: Pixels, second: Pixels) -> Pixels:
    """One C-contiguous array; np.concatenate alone would keep the .mat files' memory order."""
    whole = np.empty((len(first) + len(second), *first.shape[1:]), dtype=np.uint8)
    return np.concatenate([first, second], out=whole)


def _stage_first(_section: DatasetSection, root: Path) -> str:
    return f"run: nnlc stage <campaign> --root {shlex.quote(str(root))}"


def _describe_again(section: DatasetSection, _root: Path) -> str:
    place = Path(str(section.npz))
    if not place.exists():
        return (
            "bring it there; or if it was moved, name its new place in the campaign file, and give "
            "that to the worker, or to 'nnlc verify' with --campaign"
        )
    return (
        "bring the right file, or if it was changed on purpose replace the campaign's lines with "
        f"those that this prints: nnlc describe {shlex.quote(str(place))}"
    )


def _read_npz(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    (file,) = files
    with file.verified(root) as content:
        return Images(**read_npz(content, root / file.path))


SOURCES = {
    CIFAR100.name: Source(cifar100_files, _read_cifar100, _stage_first),
    FASHION_MNIST.name: Source(fashion_mnist_files, _read_fashion_mnist, _stage_first),
    SVHN.name: Source(svhn_files, _read_svhn, _stage_first),
    FASHION_MNIST_SAMPLE.name: Source(
        sample_files,
        _read_npz,
        lambda _section, _root: "this file comes with nnlc: install nnlc again",
    ),
}
OWN = Source(own_files, _read_npz, _describe_again)


def _check_complete() -> None:
    """See that every known image set can be read.

    Raises:
        TypeError: which can't, and where that goes.
    """
    if missing := sorted(KNOWN.keys() ^ SOURCES.keys()):
        raise TypeError(
            f"{', '.join(missing)}: an image set stands in nnlc/networks/image_sets.py, in KNOWN, "
            "and in nnlc/training/image_sources.py, in SOURCES"
        )


_check_complete()
