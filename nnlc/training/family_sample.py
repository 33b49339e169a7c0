"""First process of the check of a family: its class, its settings, and a sample of its networks.

Torch is not loaded here, as on login nodes and ranks.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Self, cast

from nnlc.errors import SpecError
from nnlc.families.importing import hidden_module
from nnlc.families.own_family import OwnFamily
from nnlc.families.purity import PURE, Place, differences
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import (
    completed,
    family_from_json,
    family_to_json,
    load_class,
    make_family,
)
from nnlc.networks import ImageSet
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import MAX_NETWORKS, FamilySpec, network_id, network_seed
from nnlc.training.family_verdicts import Verdicts, answering
from nnlc.wording import counted

_STAMP = datetime(2000, 1, 1)


@dataclass(frozen=True)
class Setting:
    """A family with its settings, and the images and the training of its networks."""

    family: OwnFamily
    images: Mapping[str, ImageSet]
    training: TrainingSection
    epochs: int = 1
    seed: int = 0

    def draw(self, place: Place) -> FamilySpec:
        """Return the network at a place.

        Raises:
            SpecError: the family does not give it, or gives values that no network can have.
        """
        return self.family.specification(
            self.images[place.images],
            place.group,
            place.number,
            network_seed(self.seed, *place),
            id=network_id(_STAMP, place.number),
            optimizer=self.training.optimizer,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all values for a message to another process."""
        return {
            "family": family_to_json(self.family),
            "images": {name: asdict(images) for name, images in self.images.items()},
            "training": self.training.model_dump(mode="json"),
            "epochs": self.epochs,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave in another process, with the family's code loaded here."""
        return cls(
            cast(OwnFamily, family_from_json(values["family"])),
            {name: ImageSet(**images) for name, images in values["images"].items()},
            TrainingSection.model_validate(values["training"]),
            values["epochs"],
            values["seed"],
        )


Group = tuple[str, int, int]
"""Name of an image set, a group, and the most networks that a campaign has of it."""


def places(groups: Sequence[Group], count: int) -> list[Place]:
    """Return the places of a sample: of all groups, or of as many as there are networks."""
    if count < len(groups):
        last = max(1, count - 1)
        chosen = [groups[round(i * (len(groups) - 1) / last)] for i in range(count)]
        return [Place(images, group, 0) for images, group, _ in chosen]
    each, more = divmod(count, len(groups))
    return [
        Place(images, group, number)
        for at, (images, group, most) in enumerate(groups)
        for number in numbers(each + (at < more), most)
    ]


def numbers(count: int, most: int) -> list[int]:
    """Return numbers of a group's networks: half of them the lowest, the others up to the last.

    The latter grow by a factor, so that a family with few networks has some of them too.

    Args:
        count: how many numbers, if there are as many.
        most: how many networks the group may have.
    """
    low = min(most, (count + 1) // 2)
    found, more = list(range(low)), min(most, count) - low
    for i in range(1, more + 1):
        at = round(low * ((most - 1) / low) ** (i / more))
        found.append(max(found[-1] + 1, min(at, most - 1 - (more - i))))
    return found


def values_of(spec: FamilySpec) -> dict[str, object]:
    """Return the values of a network's columns by name."""
    return {column.field: getattr(spec, column.field) for column in spec.layout.columns}


def main(_arguments: list[str]) -> None:
    """Check a family's class, settings and specifications; send verdicts, and what was drawn."""
    with answering() as (request, send):
        verdicts = Verdicts(send)
        found: dict[str, Any] = {"networks": []}
        reference = _loaded(FamilyReference(**request["reference"]), verdicts)
        if reference is not None and (made := _set(reference, request, verdicts)):
            setting, groups = made
            is_campaign = request["campaign"] is not None
            chosen = places(groups, request["count"])
            networks = list(_specified(setting, chosen, verdicts, may_end=not is_campaign))
            found = {"setting": setting.to_json(), "file": verdicts.file}
            found["networks"] = [(place, spec.to_json()) for place, spec in networks]
        send({"kind": "end", "wrong": verdicts.wrong, **found})


def _loaded(reference: FamilyReference, verdicts: Verdicts) -> FamilyReference | None:
    """Load a family's class; return the reference with its code, or None if it is wrong."""
    with verdicts.part("class") as part, part.judging(""):
        whole = completed(reference)
        kind = load_class(reference)
        verdicts.file = sys.modules[kind.__module__].__file__ or ""
        own = counted(len(kind.columns), "column")
        part.text = f"{whole.label} of {verdicts.file}, code {whole.code}, {own} of its own"
        if hidden := hidden_module(reference):
            part.note(hidden)
    return None if verdicts.wrong else whole


def _set(
    reference: FamilyReference, request: Mapping[str, Any], verdicts: Verdicts
) -> tuple[Setting, list[Group]] | None:
    """Return what to check, and its groups; None if something is wrong with the settings."""
    with verdicts.part("settings") as part, part.judging(""):
        if request["campaign"] is None:
            family = cast(OwnFamily, make_family(reference, {}))
            images = ImageSet(**request["image_set"])
            setting = Setting(family, {images.name: images}, TrainingSection())
            low, high = family.groups
            groups = [(images.name, group, MAX_NETWORKS) for group in range(low, high + 1)]
        else:
            setting, groups = _of_campaign(request["campaign"])
        space = setting.family.space
        values = [f"{each.name} = {getattr(space, each.name)!r}" for each in fields(space)]
        part.text = ", ".join(values) or "none"
        return setting, groups
    return None


def _of_campaign(file: str) -> tuple[Setting, list[Group]]:
    """Return what to check of a campaign, and its groups.

    Raises:
        CampaignError: the file has a mistake, or the family does not fit it.
    """
    from nnlc.campaign.campaign import load_campaign

    campaign = load_campaign(file)
    family, images = cast(OwnFamily, campaign.network_family), campaign.image_sets()
    groups = [
        (name, group, campaign.datasets[name].networks_per_depth)
        for name in images
        for group in range(campaign.datasets[name].depths[0], campaign.datasets[name].depths[1] + 1)
    ]
    return Setting(family, images, campaign.training, campaign.epochs, campaign.seed), groups


def _specified(
    setting: Setting, chosen: Sequence[Place], verdicts: Verdicts, *, may_end: bool
) -> Iterator[tuple[Place, FamilySpec]]:
    """Yield the networks of a sample that are the same when drawn twice, with their places.

    Args:
        setting: the family.
        chosen: the places.
        verdicts: where the verdicts go.
        may_end: True if a family that enumerates its networks may raise ValueError for high
            numbers, as it has fewer networks.
    """
    tried: dict[Place, FamilySpec | None] = {}
    ends: dict[Place, SpecError] = {}
    with verdicts.part("specify") as part:

        def values_at(place: Place) -> Mapping[str, object]:
            if place in tried and tried[place] is None:
                return {}
            tried[place] = None
            with part.judging(place):
                try:
                    spec = tried[place] = setting.draw(place)
                    return values_of(spec)
                except SpecError as problem:
                    if not (may_end and place.number and isinstance(problem.__cause__, ValueError)):
                        raise
                    ends[place] = problem
            return {}

        different = dict(differences(values_at, chosen))
        same = {place: spec for place, spec in tried.items() if spec and place not in different}
        for place, text in different.items():
            if tried[place] is not None:
                part.refuse(place, f"{text} when drawn again: {PURE}")
        for place, problem in ends.items():
            if later := [p for p in same if p[:2] == place[:2] and p.number > place.number]:
                part.refuse(place, f"{problem}; but there is a {later[0]}", problem)
        if ends and not part.wrong:
            place = min(ends, key=lambda each: each.number)
            part.note(f"there is no {place}: {ends[place].__cause__}")
        part.text = (
            f"{counted(len(same), 'network')} for {', '.join(setting.images)}, groups "
            f"{min((p.group for p in same), default=0)} to "
            f"{max((p.group for p in same), default=0)}: the same when drawn again in another order"
        )
        kinds = len({_own_values(spec) for spec in same.values()})
        if kinds < len(same):
            part.note(f"only {kinds} of {len(same)} networks differ from each other")
    yield from same.items()


def _own_values(spec: FamilySpec) -> str:
    """Return what a family has given for a network, as text."""
    return repr([v for name, v in spec.to_json().items() if name not in ("id", "random_seed")])
