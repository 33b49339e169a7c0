"""The campaign file: what to generate, on which images, and how to train it.

A campaign is TOML. `extends = "NAME or path"` takes another campaign and replaces only what this
file says, table by table. Whatever is wrong is refused with file, key, and what would be right.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nnlc.console import say_once
from nnlc.errors import CampaignError, NnlcError
from nnlc.networks import (
    KNOWN_IMAGE_SETS,
    MAX_DEPTH,
    MAX_NETWORKS,
    ImageSet,
    NetworkSpec,
    SearchSpace,
    image_set_of_table,
    network_id,
    network_seed,
    sample_network,
)
from nnlc.networks.image_sets import KNOWN, NAME_PATTERN, OWN_KEYS, check_split, own_image_set
from nnlc.networks.recipe import TrainingSection
from nnlc.system.toml_file import Layers, did_you_mean, find_file, read_layers, validate

Count = Annotated[int, Field(ge=1)]
Minutes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_depths(depths: tuple[int, int]) -> tuple[int, int]:
    low, high = depths
    if not 1 <= low <= high <= MAX_DEPTH:
        raise ValueError(
            f"must be [fewest, most] convolutions within [1, {MAX_DEPTH}], such as [1, 10]"
        )
    return depths


_STAMP = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")


def _read_stamp(value: object) -> datetime:
    """A date and time that an ID can begin with: no zone and no fractions, which it would lose."""
    text = value.isoformat() if isinstance(value, datetime) else value
    if isinstance(text, str) and _STAMP.fullmatch(text):
        return datetime.fromisoformat(text)
    raise ValueError(
        "must be a date and time of the years 1000 to 9999 in whole seconds, without a zone and "
        "without quotes, such as 2026-01-31T12:00:00"
    )


class DatasetSection(_Section):
    """`[datasets.NAME]`: how many networks on which images. NAME is the name in folders."""

    networks_per_depth: Annotated[int, Field(ge=0)]
    """0 drops a dataset that an extended campaign has."""
    depths: Annotated[tuple[int, int], AfterValidator(_check_depths)] = (1, 10)
    """Fewest and most convolutions; each number between gets `networks_per_depth` networks."""
    train: Annotated[str, AfterValidator(check_split)] | None = None
    """Which of its splits are trained on, where there are several: of SVHN."""
    npz: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")] | None = None
    """A user's own images: path of the file, relative to the campaign file."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    channels: Count | None = None
    width: Count | None = None
    classes: Count | None = None
    train_images: Count | None = None
    validation_images: Count | None = None
    largest_class: Count | None = None
    """Validation images of the commonest label, if 'nnlc describe' told it."""

    def image_set(self, name: str) -> ImageSet:
        """What the sampler must know of these images.

        Raises:
            ValueError: an unknown name, or keys that are missing or make no sense together.
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
        if image_set_of_table(name) or name in KNOWN_IMAGE_SETS or self.train is not None:
            raise ValueError("npz goes with a name that is not taken, and without train")
        missing = [key for key in own if key not in given]
        if missing:
            raise ValueError(
                f"npz needs {', '.join(missing)} too: 'nnlc describe {self.npz}' prints them"
            )
        return own_image_set(name, self.model_dump())


class RunSection(_Section):
    """`[run]`: how the work is done. No table depends on it."""

    attempts: Count = 3
    """After so many attempts that end badly a network is recorded as failed."""
    checkpoint_minutes: Minutes = 5.0
    """Between two checkpoints of a network; longer where saving would take over 1% of the time."""
    hang_minutes: Minutes = 5.0
    """A trainer without a step for so long, and for 20 times its own slowest, is replaced."""
    disk_minutes: Minutes = 10.0
    """A job whose results can't be written for so long ends."""


class Campaign(_Section):
    """A whole campaign: resolved, checked, and the source of every network in it."""

    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Every network's own seed is derived from this one."""
    stamp: Annotated[datetime, BeforeValidator(_read_stamp)]
    """Date and time that all IDs of the campaign begin with."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    stop: str | None = None
    """A rule that ends a network's training early, such as "penguin" or "menndl:patience=5", in the
    words of `nnlc predict`; it predicts the last epoch unless it says another. "none": all epochs
    are trained. A table has the rows that were trained."""
    datasets: Annotated[dict[str, DatasetSection], Field(min_length=1)]
    training: TrainingSection = TrainingSection()
    run: RunSection = RunSection()
    space: SearchSpace = SearchSpace()

    @field_validator("stop")
    @classmethod
    def _with_all_settings(cls, stop: str | None, info: ValidationInfo) -> str | None:
        """The rule with all its settings, so that one rule has one text."""
        epochs = info.data.get("epochs")
        if stop is None or stop == "none" or epochs is None:
            return None
        # NumPy, which no campaign needs that doesn't stop.
        from nnlc.analysis.predictors.registry import BUILT_IN, make_stop_rule, predictor_text

        try:
            rule = make_stop_rule(stop, epoch=epochs)
        except NnlcError as problem:
            raise ValueError(str(problem)) from None
        if rule.epoch > epochs:
            raise ValueError(
                f"{rule.name} predicts epoch {rule.epoch:g}, but the campaign's last is {epochs}"
            )
        if rule.earliest >= rule.last_point:
            raise ValueError(
                f"{stop} can't stop before epoch {rule.earliest / 2:g}, and its last is "
                f"{rule.epoch:g}: nothing would ever be saved"
            )
        return predictor_text(rule) if rule.name in BUILT_IN else stop

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        total = self.network_count
        if not 1 <= total <= MAX_NETWORKS:
            raise ValueError(
                f"the campaign has {total} networks; networks_per_depth and depths must make "
                f"between 1 and {MAX_NETWORKS}"
            )
        return self

    @property
    def network_count(self) -> int:
        """Return the number of networks of all image sets."""
        return sum(
            section.networks_per_depth * (section.depths[1] - section.depths[0] + 1)
            for section in self.datasets.values()
        )

    @property
    def half_epochs(self) -> int:
        """Rows of each table, the header not counted."""
        return 2 * self.epochs

    def image_sets(self) -> dict[str, ImageSet]:
        """The image sets that have networks, by their name in folders, in the file's order."""
        return {
            name: section.image_set(name)
            for name, section in self.datasets.items()
            if section.networks_per_depth
        }

    def networks(self) -> Iterator["CampaignNetwork"]:
        """Every network, in order of dataset, depth and number: 6,000 take about 2 s."""
        seen: set[int] = set()
        for name, images in self.image_sets().items():
            low, high = self.datasets[name].depths
            for depth in range(low, high + 1):
                seeds = self._seeds(name, depth, seen)
                for _ in range(self.datasets[name].networks_per_depth):
                    index, seed = len(seen), next(seeds)
                    seen.add(seed)
                    name_of_it = network_id(self.stamp, index)
                    spec = sample_network(
                        self.space,
                        images,
                        depth,
                        seed,
                        id=name_of_it,
                        optimizer=self.training.optimizer,
                    )
                    yield CampaignNetwork(index, images, spec)

    def _seeds(self, name: str, depth: int, seen: set[int]) -> Iterator[int]:
        """Seeds for one dataset and depth that no network of the campaign has yet."""
        for draw in count():
            seed = network_seed(self.seed, name, depth, draw)
            if seed not in seen:
                yield seed


@dataclass(frozen=True, slots=True)
class CampaignNetwork:
    """One network of a campaign and the images it trains on."""

    index: int
    images: ImageSet
    spec: NetworkSpec

    def on(self, device: str) -> "CampaignNetwork":
        """Return the network as "cpu" or "cuda" trains it."""
        return replace(self, spec=replace(self.spec, train_gpu=device == "cuda"))

    def to_json(self) -> dict[str, Any]:
        """Return the network and its images for a message to a trainer: `nnlc.system.messages`."""
        return {"spec": self.spec.to_json(), "image_set": asdict(self.images)}


def load_campaign(name_or_path: str | Path) -> Campaign:
    """Read a campaign: the name of a shipped one, or the path of a TOML file.

    Raises:
        CampaignError: what is wrong, in which file and key, and what would be right.
    """
    layers = read_layers(find_campaign(str(name_or_path)), find_campaign, CampaignError)
    campaign = _checked(layers)
    for name, words in campaign.space.likely_mistakes():
        value = list(getattr(campaign.space, name))
        say_once(f"note: {layers.file_of(['space', name])}: space.{name} = {value} {words}")
    return _with_absolute_npz(campaign, layers)


def parse_campaign(values: dict[str, Any], path: Path) -> Campaign:
    """A campaign from values that are already whole, such as a results folder's own record.

    Raises:
        CampaignError: as `load_campaign`; `path` is named in it.
    """
    return _checked(Layers([(path, values)]))


def find_campaign(name_or_path: str) -> Path:
    """Return the file of a campaign; raise CampaignError for no file and no shipped name."""
    return find_file(name_or_path, "jobs", CampaignError)


def _checked(layers: Layers) -> Campaign:
    """Return a campaign of which every network fits its images."""
    campaign = validate(Campaign, layers, CampaignError)
    for name, section in campaign.datasets.items():
        try:
            images = section.image_set(name)
            if section.networks_per_depth:
                campaign.space.check_against(images)
        except ValueError as problem:
            field = ["space", str(problem).split(" ")[0]]
            key = field if layers.says(field) else ["datasets", name]
            raise CampaignError(f"{layers.file_of(key)}, key {'.'.join(key)}: {problem}") from None
    return campaign


def _with_absolute_npz(campaign: Campaign, layers: Layers) -> Campaign:
    """npz paths are relative to the file that says them; from here on they are absolute."""
    datasets = dict(campaign.datasets)
    for name, section in datasets.items():
        if section.npz is not None:
            path = layers.file_of(["datasets", name, "npz"]).parent / section.npz
            datasets[name] = section.model_copy(update={"npz": str(path.resolve())})
    return campaign.model_copy(update={"datasets": datasets})
