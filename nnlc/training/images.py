"""The images that networks train on: verified, then read whole into memory. Never downloaded.

Compute nodes have no network, so files are brought beforehand (`nnlc.training.stage`). Whatever
is read here has had its checksum verified before a single byte of it is parsed.
"""

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
    SAMPLE_PATH,
    FilesOf,
    ImageFile,
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
    check_images(facts, section, root)
    images = _source(facts, section).read(section, root)
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
    read: Callable[[DatasetSection, Path], Images]
    """From files that are already verified."""
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


def _read_cifar100(_section: DatasetSection, root: Path) -> Images:
    return Images(*_cifar100_split(root, train=True), *_cifar100_split(root, train=False))


def _cifar100_split(root: Path, train: bool) -> tuple[Pixels, Labels]:
    from torchvision import datasets

    # These files are pickles, which could run any code. They are acceptable only because their
    # md5 pins the content to the published one: check_images verified it, torchvision does again.
    images = datasets.CIFAR100(root, train=train, download=False)
    pixels = images.data.transpose(0, 3, 1, 2)  # torchvision puts the channels last
    return np.ascontiguousarray(pixels), np.array(images.targets, dtype=np.int64)


def _read_fashion_mnist(_section: DatasetSection, root: Path) -> Images:
    raw = root / "FashionMNIST" / "raw"
    return Images(*_fashion_mnist_split(raw, "train"), *_fashion_mnist_split(raw, "t10k"))


def _fashion_mnist_split(raw: Path, split: str) -> tuple[Pixels, Labels]:
    # Not the class FashionMNIST: where an old torchvision left processed/*.pt beside the raw files
    # it would read those instead, and nobody has verified them.
    from torchvision.datasets.mnist import read_image_file, read_label_file

    pixels = read_image_file(str(raw / f"{split}-images-idx3-ubyte")).unsqueeze(1)
    labels = read_label_file(str(raw / f"{split}-labels-idx1-ubyte"))
    return pixels.numpy(), labels.numpy()


def _read_svhn(section: DatasetSection, root: Path) -> Images:
    pixels, labels = _svhn_split(root, "train")
    extra = svhn_extra_images(section)
    if extra != 0:
        more_pixels, more_labels = _svhn_split(root, "extra")
        pixels = _joined(pixels, more_pixels[:extra])
        labels = np.concatenate([labels, more_labels[:extra]])
    validation_pixels, validation_labels = _svhn_split(root, "test")
    return Images(
        train_images=np.ascontiguousarray(pixels),
        train_labels=labels,
        validation_images=np.ascontiguousarray(validation_pixels),
        validation_labels=validation_labels,
    )


def _svhn_split(root: Path, split: str) -> tuple[Pixels, Labels]:
    """Images (N, C, H, W), in the memory order of the .mat file, and labels (N,)."""
    from torchvision import datasets

    images = datasets.SVHN(root, split=split, download=False)
    return images.data, images.labels


def _joined(first: Pixels, second: Pixels) -> Pixels:
    """One C-contiguous array; np.concatenate alone would keep the .mat files' memory order."""
    whole = np.empty((len(first) + len(second), *first.shape[1:]), dtype=np.uint8)
    return np.concatenate([first, second], out=whole)


def _stage_first(_section: DatasetSection, root: Path) -> str:
    return f"run: nnlc stage <campaign> --root {shlex.quote(str(root))}"


def _install_again(_section: DatasetSection, _root: Path) -> str:
    return "this file comes with nnlc: install nnlc again"


def _describe_again(section: DatasetSection, _root: Path) -> str:
    return (
        "bring the right file, or if it was changed on purpose replace the campaign's lines with "
        f"those that this prints: nnlc describe {shlex.quote(str(section.npz))}"
    )


_SOURCES = {
    CIFAR100.name: _Source(cifar100_files, _read_cifar100, _stage_first),
    FASHION_MNIST.name: _Source(fashion_mnist_files, _read_fashion_mnist, _stage_first),
    SVHN.name: _Source(svhn_files, _read_svhn, _stage_first),
    FASHION_MNIST_SAMPLE.name: _Source(
        sample_files, lambda _section, _root: Images(**read_npz(SAMPLE_PATH)), _install_again
    ),
}
_OWN = _Source(
    own_files, lambda section, _root: Images(**read_npz(Path(str(section.npz)))), _describe_again
)
