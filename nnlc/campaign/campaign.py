"""The campaign file: networks to generate, images to train on, and settings of the training.

A campaign is a TOML file. With `extends = "NAME or path"` it starts from another campaign and
replaces only the keys that it gives, section by section. An error names the file and the key, and
says what would be right.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nnlc.campaign.dataset_section import DatasetSection, Section, with_absolute_npz
from nnlc.campaign.family_section import (
    WORDS,
    article_space,
    check_depths,
    check_others,
    choose_family,
    dump_of_others,
    group_keys,
    read_space,
    settings_of,
    with_words,
)
from nnlc.campaign.generations import Generation, network_groups
from nnlc.campaign.run_section import RunSection
from nnlc.campaign.stamp import Stamp
from nnlc.console import say_once
from nnlc.errors import CampaignError
from nnlc.families.arithmetic import oldest_choices
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import GivenReference
from nnlc.families.registry import make_family
from nnlc.networks import ImageSet, Specification
from nnlc.networks.image_sets import NAME_PATTERN
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import MAX_NETWORKS, network_id, network_seed
from nnlc.system.toml_file import Layers, Values, find_file, read_layers, validate

RECORD_KEYS = ("results_format", "nnlc", "digest")
"""Keys about the file in a results folder's campaign.toml; all others belong to the campaign."""


class Campaign(Section):
    """Content of a campaign file, checked and merged with the campaigns that it extends."""

    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$", examples=['"curves"'])]
    """Name of the campaign and, by default, of its results folder: up to 64 letters, digits, dots,
    dashes and underscores."""
    seed: Annotated[int, Field(ge=0, lt=2**63, examples=["1"])]
    """Seed from which every network's own seed is derived."""
    stamp: Stamp
    """Date and time that all IDs of the campaign begin with, such as 2026-01-31T12:00:00."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Epochs that each network is trained for; it is validated twice in each."""
    stop: str | None = None
    """Rule that ends a network's training early, such as "penguin" or "menndl:patience=5", in the
    syntax of `nnlc predict --method`. It predicts the last epoch unless its settings give another.
    "none": all epochs are trained. A table has only the rows that were trained."""
    family: GivenReference | None = None
    """Family of the networks, if not the article's: the name of one of nnlc's or of an installed
    package, or "module:Class" for a module beside the campaign file."""
    datasets: Annotated[dict[str, DatasetSection], Field(min_length=1)]
    """Sections `[datasets.NAME]`: at least one."""
    training: TrainingSection = TrainingSection()
    run: RunSection = RunSection()
    space: Annotated[
        Any,
        PlainValidator(read_space),
        Field(validate_default=True, json_schema_extra={"table": article_space}),
    ] = None
    """Section `[space]`: the article's search space, or the settings of another family."""
    grown_from: Annotated[tuple[Generation, ...] | None, Field(repr=False)] = None
    """Generations before the campaign grew, the oldest first; only `nnlc grow` writes this."""

    @field_validator("stop")
    @classmethod
    def _with_all_settings(cls, stop: str | None, info: ValidationInfo) -> str | None:
        """Return the stop rule with all its settings, so that equal rules are equal texts."""
        epochs = info.data.get("epochs")
        if stop is None or stop == "none" or epochs is None:
            return None
        from nnlc.campaign.stop_rule import checked_rule  # loads NumPy, which others don't need

        return checked_rule(stop, epochs)

    @field_validator("datasets")
    @classmethod
    def _check_depths(
        cls, datasets: dict[str, DatasetSection], info: ValidationInfo
    ) -> dict[str, DatasetSection]:
        if info.data.get("family") is None:
            check_depths(datasets)
        return datasets

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        self.training.check_epochs(self.epochs)
        total = self.network_count
        if not 1 <= total <= MAX_NETWORKS:
            number, groups = self.group_words
            raise ValueError(
                f"the campaign has {total} networks; {number} and {groups} must make between 1 "
                f"and {MAX_NETWORKS}"
            )
        earlier = self.grown_from or ()
        if any(g.epochs > self.epochs for g in earlier) or total < sum(n for *_, n in self._groups):
            raise ValueError("grown_from has more networks or epochs than the campaign itself")
        return self

    def dump(self, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """Return all values as a campaign file has them."""
        values = self.model_dump(mode=mode, exclude_none=True)
        return values if self.family is None else dump_of_others(values)

    @property
    def group_words(self) -> tuple[str, str]:
        """Keys of `[datasets.NAME]` in the campaign's file for networks per group, and groups."""
        return group_keys(is_article=self.family is None)

    @property
    def network_count(self) -> int:
        """Number of networks of all image sets."""
        return sum(
            section.networks_per_depth * (section.depths[1] - section.depths[0] + 1)
            for section in self.datasets.values()
        )

    @property
    def half_epochs(self) -> int:
        """Number of rows of each table, the header not counted."""
        return 2 * self.epochs

    @property
    def earlier_half_epochs(self) -> frozenset[int]:
        """Numbers of rows of the tables that the campaign made before it got more epochs."""
        return frozenset(2 * g.epochs for g in self.grown_from or ()) - {self.half_epochs}

    @property
    def first_epochs(self) -> int:
        """Number of epochs before the campaign grew for the first time."""
        return self.grown_from[0].epochs if self.grown_from else self.epochs

    @property
    def generation(self) -> Generation:
        """Epochs and networks of this campaign, for `grown_from` of a larger one."""
        drawn = {
            name: DatasetSection(networks_per_depth=each.networks_per_depth, depths=each.depths)
            for name, each in self.datasets.items()
            if each.networks_per_depth
        }
        return Generation(epochs=self.epochs, datasets=drawn)

    @property
    def _groups(self) -> Iterator[tuple[str, int, int]]:
        """Groups of networks in order of index, as `network_groups` yields them."""
        return network_groups([*(g.datasets for g in self.grown_from or ()), self.datasets])

    @property
    def network_family(self) -> NetworkFamily:
        """Family of the networks, with the settings of `[space]`.

        Raises:
            FamilyError: its code can't be loaded or has changed, or a setting is wrong.
        """
        return make_family(self.family, self.space)

    def image_sets(self) -> dict[str, ImageSet]:
        """Return the image sets that have networks, by name, in the file's order."""
        return {
            name: section.image_set(name)
            for name, section in self.datasets.items()
            if section.networks_per_depth
        }

    def networks(self, family: NetworkFamily | None = None) -> Iterator["CampaignNetwork"]:
        """Yield every network, in order of generation, dataset, depth and number.

        6,000 networks take about 2 s. `family` stands in for a family without usable code.
        """
        seen: set[int] = set()
        drawn: Counter[tuple[str, int]] = Counter()
        image_sets, family = self.image_sets(), family or self.network_family
        for name, group, count_ in self._groups:
            images, seeds = image_sets[name], self._seeds(name, group, seen)
            for _ in range(count_):
                index, seed = len(seen), next(seeds)
                seen.add(seed)
                spec = family.specification(
                    images,
                    group,
                    drawn[name, group],
                    seed,
                    id=network_id(self.stamp, index),
                    optimizer=self.training.optimizer,
                )
                drawn[name, group] += 1
                yield CampaignNetwork(index, images, spec, family)

    def _seeds(self, name: str, group: int, seen: set[int]) -> Iterator[int]:
        """Yield seeds for one dataset and group that are not in `seen`."""
        for draw in count():
            seed = network_seed(self.seed, name, group, draw)
            if seed not in seen:
                yield seed


@dataclass(frozen=True, slots=True)
class CampaignNetwork:
    """A network of a campaign, its index, and the image set that it trains on."""

    index: int
    images: ImageSet
    spec: Specification
    family: NetworkFamily

    def on(self, device: str) -> "CampaignNetwork":
        """Return the network with the column `train_GPU` set for a device, "cpu" or "cuda"."""
        return replace(self, spec=replace(self.spec, train_gpu=device == "cuda"))

    def to_json(self) -> dict[str, Any]:
        """Return network and image set for a message to a trainer: `nnlc.system.messages`."""
        return {"spec": self.spec.to_json(), "image_set": asdict(self.images)}


def load_campaign(name_or_path: str | Path, *, accept_code: bool = False) -> Campaign:
    """Return the campaign that nnlc ships under this name, or that this TOML file holds.

    A results folder's campaign.toml is a campaign file too, and other files may extend it.

    Args:
        name_or_path: the campaign.
        accept_code: True if a file that nnlc has written may name other code of its family.

    Raises:
        CampaignError: the file has a mistake; the message names file and key, and says what would
            be right.
    """
    layers = read_layers(find_campaign(str(name_or_path)), find_campaign, CampaignError)
    for values in layers.each:
        if RECORD_KEYS[0] in values:
            for key in RECORD_KEYS:
                values.pop(key, None)
            complete_record(values)
    chosen = choose_family(layers, accept_code=accept_code)
    campaign = _parsed(layers)
    if chosen is not None:
        check_others(campaign.datasets, chosen, layers)
        campaign = campaign.model_copy(update={"space": settings_of(chosen, layers)})
    _check_images(campaign, layers)
    for name, words in campaign.network_family.likely_mistakes():
        value = list(getattr(campaign.space, name))
        say_once(f"note: {layers.file_of(['space', name])}: space.{name} = {value} {words}")
    datasets = with_absolute_npz(campaign.datasets, layers)
    return campaign.model_copy(update={"datasets": datasets})


def complete_record(values: Values) -> None:
    """Give settings that are newer than a results folder's campaign.toml their former values."""
    training = values.get("training", {})
    if isinstance(training, dict) and "family" not in values:
        values["training"] = oldest_choices() | training


def parse_campaign(values: dict[str, Any], path: Path) -> Campaign:
    """Return a campaign from values that extend no other campaign, such as those of campaign.toml.

    The code of a family that is not nnlc's is not loaded.

    Raises:
        CampaignError: a value is wrong; the message names `path` as the file.
    """
    layers = Layers([(path, with_words(values) if values.get("family") else values)])
    campaign = _parsed(layers)
    _check_images(campaign, layers, with_family=campaign.family is None)
    return campaign


def find_campaign(name_or_path: str) -> Path:
    """Return the file of a campaign, or raise CampaignError if there is no such file or name."""
    return find_file(name_or_path, "jobs", CampaignError)


def _parsed(layers: Layers) -> Campaign:
    """Return the campaign of a file whose words for groups are those of memory."""
    others = layers.merged.get("family") is not None
    return validate(
        Campaign,
        layers,
        CampaignError,
        keys="nnlc keys campaign",
        tables={} if others else {"space": article_space()},
        words=WORDS if others else {},
    )


def _check_images(campaign: Campaign, layers: Layers, *, with_family: bool = True) -> None:
    """Check that a campaign's images are known and, with its family, that they fit its networks."""
    for name, section in campaign.datasets.items():
        try:
            images = section.image_set(name)
            if section.networks_per_depth and with_family:
                campaign.network_family.check_against(images)
                campaign.training.check_images(images)
        except ValueError as problem:
            word = str(problem).split(" ")[0]
            given = [key for s in ("space", "training") if layers.has_key(key := [s, word])]
            key = given[0] if given else ["datasets", name]
            raise CampaignError(f"{layers.file_of(key)}, key {'.'.join(key)}: {problem}") from None
