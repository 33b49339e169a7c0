"""Section `[datasets.NAME]` of a campaign file: an image set and its number of networks."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nnlc.networks import KNOWN_IMAGE_SETS, ImageSet, image_set_of_table
from nnlc.networks.image_sets import KNOWN, OWN_KEYS, check_split, own_image_set
from nnlc.system.toml_file import Layers, did_you_mean

Count = Annotated[int, Field(ge=1)]


def _check_depths(depths: tuple[int, int]) -> tuple[int, int]:
    low, high = depths
    if not 0 <= low <= high:
        raise ValueError("must be [lowest, highest], such as [1, 10]")
    return depths


class Section(BaseModel):
    """Section of a campaign file, which refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSection(Section):
    """Section `[datasets.NAME]`: an image set and its number of networks.

    The folder of its tables is NAME_models.
    """

    networks_per_depth: Annotated[int, Field(ge=0, examples=["10"])]
    """Number of networks of each depth; 0 removes a dataset that the extended campaign has.
    Campaigns of other families than the article's write networks_per_group."""
    depths: Annotated[tuple[int, int], AfterValidator(_check_depths)] = (1, 10)
    """Lowest and highest number of convolutions, from 1 to 100. The campaign has networks of every
    depth from one to the other. Campaigns of other families write groups, by default all."""
    train: Annotated[
        Annotated[str, AfterValidator(check_split)] | None,
        Field(
            json_schema_extra={"enum": [split for each in KNOWN.values() for split in each.splits]}
        ),
    ] = None
    """Training images of an image set that has a choice (SVHN)."""
    npz: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")] | None = None
    """File of images of your own; its path is relative to the campaign file. 'nnlc describe' prints
    this key and those below."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Checksum of the file, 64 hexadecimal digits."""
    channels: Count | None = None
    """Channels of your own images: 1 for grey, 3 for colour."""
    width: Count | None = None
    """Height and width of your own images, in pixels."""
    classes: Count | None = None
    """Number of classes of your own images."""
    train_images: Count | None = None
    """Number of your own training images."""
    validation_images: Count | None = None
    """Number of your own validation images."""
    largest_class: Count | None = None
    """Number of your own validation images with the commonest label; if left out, all labels are
    equally common."""

    def image_set(self, name: str) -> ImageSet:
        """Return the image set of the section `[datasets.NAME]` with this name.

        Raises:
            ValueError: the name is unknown, or keys are missing or contradict each other.
        """
        own = ("sha256", *OWN_KEYS)
        given = [key for key in (*own, "largest_class") if getattr(self, key) is not None]
        if self.npz is None:
            if name not in KNOWN_IMAGE_SETS:
                raise ValueError(
                    f"unknown dataset {name!r}: {did_you_mean(name, KNOWN_IMAGE_SETS)}; for "
                    'images of your own add npz = "FILE.npz" and the keys that '
                    "'nnlc describe FILE.npz' prints"
                )
            if given:
                raise ValueError(f"{given[0]} is only for images of your own, given by npz")
            return KNOWN[name].with_split(self.train)
        is_taken = name in KNOWN and not KNOWN[name].may_be_own
        if image_set_of_table(name) or is_taken or self.train is not None:
            raise ValueError(
                "with npz, choose a name that no known image set has, and leave out train"
            )
        missing = [key for key in own if key not in given]
        if missing:
            raise ValueError(
                f"npz needs {', '.join(missing)} too: 'nnlc describe {self.npz}' prints them"
            )
        return own_image_set(name, self.model_dump())


def with_absolute_npz(
    datasets: dict[str, DatasetSection], layers: Layers
) -> dict[str, DatasetSection]:
    """Return datasets with absolute npz paths; in a file they are relative to that file."""
    found = dict(datasets)
    for name, section in found.items():
        if section.npz is not None:
            path = layers.file_of(["datasets", name, "npz"]).parent / section.npz
            found[name] = section.model_copy(update={"npz": str(path.resolve())})
    return found
