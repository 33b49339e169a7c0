"""Families of the user's own for tests, with as many networks as a test needs."""

from dataclasses import dataclass
from typing import ClassVar

from nnlc.families import Family
from nnlc.families.own_family import OwnFamily
from nnlc.families.reference import FamilyReference
from nnlc.networks import ImageSet

IMAGES = ImageSet(
    name="few",
    table_name="few",
    channels=1,
    width=12,
    classes=5,
    train_images=80,
    validation_images=40,
)


def family_of(build, **specified) -> OwnFamily:
    """A family whose networks `build` returns, of (spec, images)."""

    @dataclass(frozen=True)
    class Own(Family):
        name: ClassVar[str] = "own"
        version: ClassVar[str] = "1"
        columns: ClassVar[dict[str, str]] = {"width": "integer"}

        def specify(self, draws, images, group, number):
            del draws, images, group, number
            return {"width": 4, "batch_size": 20, "learning_rate": 0.1, **specified}

        def build(self, spec, images):
            return build(spec, images)

    return OwnFamily(Own(), FamilyReference(name="own:Own"))


def network_of(build, **specified):
    """A family, and its first network, whose ID ends in the width if one is given."""
    family = family_of(build, **specified)
    name = f"2026_01_02_03_04_05_{specified.get('width', 0):06}"
    return family, family.specification(IMAGES, 1, 0, 5, id=name, optimizer="SGD")
