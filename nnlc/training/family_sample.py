"""First process of the check of a family: its class, its settings, and a sample of its networks.

Torch is not loaded here, as on login nodes and ranks.
"""

import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from nnlc.families.network_family import NetworkFamily
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import completed, family_to_json, load_class, make_family
from nnlc.networks import ImageSet, Specification
from nnlc.networks.optimizers import OPTIMIZERS
from nnlc.networks.specification import network_id, network_seed
from nnlc.training.family_verdicts import Verdicts, answering
from nnlc.wording import counted

_STAMP = datetime(2000, 1, 1)


class Place(NamedTuple):
    """Place of a network in the sample."""

    position: int
    group: int
    number: int
    """Number of the network among those of its group."""

    def __str__(self) -> str:
        return f"number {self.number} of group {self.group}"


def places(family: NetworkFamily, count: int) -> list[Place]:
    """Return the places of a sample: all groups in turn, or as many as there are networks."""
    low, high = family.groups
    groups = high - low + 1
    if count < groups:
        chosen = [low + round(i * (groups - 1) / max(1, count - 1)) for i in range(count)]
        return [Place(position, group, 0) for position, group in enumerate(chosen)]
    return [Place(i, low + i % groups, i // groups) for i in range(count)]


def draw(family: NetworkFamily, place: Place, images: ImageSet) -> Specification:
    """Return the network of the sample at a place.

    Raises:
        SpecError: the family does not give it, or gives values that no network can have.
    """
    return family.specification(
        images,
        place.group,
        place.number,
        network_seed(0, images.name, place.group, place.number),
        id=network_id(_STAMP, place.position),
        optimizer=next(iter(OPTIMIZERS)),
    )


def main(_arguments: list[str]) -> None:
    """Check a family's class, settings and specifications; send verdicts, and what was drawn."""
    with answering() as (request, send):
        verdicts = Verdicts(send)
        found: dict[str, Any] = {"family": None, "networks": []}
        family = _loaded(FamilyReference(**request["reference"]), verdicts)
        if family is not None:
            images = ImageSet(**request["image_set"])
            networks = list(_specified(family, images, request["count"], verdicts))
            found = {"family": family_to_json(family), "file": verdicts.file}
            found["networks"] = [(*place, spec.to_json()) for place, spec in networks]
        send({"kind": "end", "wrong": verdicts.wrong, **found})


def _loaded(reference: FamilyReference, verdicts: Verdicts) -> NetworkFamily | None:
    """Return a family with its default settings; None if something is wrong with it."""
    with verdicts.part("class") as part, part.judging(""):
        whole = completed(reference)
        kind = load_class(reference)
        verdicts.file = sys.modules[kind.__module__].__file__ or ""
        own = counted(len(kind.columns), "column")
        part.text = f"{whole.label} of {verdicts.file}, code {whole.code}, {own} of its own"
    if verdicts.wrong:
        return None
    family = None
    with verdicts.part("settings") as part, part.judging(""):
        family = make_family(whole, {})
        values = [
            f"{each.name} = {getattr(family.space, each.name)!r}" for each in fields(family.space)
        ]
        part.text = ", ".join(values) or "none"
    return family


def _specified(
    family: NetworkFamily, images: ImageSet, count: int, verdicts: Verdicts
) -> Iterator[tuple[Place, Specification]]:
    """Yield the networks of a sample that are the same when drawn twice, with their places."""
    with verdicts.part("specify") as part:
        first: dict[Place, Specification] = {}
        same: dict[Place, Specification] = {}
        for place in places(family, count):
            with part.judging(place):
                first[place] = draw(family, place, images)
        for place, spec in reversed(first.items()):
            with part.judging(place):
                if text := difference(spec, draw(family, place, images)):
                    part.refuse(place, f"{text} when drawn again: {PURE}")
                else:
                    same[place] = spec
        groups = [place.group for place in first]
        part.text = (
            f"{counted(len(same), 'network')} for {images.name}, groups {min(groups, default=0)} "
            f"to {max(groups, default=0)}: the same when drawn again in another order"
        )
        different = len({_values(spec) for spec in same.values()})
        if different < len(same):
            part.note(f"only {different} of {len(same)} networks differ from each other")
    yield from reversed(same.items())


PURE = (
    "values must follow from the arguments of specify alone; make all draws with its argument "
    "draws, keep nothing from one call to the next, and let nothing depend on the order of a set"
)
"""Advice on a network that is drawn differently."""


def difference(here: Specification, there: Specification) -> str:
    """Return how a network's specification differs when it is drawn again; "" if it does not."""
    for column in here.layout.columns:
        one, other = (getattr(spec, column.field) for spec in (here, there))
        if repr(one) != repr(other):
            return f"{column.field} is {one!r:.60}, and {other!r:.60}"
    return ""


def _values(spec: Specification) -> str:
    """Return what a family has given for a network, as text."""
    return repr([v for name, v in spec.to_json().items() if name not in ("id", "random_seed")])
