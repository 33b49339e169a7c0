"""The images that networks train on: verified, then read whole into memory. Never downloaded.

Compute nodes have no network, so files are brought beforehand (`nnlc.training.stage`). Whatever
is parsed here are the very bytes whose checksum was taken: no file is opened by its name twice.
"""

from pathlib import Path

from nnlc.campaign.campaign import DatasetSection
from nnlc.errors import ImagesError
from nnlc.networks import ImageSet
from nnlc.training.image_files import ImageFile, WrongFileError
from nnlc.training.image_sources import Images, source_of
from nnlc.training.own_images import SPLITS, describe_npz

__all__ = ["Images", "check_images", "describe_npz", "image_files", "load_images"]


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
        source = source_of(facts, section)
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
        remedy = source_of(facts, section).remedy(section, root)
        raise ImagesError("\n".join([f"the images of {facts.name} can't be used:", *lines, remedy]))


def image_files(facts: ImageSet, section: DatasetSection) -> list[ImageFile]:
    """The files that an image set is read from."""
    return source_of(facts, section).files(section)


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
