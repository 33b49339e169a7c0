"""Image sets: their names and sizes, on which networks depend; no pixels."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nnlc.errors import NnlcError, SpecError, check_kind
from nnlc.wording import first_few

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OWN_KEYS = ("channels", "width", "classes", "train_images", "validation_images")
"""Keys that a campaign must give for the user's own images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """A set of labelled square images: its names and sizes, without the pixels."""

    name: str
    """Name in campaigns and folders (`<name>_models`): letters, digits, dot, dash, underscore."""
    table_name: str
    """Value in a table's `dataset` column; no white space."""
    channels: int
    width: int
    """Height and width in pixels."""
    classes: int
    train_images: int
    validation_images: int
    largest_class: int | None = None
    """Number of validation images with the commonest label; None if all are equally common."""

    def __post_init__(self) -> None:
        for name in ("name", "table_name"):
            value = getattr(self, name)
            if not NAME_PATTERN.fullmatch(value):
                raise SpecError(
                    f"{name} {value!r} is not usable in a file name: use up to 64 letters, "
                    "digits, dots, dashes and underscores, the first a letter or digit"
                )
        for name in OWN_KEYS:
            if getattr(self, name) < 1:
                raise SpecError(f"image set {self.name}: {name} must be at least 1")

    @property
    def majority_share(self) -> float:
        """Validation accuracy of always predicting the commonest class, from 0 to 1."""
        if self.largest_class is None:
            return 1 / self.classes
        return self.largest_class / self.validation_images


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownImages:
    """An image set that nnlc can download and read.

    `nnlc.training.image_sources` has the code that reads its files.
    """

    images: ImageSet
    megabytes: int
    """Size of the download, as its publisher states it; 0 if the images come with nnlc."""
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Number of training images, and further megabytes, for each value of the key `train`."""
    default_split: str = ""
    """Value of the key `train` if a campaign does not give it."""
    may_be_own: bool = False
    """True if a campaign may have images of its own of this name, as nnlc learned the name late."""

    def with_split(self, split: str | None) -> ImageSet:
        """Return the image set with the training images that a campaign's key `train` chooses.

        Raises:
            ValueError: this image set has no split of that name.
        """
        if split is None:
            return self.images
        if split not in self.splits:
            which = ", ".join(name for name, each in KNOWN.items() if split in each.splits)
            raise ValueError(f"train is for {which} only; leave it out")
        return replace(self.images, train_images=self.splits[split][0])


# Sizes are those of the article (section 2.2), which has no CIFAR-10. SVHN's `train` split has
# 73,257 images and `extra` 531,131; we read the article's 373,257 as train plus the first 300,000
# of extra.
# Megabytes: cs.toronto.edu/~kriz/cifar.html, github.com/zalandoresearch/fashion-mnist,
# ufldl.stanford.edu/housenumbers (train and test; extra has 1,330). Fashion-MNIST is 55 MB once
# unpacked, CIFAR-10 and CIFAR-100 as large as their archives.
_SVHN_SPLITS = {
    "train+extra300000": (373_257, 1330),
    "train": (73_257, 0),
    "train+extra": (604_388, 1330),
}
SVHN_TRAIN_IMAGES = {split: images for split, (images, _) in _SVHN_SPLITS.items()}

CIFAR100 = ImageSet(
    name="CIFAR-100",
    table_name="CIFAR100",
    channels=3,
    width=32,
    classes=100,
    train_images=50_000,
    validation_images=10_000,
)
CIFAR10 = ImageSet(
    name="CIFAR-10",
    table_name="CIFAR10",
    channels=3,
    width=32,
    classes=10,
    train_images=50_000,
    validation_images=10_000,
)
FASHION_MNIST = ImageSet(
    name="F-MNIST",
    table_name="FashionMNIST",
    channels=1,
    width=28,
    classes=10,
    train_images=60_000,
    validation_images=10_000,
)
SVHN = ImageSet(
    name="SVHN",
    table_name="SVHN",
    channels=3,
    width=32,
    classes=10,
    train_images=SVHN_TRAIN_IMAGES["train+extra300000"],
    validation_images=26_032,
    largest_class=5_099,  # the digit 1
)
# Part of the package (nnlc/training/sample), so that a first run needs no download.
FASHION_MNIST_SAMPLE = ImageSet(
    name="F-MNIST-sample",
    table_name="FashionMNIST-sample",
    channels=1,
    width=28,
    classes=10,
    train_images=4_000,
    validation_images=1_000,
)

KNOWN = {
    each.images.name: each
    for each in (
        KnownImages(images=CIFAR100, megabytes=169),
        KnownImages(images=CIFAR10, megabytes=163, may_be_own=True),
        KnownImages(images=FASHION_MNIST, megabytes=30),
        KnownImages(
            images=SVHN,
            megabytes=182 + 64,
            splits=_SVHN_SPLITS,
            default_split="train+extra300000",
        ),
        KnownImages(images=FASHION_MNIST_SAMPLE, megabytes=0),
    )
}
"""Known image sets by name. A new one needs an entry here and in `nnlc.training.image_sources`."""
KNOWN_IMAGE_SETS = {name: known.images for name, known in KNOWN.items()}


def check_split(split: str) -> str:
    """Return a campaign's value of `train` if some known image set has a split of that name.

    Raises:
        ValueError: no image set has such a split.
    """
    known = [f"'{name}'" for each in KNOWN.values() for name in each.splits]
    if f"'{split}'" not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return split


def comes_with_nnlc(name: str) -> bool:
    """Return True if the images of this name come with nnlc, so that nothing has to be staged."""
    return name in KNOWN and not KNOWN[name].megabytes


def image_set_of_table(table_name: str) -> ImageSet | None:
    """Return the known image set with this name in the `dataset` column of tables, or None."""
    return next((s for s in KNOWN_IMAGE_SETS.values() if s.table_name == table_name), None)


def shown_name(table_name: str) -> str:
    """Return a dataset's name on all screens, which is that of campaigns and folders.

    Args:
        table_name: value of a column `dataset`, such as FashionMNIST for F-MNIST.
    """
    images = image_set_of_table(table_name)
    return images.name if images else table_name


def dataset_among(name: str, values: Iterable[str]) -> str:
    """Return the value of a column `dataset` that a user's name stands for.

    Args:
        name: the value itself, or the name on screens.
        values: values in the column.

    Raises:
        NnlcError: none of the values has this name, or it is no text.
    """
    check_kind("dataset", name, str, "the name of a dataset")
    names = {shown_name(value): value for value in values}
    if name in names.values():
        return name
    if name not in names:
        raise NnlcError(
            f"no table is of dataset {name!r}; there are "
            f"{', '.join(first_few(sorted(filter(None, names)))) or 'none'}"
        )
    return names[name]


def own_image_set(name: str, section: Mapping[str, object]) -> ImageSet:
    """Return the image set that a campaign's `[datasets.NAME]` describes.

    Raises:
        SpecError: a key is missing, is no whole number, or is out of range.
    """
    largest = section.get("largest_class")
    whole = {key: value for key in OWN_KEYS if type(value := section.get(key)) is int}
    if len(whole) < len(OWN_KEYS) or not (largest is None or type(largest) is int):
        raise SpecError(f"image set {name}: {', '.join(OWN_KEYS)} must be whole numbers")
    found = ImageSet(name=name, table_name=name, largest_class=largest, **whole)
    if not 0 < found.majority_share <= 1:
        raise SpecError(
            f"largest_class = {largest}: there are {found.validation_images} validation images"
        )
    return found


def makes_even_batches(batch_size: int, train_images: int) -> bool:
    """Return True if the batches of an epoch are an even, positive number (article, Fig. 3b)."""
    batches = train_images // batch_size
    return batches > 0 and batches % 2 == 0
