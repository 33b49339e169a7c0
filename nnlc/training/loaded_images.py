"""Loading of images: checksums are verified, then whole image sets are read into memory.

Nothing is downloaded: compute nodes have no network, so `nnlc.training.stage` brings the files. No
file is opened twice, so that the bytes that are parsed are those whose checksum was verified.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnlc.campaign.campaign import Campaign
from nnlc.campaign.dataset_section import DatasetSection
from nnlc.console import say_aside
from nnlc.errors import ImagesError
from nnlc.networks import ImageSet
from nnlc.training.image_files import ImageFile, WrongFileError
from nnlc.training.image_sources import Images, source_of
from nnlc.training.own_images import SPLITS, image_shapes

__all__ = ["Images", "check_images", "image_files", "load_images", "warn_of_own_images"]


def load_images(image_set: ImageSet, section: DatasetSection, root: Path) -> Images:
    """Read an image set into memory, once the checksums of its files are verified.

    Args:
        image_set: names and sizes that the images must have.
        section: the campaign's `[datasets.NAME]`; `npz`, if given, is an absolute path.
        root: the folder of staged images, in torchvision's layout.

    Raises:
        ImagesError: a file is missing or damaged, or sizes differ; the message says what to do.
    """
    try:
        source = source_of(image_set, section)
        images = source.read(source.files(section), section, root)
    except WrongFileError as problem:
        check_images(image_set, section, root)  # names every wrong file, and what to do
        raise ImagesError(f"{problem}; it was changed just now: start again") from None
    _check_shapes(image_set, images, section.npz or root)
    return images


def check_images(image_set: ImageSet, section: DatasetSection, root: Path) -> None:
    """Check that every file of an image set is there with the right checksum.

    Of the user's own images, the headers are read for their shapes, and nothing else is parsed.

    Raises:
        ImagesError: the files that are missing or damaged, and the command to run; or a shape
            differs from the campaign's.
    """
    files = image_files(image_set, section)
    problems = [(file, file.problem(root)) for file in files]
    lines = [f"  {root / file.path} {problem}" for file, problem in problems if problem]
    if lines:
        remedy = source_of(image_set, section).remedy(section, root)
        raise ImagesError(
            "\n".join([f"the images of {image_set.name} can't be used:", *lines, remedy])
        )
    if section.npz is not None:
        _check_own(image_set, section.npz)


@contextmanager
def staged_by(campaign: str) -> Iterator[None]:
    """Write a campaign's name or file into the command that an ImagesError gives."""
    try:
        yield
    except ImagesError as problem:
        raise ImagesError(str(problem).replace("<campaign>", shlex.quote(campaign))) from None


def warn_of_own_images(campaign: Campaign) -> None:
    """Warn of each file of the user's own images that is missing or has other shapes."""
    for name, image_set in campaign.image_sets().items():
        if npz := campaign.datasets[name].npz:
            try:
                _check_own(image_set, npz)
            except ImagesError as problem:
                say_aside(f"warning: {problem}")


def image_files(image_set: ImageSet, section: DatasetSection) -> list[ImageFile]:
    """Return the files that an image set is read from."""
    return source_of(image_set, section).files(section)


def _check_own(image_set: ImageSet, npz: str) -> None:
    for split, shape in image_shapes(Path(npz)).items():
        _check_shape(image_set, split, shape, npz)


def _check_shape(image_set: ImageSet, split: str, shape: tuple[int, ...], where: object) -> None:
    size = image_set.train_images if split == SPLITS[0] else image_set.validation_images
    right = (size, image_set.channels, image_set.width, image_set.width)
    if shape != right:
        raise ImagesError(
            f"{where}: array {split}_images has shape {shape}, but the campaign's "
            f"[datasets.{image_set.name}] means {right}; make the two agree"
        )


def _check_shapes(image_set: ImageSet, images: Images, where: str | Path) -> None:
    for split in SPLITS:
        labels = getattr(images, f"{split}_labels")
        _check_shape(image_set, split, getattr(images, f"{split}_images").shape, where)
        if labels.min() < 0 or labels.max() >= image_set.classes:
            raise ImagesError(
                f"{where}: array {split}_labels has labels from {labels.min()} to {labels.max()}, "
                f"but with {image_set.classes} classes in the campaign's "
                f"[datasets.{image_set.name}] they must be 0 to {image_set.classes - 1}; make the "
                "two agree"
            )
