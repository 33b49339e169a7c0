"""Sources of the image sets: the files of each, and the function that reads them.

A new image set needs an entry in `SOURCES` and one in `nnlc.networks.image_sets`. If one of the two
is missing, the import of this module says so.
"""

import io
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnlc.campaign.dataset_section import DatasetSection
from nnlc.networks import ImageSet
from nnlc.networks.image_sets import (
    CIFAR10,
    CIFAR100,
    FASHION_MNIST,
    FASHION_MNIST_SAMPLE,
    KNOWN,
    SVHN,
)
from nnlc.training.image_files import ImageFile, Published
from nnlc.training.own_images import read_npz

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """The pixels (0 to 255) and labels (0 to classes - 1) of an image set, in the files' order."""

    train_images: Pixels
    """(N, C, H, W), C-contiguous."""
    train_labels: Labels
    """(N,)"""
    validation_images: Pixels
    """(N, C, H, W), C-contiguous."""
    validation_labels: Labels
    """(N,)"""


# Names, md5s and addresses below are those of torchvision's datasets; a test compares them.
CIFAR100_ARCHIVE = Published(
    archive="cifar-100-python.tar.gz",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
)
CIFAR10_ARCHIVE = Published(
    archive="cifar-10-python.tar.gz",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
)
CIFAR10_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
CIFAR100_FILES = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
"""md5 of each file of the archive, by its name, as in `CIFAR10_FILES`."""

SVHN_FILES = {
    "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "eb5a983be6a315427106f1b164d9cef3",
    "extra": "a93ce644f1a588dc4d68dda5feec44a7",
}
"""md5 of each split's .mat file."""
SVHN_URL = "http://ufldl.stanford.edu/housenumbers/"

# torchvision only checks that Fashion-MNIST's files exist, so nnlc has checksums of its own. They
# are those of the published .gz files' content. Repackaged .gz files, such as Debian's, differ only
# in their headers.
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
"""SHA-256 and size in bytes of each uncompressed idx file, by its name."""
FASHION_MNIST_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

SAMPLE_PATH = Path(__file__).resolve().parent / "sample" / "fashion_mnist_sample.npz"
SAMPLE_SHA256 = "82b6c61add2a4b94401d9bafc04961169f9979d98f05c5956fb65d00d852b7d3"

SVHN_EXTRA_IMAGES = {"train": 0, "train+extra300000": 300_000, "train+extra": None}
"""Number of images of SVHN's `extra` split that follow those of `train`; None for all."""


def cifar100_files(_section: DatasetSection) -> list[ImageFile]:
    """Return CIFAR-100's three pickle files, which are published in one archive."""
    return _pickles("cifar-100-python", CIFAR100_FILES, CIFAR100_ARCHIVE)


def cifar10_files(_section: DatasetSection) -> list[ImageFile]:
    """Return CIFAR-10's seven pickle files, which are published in one archive."""
    return _pickles("cifar-10-batches-py", CIFAR10_FILES, CIFAR10_ARCHIVE)


def _pickles(folder: str, files: dict[str, str], published: Published) -> list[ImageFile]:
    return [
        ImageFile(path=f"{folder}/{name}", algorithm="md5", checksum=md5, published=published)
        for name, md5 in files.items()
    ]


def fashion_mnist_files(_section: DatasetSection) -> list[ImageFile]:
    """Return Fashion-MNIST's four uncompressed idx files; each is published as a .gz file."""
    return [
        ImageFile(
            path=f"FashionMNIST/raw/{name}",
            algorithm="sha256",
            checksum=sha256,
            size_bytes=size_bytes,
            published=Published(archive=f"{name}.gz", urls=(f"{FASHION_MNIST_URL}{name}.gz",)),
        )
        for name, (sha256, size_bytes) in FASHION_MNIST_FILES.items()
    ]


def svhn_files(section: DatasetSection) -> list[ImageFile]:
    """Return SVHN's .mat files, one for each split; `extra` (1.3 GB) only if it is trained on."""
    extra = [] if svhn_extra_images(section) == 0 else ["extra"]
    names = {split: f"{split}_32x32.mat" for split in ("train", "test", *extra)}
    return [
        ImageFile(
            path=name,
            algorithm="md5",
            checksum=SVHN_FILES[split],
            published=Published(archive=name, urls=(f"{SVHN_URL}{name}",)),
        )
        for split, name in names.items()
    ]


def svhn_extra_images(section: DatasetSection) -> int | None:
    """Return the number of images of `extra` that are trained on; None for all."""
    return SVHN_EXTRA_IMAGES[section.train or KNOWN[SVHN.name].default_split]


def sample_files(_section: DatasetSection) -> list[ImageFile]:
    """Return the file of the sample that comes with nnlc."""
    return [ImageFile(path=str(SAMPLE_PATH), algorithm="sha256", checksum=SAMPLE_SHA256)]


def own_files(section: DatasetSection) -> list[ImageFile]:
    """Return the npz file of the user's own images; the campaign file has its checksum."""
    return [ImageFile(path=str(section.npz), algorithm="sha256", checksum=str(section.sha256))]


@dataclass(frozen=True)
class Source:
    """Functions that list, read and recover the files of an image set.

    Each takes the campaign's `[datasets.NAME]`; paths are the root of the images.
    """

    files: Callable[[DatasetSection], list[ImageFile]]
    read: Callable[[list[ImageFile], DatasetSection, Path], Images]
    """Function that reads the images from these files and verifies checksums."""
    remedy: Callable[[DatasetSection, Path], str]
    """Function that returns advice on missing or damaged files."""


def source_of(image_set: ImageSet, section: DatasetSection) -> Source:
    """Return the source of the images of a campaign's dataset."""
    return OWN if section.npz is not None else SOURCES[image_set.name]


def _content(files: list[ImageFile], name: str, root: Path) -> bytes:
    """Return the content of the file of this name, with its checksum verified."""
    return next(file for file in files if Path(file.path).name == name).read(root)


def _read_cifar100(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    labels = "fine_labels"
    return Images(
        *_cifar_pickle(files, "train", labels, root), *_cifar_pickle(files, "test", labels, root)
    )


def _read_cifar10(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    names = [name for name in CIFAR10_FILES if name.startswith("data_batch_")]
    parts = [_cifar_pickle(files, name, "labels", root) for name in names]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Images(pixels, labels, *_cifar_pickle(files, "test_batch", "labels", root))


def _cifar_pickle(
    files: list[ImageFile], name: str, labels: str, root: Path
) -> tuple[Pixels, Labels]:
    # A pickle can run any code; these bytes are safe to load as their md5 is that of the published
    # file. Python 2 wrote it, hence the encoding.
    batch = pickle.loads(_content(files, name, root), encoding="latin1")  # noqa: S301
    pixels = batch["data"].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(pixels), np.array(batch[labels], dtype=np.int64)


def _read_fashion_mnist(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    return Images(
        *_fashion_mnist_split(files, "train", root), *_fashion_mnist_split(files, "t10k", root)
    )


def _fashion_mnist_split(files: list[ImageFile], split: str, root: Path) -> tuple[Pixels, Labels]:
    """Return pixels and labels from idx files: a header of 16 or 8 bytes, then the values."""
    pixels = np.frombuffer(_content(files, f"{split}-images-idx3-ubyte", root), np.uint8, offset=16)
    labels = np.frombuffer(_content(files, f"{split}-labels-idx1-ubyte", root), np.uint8, offset=8)
    return pixels.reshape(-1, 1, 28, 28).copy(), labels.astype(np.int64)


def _read_svhn(files: list[ImageFile], section: DatasetSection, root: Path) -> Images:
    pixels, labels = _svhn_split(files, "train", root)
    extra = svhn_extra_images(section)
    if extra != 0:
        more_pixels, more_labels = _svhn_split(files, "extra", root)
        parts = (pixels, more_pixels[:extra])
        # C-contiguous; np.concatenate alone keeps the .mat file's order.
        whole = np.empty((sum(map(len, parts)), *pixels.shape[1:]), dtype=np.uint8)
        pixels = np.concatenate(parts, out=whole)
        labels = np.concatenate([labels, more_labels[:extra]])
    validation_pixels, validation_labels = _svhn_split(files, "test", root)
    return Images(
        train_images=np.ascontiguousarray(pixels),
        train_labels=labels,
        validation_images=np.ascontiguousarray(validation_pixels),
        validation_labels=validation_labels,
    )


def _svhn_split(files: list[ImageFile], split: str, root: Path) -> tuple[Pixels, Labels]:
    """Return pixels (N, C, H, W), in the .mat file's memory order, and labels (N,)."""
    import scipy.io

    arrays = scipy.io.loadmat(io.BytesIO(_content(files, f"{split}_32x32.mat", root)))
    labels = arrays["y"].astype(np.int64).reshape(-1)
    return arrays["X"].transpose(3, 2, 0, 1), labels % 10  # 10 stands for the digit 0


def _stage_first(_section: DatasetSection, root: Path) -> str:
    return f"run: nnlc stage <campaign> --root {shlex.quote(str(root))}"


def _describe_again(section: DatasetSection, _root: Path) -> str:
    place = Path(str(section.npz))
    if not place.exists():
        return (
            "copy the file there; or if it was moved, write its new path into the campaign file, "
            "and give that file to the worker, or to 'nnlc verify' with --campaign"
        )
    return (
        "copy the right file there; or if it was changed on purpose, replace the campaign's lines "
        f"with the output of: nnlc describe {shlex.quote(str(place))}"
    )


def _read_npz(files: list[ImageFile], _section: DatasetSection, root: Path) -> Images:
    (file,) = files
    with file.verified(root) as content:
        return Images(**read_npz(content, root / file.path))


SOURCES = {
    CIFAR100.name: Source(cifar100_files, _read_cifar100, _stage_first),
    CIFAR10.name: Source(cifar10_files, _read_cifar10, _stage_first),
    FASHION_MNIST.name: Source(fashion_mnist_files, _read_fashion_mnist, _stage_first),
    SVHN.name: Source(svhn_files, _read_svhn, _stage_first),
    FASHION_MNIST_SAMPLE.name: Source(
        sample_files,
        _read_npz,
        lambda _section, _root: "this file comes with nnlc: install nnlc again",
    ),
}
OWN = Source(own_files, _read_npz, _describe_again)

if missing := sorted(KNOWN.keys() ^ SOURCES.keys()):
    raise TypeError(
        f"{', '.join(missing)}: an image set needs an entry in nnlc/networks/image_sets.py, in "
        "KNOWN, and one in nnlc/training/image_sources.py, in SOURCES"
    )
