"""The images that networks train on: verified, then read whole into memory. Never downloaded.

Compute nodes have no network, so files are brought beforehand (`nnlc.training.stage`). Whatever
is parsed here are the very bytes whose checksum was taken: no file is opened by its name twice.
"""

import io
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnlc.campaign import DatasetSection
from nnlc.errors import ImagesError
from nnlc.networks import ImageSet
from nnlc.networks.imagesets import CIFAR100, FASHION_MNIST, FASHION_MNIST_SAMPLE, SVHN
from nnlc.training.imagefiles import (
    FilesOf,
    ImageFile,
    WrongFileError,
    cifar100_files,
    fashion_mnist_files,
    own_files,
    sample_files,
    svhn_extra_images,
    svhn_files,
)
from nnlc.training.ownimages import SPLITS, describe_npz, read_npz

__all__ = ["Images", "check_images", "describe_npz", "image_files", "load_images"]

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


def load_images(facts: ImageSet, section: DatasetSection, root: Path) -> Images:
    """Read an image set into memory, once the checksums of its files are verified.

    Args:
        facts: what the networks were made for; the images must be just so.
        section: the campaign's choices for this dataset; its npz, if any, as an absolute path.
        root: the folder of staged images, in torchvision's layout.

    Raises:
        ImagesError: a file is missing, damaged, or not what `facts` say; and what to do.
    """
    try:
        source = _source(facts, section)
        images = source.read(source.files(section), section, root)
    except WrongFileError as problem:
        check_images(facts, section, root)  # names all that is wrong, and what to do
        raise ImagesError(f"{problem}; it was changed just now: start again") from None
    _check_facts(facts, images, section.npz or root)
    return images


def check_images(facts: ImageSet, section: DatasetSection, root: Path) -> None:
    """Verify that every file is there with the right checksum, without parsing any.

    Raises:
        ImagesError: which files are missing or damaged, and the command that mends it.
    """
    files = image_files(facts, section)
    problems = [(file, file.problem(root)) for file in files]
    lines = [f"  {root / file.path} {problem}" for file, problem in problems if problem]
    if lines:
        remedy = _source(facts, section).remedy(section, root)
        raise ImagesError("\n".join([f"the images of {facts.name} can't be used:", *lines, remedy]))


def image_files(facts: ImageSet, section: DatasetSection) -> list[ImageFile]:
    """The files that an image set is read from."""
    return _source(facts, section).files(section)


@dataclass(frozen=True)
class _Source:
    """One kind of files that images come from."""

    files: FilesOf
    read: Callable[[list[ImageFile], DatasetSection, Path], Images]
    """From these files; what an `ImageFile` gives of itself is verified."""
    remedy: Callable[[DatasetSection, Path], str]
    """What to do about files that are missing or damaged."""


def _source(facts: ImageSet, section: DatasetSection) -> _Source:
    return _OWN if section.npz is not None else _SOURCES[facts.name]


def _check_facts(facts: ImageSet, images: Images, where: str | Path) -> None:
    sizes = (facts.train_images, facts.validation_images)
    for split, size in zip(SPLITS, sizes, strict=True):
        pixels = getattr(images, f"{split}_images")
        labels = getattr(images, f"{split}_labels")
        right = (size, facts.channels, facts.width, facts.width)
        if pixels.shape != right:
            raise ImagesError(
                f"{where}: array {split}_images has shape {pixels.shape}, but the campaign's "
                f"[datasets.{facts.name}] means {right}; make the two agree"
            )
        if labels.min() < 0 or labels.max() >= facts.classes:
            raise ImagesError(
                f"{where}: array {split}_labels has labels from {labels.min()} to {labels.max()}, "
                f"but with {facts.classes} classes in the campaign's [datasets.{facts.name}] they "
                f"must be 0 to {facts.classes - 1}; make the two agree"
            )


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


_SOURCES = {
    CIFAR100.name: _Source(cifar100_files, _read_cifar100, _stage_first),
    FASHION_MNIST.name: _Source(fashion_mnist_files, _read_fashion_mnist, _stage_first),
    SVHN.name: _Source(svhn_files, _read_svhn, _stage_first),
    FASHION_MNIST_SAMPLE.name: _Source(
        sample_files,
        _read_npz,
        lambda _section, _root: "this file comes with nnlc: install nnlc again",
    ),
}
_OWN = _Source(own_files, _read_npz, _describe_again)
