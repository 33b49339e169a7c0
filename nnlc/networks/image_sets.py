"""The image sets that networks are generated for: what the sampler must know of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nnlc.errors import SpecError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OWN_FACTS = ("channels", "width", "classes", "train_images", "validation_images")
"""What a campaign must say of images of a user's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """A set of labelled square images, as far as a network's shape depends on it."""

    name: str
    """Name in folders: `<name>_models`. Letters, digits, dot, dash, underscore."""
    table_name: str
    """Value in a table's `dataset` column; no white space."""
    channels: int
    width: int
    """Height and width in pixels."""
    classes: int
    train_images: int
    validation_images: int
    largest_class: int | None = None
    """Validation images of the commonest label; None: as many as of every other."""

    def __post_init__(self) -> None:
        for name in ("name", "table_name"):
            value = getattr(self, name)
            if not NAME_PATTERN.fullmatch(value):
                raise SpecError(
                    f"{name} {value!r} is not usable in a file name: use up to 64 letters, "
                    "digits, dots, dashes and underscores, the first a letter or digit"
                )
        for name in OWN_FACTS:
            if getattr(self, name) < 1:
                raise SpecError(f"image set {self.name}: {name} must be at least 1")

    @property
    def largest_share(self) -> float:
        """Return the accuracy of naming the commonest class always, from 0 to 1."""
        if self.largest_class is None:
            return 1 / self.classes
        return self.largest_class / self.validation_images


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownImages:
    """An image set that nnlc can bring and read, with what is particular to it.

    How its files are read stands in `nnlc.training.image_sources`.
    """

    images: ImageSet
    megabytes: int
    """To download, as the pages say that publish it; 0: it comes with nnlc."""
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where a campaign's key `train` chooses: training images by its value, and megabytes more."""
    default_split: str = ""

    def with_split(self, split: str | None) -> ImageSet:
        """Return the image set with the training images that a campaign has chosen, if it has.

        Raises:
            ValueError: there is no such choice.
        """
        if split is None:
            return self.images
        if split not in self.splits:
            which = ", ".join(name for name, each in KNOWN.items() if split in each.splits)
            raise ValueError(f"train is a choice for {which} only; leave it out")
        return replace(self.images, train_images=self.splits[split][0])


# Sizes as the article prints them (section 2.2). SVHN's `train` split has 73,257 images and
# `extra` 531,131; the printed 373,257 is read as train plus the first 300,000 of extra.
# Megabytes: cs.toronto.edu/~kriz/cifar.html, github.com/zalandoresearch/fashion-mnist,
# ufldl.stanford.edu/housenumbers (train and test; extra has 1,330). Fashion-MNIST is 55 MB once
# unpacked, CIFAR-100 as large as its archive.
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
# Shipped in the package (nnlc/training/sample), so that a first run needs no download.
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
"""By name. A new one is an entry here and one in `nnlc.training.image_sources`."""
KNOWN_IMAGE_SETS = {name: known.images for name, known in KNOWN.items()}


def check_split(split: str) -> str:
    """Return the value of a campaign's key `train`, if some known image set has it.

    Raises:
        ValueError: none has.
    """
    known = [f"'{name}'" for each in KNOWN.values() for name in each.splits]
    if f"'{split}'" not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return split


def comes_with_nnlc(name: str) -> bool:
    """Tell whether the images of this name need no staging, as every installation has them."""
    return name in KNOWN and not KNOWN[name].megabytes


def image_set_of_table(table_name: str) -> ImageSet | None:
    """The known image set whose tables carry `table_name` in their `dataset` column."""
    return next((s for s in KNOWN_IMAGE_SETS.values() if s.table_name == table_name), None)


def own_image_set(name: str, section: Mapping[str, object]) -> ImageSet:
    """Return the image set that a campaign's `[datasets.NAME]` describes.

    Raises:
        SpecError: a fact is missing or no whole number, or makes no sense.
    """
    facts = {key: section.get(key) for key in OWN_FACTS}
    largest = section.get("largest_class")
    whole = {key: value for key, value in facts.items() if type(value) is int}
    if len(whole) < len(facts) or not (largest is None or type(largest) is int):
        raise SpecError(f"image set {name}: {', '.join(OWN_FACTS)} must be whole numbers")
    found = ImageSet(name=name, table_name=name, largest_class=largest, **whole)
    if not 0 < found.largest_share <= 1:
        raise SpecError(f"largest_class = {largest}: there are {found.validation_images} in all")
    return found
