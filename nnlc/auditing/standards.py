"""Standards of an audit: the article, a table's campaign, or what any campaign may draw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nnlc.families.table_rules import Check, Values, rules_of
from nnlc.networks import KNOWN_IMAGE_SETS, SVHN_TRAIN_IMAGES, ImageSet, Specification
from nnlc.networks.columns import Layout
from nnlc.networks.optimizers import OPTIMIZERS

PUBLISHED_HALF_EPOCHS = 80


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard of a table: image sets, length, optimizers, and rules on its metadata."""

    image_sets: Mapping[str, tuple[ImageSet, ...]]
    """Image sets by the value in a table's `dataset` column; several where the number of
    training images is uncertain."""
    half_epochs: int | None
    """Number of a table's rows; None for any number."""
    optimizers: tuple[str, ...]
    check: Check | None
    """Check of the metadata; None if the family's rules are not known."""
    redraw: Callable[[Values, ImageSet], Specification] | None = None
    """Function that draws a network again in the usual space, for tables without a campaign."""

    def images(self, dataset: object) -> tuple[ImageSet, ...]:
        """Return the possible image sets of a table; () if unknown."""
        return self.image_sets.get(dataset, ()) if isinstance(dataset, str) else ()


def is_published(layout: Layout, values: Mapping[str, Any]) -> bool:
    """Return True if metadata say that a table is the article's, not one of nnlc's."""
    return not layout.is_named and values.get("torch_set_deterministic") is False


@cache
def standard_without_campaign(layout: Layout, *, published: bool) -> Standard:
    """Return the standard of tables of a layout whose campaign is not known.

    Args:
        layout: columns of the tables.
        published: True for published tables, False for those of nnlc.
    """
    rules = rules_of(layout)
    if published and rules:
        return Standard(_IMAGE_SETS, PUBLISHED_HALF_EPOCHS, ("SGD",), rules.check_published)
    redraw, check = (rules.redraw, rules.check_any) if rules else (None, None)
    return Standard(_IMAGE_SETS, None, tuple(OPTIMIZERS), check, redraw)


def _svhn_image_sets(images: ImageSet) -> tuple[ImageSet, ...]:
    """Return SVHN with each number of training images that the published tables may mean."""
    return tuple(replace(images, train_images=count) for count in SVHN_TRAIN_IMAGES.values())


_IMAGE_SETS = {
    images.table_name: _svhn_image_sets(images) if images.name == "SVHN" else (images,)
    for images in KNOWN_IMAGE_SETS.values()
}
