"""The campaign file: networks to generate, images to train on, and settings of the training.

A campaign is a TOML file. With `extends = "NAME or path"` it starts from another campaign and
replaces only the keys that it gives, section by section. An error names the file and the key, and
says what would be right.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nnlc.campaign.dataset_section import Count, DatasetSection, Section
from nnlc.campaign.generations import Generation, network_groups
from nnlc.console import say_once
from nnlc.errors import CampaignError, FamilyError, NnlcError
from nnlc.families.arithmetic import oldest_choices
from nnlc.families.article import SearchSpace
from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import GivenReference
from nnlc.families.registry import completed, load_class, make_family
from nnlc.networks import ImageSet, Specification
from nnlc.networks.image_sets import NAME_PATTERN
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import MAX_NETWORKS, network_id, network_seed
from nnlc.system.toml_file import Layers, Values, find_file, read_layers, validate

RECORD_KEYS = ("results_format", "nnlc", "digest")
"""Keys about the file in a results folder's campaign.toml; all others belong to the campaign."""

Minutes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


_STAMP = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")


def _read_stamp(value: object) -> datetime:
    """Return a date and time that IDs can begin with: in whole seconds, without a time zone."""
    text = value.isoformat() if isinstance(value, datetime) else value
    if isinstance(text, str) and _STAMP.fullmatch(text):
        return datetime.fromisoformat(text)
    raise ValueError(
        "must be a date and time of the years 1000 to 9999 in whole seconds, without a zone and "
        "without quotes, such as 2026-01-31T12:00:00"
    )


class RunSection(Section):
    """Section `[run]`: settings of jobs, on which no table depends."""

    attempts: Count = 3
    """Failed attempts after which a network is recorded as failed."""
    checkpoint_minutes: Minutes = 5.0
    """Minutes between checkpoints of a network; more if saving would take over 1% of the time."""
    hang_minutes: Minutes = 5.0
    """Minutes without a step after which a trainer is replaced, if they are also more than 20 times
    its slowest step."""
    disk_minutes: Minutes = 10.0
    """Minutes after which a job ends if its results can't be written."""
    keep: Literal["none", "final", "best"] = "none"
    """Weights to keep of each network. "final": those after the last half epoch, and all that is
    needed to train further after `nnlc grow`. "best": those of the first half epoch with the best
    validation accuracy."""


class Campaign(Section):
    """Content of a campaign file, checked and merged with the campaigns that it extends."""

    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]
    """Name of the campaign and, by default, of its results folder: up to 64 letters, digits, dots,
    dashes and underscores."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Seed from which every network's own seed is derived."""
    stamp: Annotated[datetime, BeforeValidator(_read_stamp)]
    """Date and time that all IDs of the campaign begin with, such as 2026-01-31T12:00:00."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Epochs that each network is trained for; it is validated twice in each."""
    stop: str | None = None
    """Rule that ends a network's training early, such as "penguin" or "menndl:patience=5", in the
    syntax of `nnlc predict --method`. It predicts the last epoch unless its settings give another.
    "none": all epochs are trained. A table has only the rows that were trained."""
    datasets: Annotated[dict[str, DatasetSection], Field(min_length=1)]
    """Sections `[datasets.NAME]`: at least one."""
    training: TrainingSection = TrainingSection()
    run: RunSection = RunSection()
    family: GivenReference | None = None
    """Family of the networks, if not the article's: the name of one of nnlc's or of an installed
    package, or "module:Class" for a module beside the campaign file."""
    space: SearchSpace = SearchSpace()
    """Search space of the article's family."""
    family_space: Annotated[dict[str, Any] | None, Field(repr=False)] = None
    """Section `[space]` of another family, whose class checks it."""
    grown_from: Annotated[tuple[Generation, ...] | None, Field(repr=False)] = None
    """Generations before the campaign grew, the oldest first; only `nnlc grow` writes this."""

    @field_validator("stop")
    @classmethod
    def _with_all_settings(cls, stop: str | None, info: ValidationInfo) -> str | None:
        """Return the stop rule with all its settings, so that equal rules are equal texts."""
        epochs = info.data.get("epochs")
        if stop is None or stop == "none" or epochs is None:
            return None
        # Loads NumPy, which campaigns without a stop rule don't need.
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
                f"{stop} can't stop before epoch {rule.earliest / 2:g}, and its last epoch is "
                f"{rule.epoch:g}: it would never save time"
            )
        return predictor_text(rule) if rule.name in BUILT_IN else stop

    @field_validator("training")
    @classmethod
    def _fits_epochs(cls, training: TrainingSection, info: ValidationInfo) -> TrainingSection:
        if "epochs" in info.data:
            training.check_epochs(info.data["epochs"])
        return training

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        total = self.network_count
        if not 1 <= total <= MAX_NETWORKS:
            raise ValueError(
                f"the campaign has {total} networks; networks_per_depth and depths must make "
                f"between 1 and {MAX_NETWORKS}"
            )
        earlier = self.grown_from or ()
        if any(g.epochs > self.epochs for g in earlier) or total < sum(n for *_, n in self._groups):
            raise ValueError("grown_from has more networks or epochs than the campaign itself")
        return self

    def dump(self, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """Return all values as a campaign file has them."""
        values = self.model_dump(mode=mode, exclude_none=True)
        if self.family is not None:
            values["space"] = values.pop("family_space", {})
            values["datasets"] = {n: _with_words(one, 1) for n, one in values["datasets"].items()}
            for each in values.get("grown_from", ()):
                each["datasets"] = {n: _with_words(d, 1) for n, d in each["datasets"].items()}
        return values

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
        return make_family(self.family, self.family_space if self.family else self.space)

    def image_sets(self) -> dict[str, ImageSet]:
        """Return the image sets that have networks, by name, in the file's order."""
        return {
            name: section.image_set(name)
            for name, section in self.datasets.items()
            if section.networks_per_depth
        }

    def networks(self) -> Iterator["CampaignNetwork"]:
        """Yield every network, in order of generation, dataset, depth and number.

        6,000 networks take about 2 s.
        """
        seen: set[int] = set()
        drawn: Counter[tuple[str, int]] = Counter()
        image_sets, family = self.image_sets(), self.network_family
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


_GROUP_WORDS = (("networks_per_group", "networks_per_depth"), ("groups", "depths"))
"""Words for groups of networks: in files of other families, and in the article's and in memory."""


def _use_common_words(values: Values) -> None:
    """Give the values of a file of another family the names that they have in memory."""
    if "space" in values:
        values["family_space"] = values.pop("space")
    if isinstance(datasets := values.get("datasets"), dict):
        values["datasets"] = {name: _with_words(section, 0) for name, section in datasets.items()}
    for each in values.get("grown_from", ()):
        if isinstance(each, dict) and isinstance(datasets := each.get("datasets"), dict):
            each["datasets"] = {name: _with_words(section, 0) for name, section in datasets.items()}


def _with_words(section: Any, position: int) -> Any:
    """Return a section `[datasets.NAME]` with its first or its second words for groups replaced."""
    names = {pair[position]: pair[1 - position] for pair in _GROUP_WORDS}
    return (
        {names.get(key, key): v for key, v in section.items()} if type(section) is dict else section
    )


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


def load_campaign(name_or_path: str | Path) -> Campaign:
    """Return the campaign that nnlc ships under this name, or that this TOML file holds.

    A results folder's campaign.toml is a campaign file too, and other files may extend it.

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
    _complete_family(layers)
    campaign = _checked(layers)
    likely = campaign.space.likely_mistakes() if isinstance(campaign.space, SearchSpace) else ()
    for name, words in likely:
        value = list(getattr(campaign.space, name))
        say_once(f"note: {layers.file_of(['space', name])}: space.{name} = {value} {words}")
    return _with_absolute_npz(campaign, layers)


def _complete_family(layers: Layers) -> None:
    """Give the family of a campaign file its folder, label and code, and datasets their groups."""
    path = layers.file_of(["family"])
    values = layers.merged
    if (given := values.get("family")) is None:
        return
    try:
        reference = TypeAdapter(GivenReference).validate_python(given)
    except ValidationError:
        return  # `validate` says what is wrong
    if ":" in reference.name and reference.folder is None:
        reference = reference.model_copy(update={"folder": str(path.parent.resolve())})
    try:
        reference = completed(reference)
        groups = list(load_class(reference).groups)
    except FamilyError as problem:
        raise FamilyError(f"{path}, key family: {problem}") from None
    nearest = layers.each[0]
    nearest["family"] = reference.model_dump(exclude_none=True)
    datasets = values.get("datasets")
    for name, section in datasets.items() if isinstance(datasets, dict) else ():
        if isinstance(section, dict) and not {"groups", "depths"} & section.keys():
            nearest.setdefault("datasets", {}).setdefault(name, {})["groups"] = groups


def complete_record(values: Values) -> None:
    """Give settings that are newer than a results folder's campaign.toml their former values."""
    training = values.get("training", {})
    if isinstance(training, dict):
        values["training"] = oldest_choices() | training


def parse_campaign(values: dict[str, Any], path: Path) -> Campaign:
    """Return a campaign from values that extend no other campaign, such as those of campaign.toml.

    Raises:
        CampaignError: a value is wrong; the message names `path` as the file.
    """
    return _checked(Layers([(path, values)]))


def find_campaign(name_or_path: str) -> Path:
    """Return the file of a campaign, or raise CampaignError if there is no such file or name."""
    return find_file(name_or_path, "jobs", CampaignError)


def _checked(layers: Layers) -> Campaign:
    """Return a campaign after checking that its networks fit their images."""
    if layers.merged.get("family") is not None:
        for values in layers.each:
            _use_common_words(values)
    campaign = validate(Campaign, layers, CampaignError, keys="nnlc keys campaign")
    for name, section in campaign.datasets.items():
        try:
            images = section.image_set(name)
            if section.networks_per_depth:
                campaign.network_family.check_against(images)
                campaign.training.check_images(images)
        except ValueError as problem:
            word = str(problem).split(" ")[0]
            fields = [
                field
                for section in ("space", "training")
                if layers.has_key(field := [section, word])
            ]
            key = fields[0] if fields else ["datasets", name]
            raise CampaignError(f"{layers.file_of(key)}, key {'.'.join(key)}: {problem}") from None
    return campaign


def _with_absolute_npz(campaign: Campaign, layers: Layers) -> Campaign:
    """Return a campaign with absolute npz paths; in a file they are relative to that file."""
    datasets = dict(campaign.datasets)
    for name, section in datasets.items():
        if section.npz is not None:
            path = layers.file_of(["datasets", name, "npz"]).parent / section.npz
            datasets[name] = section.model_copy(update={"npz": str(path.resolve())})
    return campaign.model_copy(update={"datasets": datasets})
