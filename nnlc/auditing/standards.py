"""Standards of an audit: the article, a table's campaign, or what any campaign may draw."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nnlc.families.article import SearchSpace
from nnlc.families.article.layers import ALL_BITS
from nnlc.networks import KNOWN_IMAGE_SETS, SVHN_TRAIN_IMAGES, ImageSet
from nnlc.networks.optimizers import OPTIMIZERS

ARTICLE_HALF_EPOCHS = 80


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard of a table: search space, image sets and length."""

    space: SearchSpace
    image_sets: Mapping[str, tuple[ImageSet, ...]]
    """Image sets by the value in a table's `dataset` column; several where the number of
    training images is uncertain."""
    half_epochs: int | None
    """Number of a table's rows; None for any number."""
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    most_block: int = ALL_BITS
    """Largest entry of `layer_types`."""

    def images(self, dataset: object) -> tuple[ImageSet, ...]:
        """Return the possible image sets of a table; () if unknown."""
        return self.image_sets.get(dataset, ()) if isinstance(dataset, str) else ()


def _svhn_image_sets(images: ImageSet) -> tuple[ImageSet, ...]:
    """Return SVHN with each number of training images that the published tables may mean."""
    return tuple(replace(images, train_images=count) for count in SVHN_TRAIN_IMAGES.values())


_IMAGE_SETS = {
    images.table_name: _svhn_image_sets(images) if images.name == "SVHN" else (images,)
    for images in KNOWN_IMAGE_SETS.values()
}

ARTICLE = Standard(SearchSpace(), _IMAGE_SETS, ARTICLE_HALF_EPOCHS, ("SGD",), most_block=7)
"""Standard of published tables."""

ANY_CAMPAIGN = Standard(
    SearchSpace(
        padding=(0, 1024),
        filters=(1, 65_536),
        dropout_rate=(0.0, 1.0),
        fc_layers=(1, 64),
        fc_units=(1, 1_048_576),
        fc_dropout_rate=(0.0, 1.0),
        learning_rate_exponent=(-30.0, 3.0),
        momentum_exponent=(-30.0, 0.0),
        dampening_exponent=(-30.0, 0.0),
        weight_decay_exponent=(-30.0, 3.0),
        batch_size=(1, 1_048_576),
    ),
    _IMAGE_SETS,
    None,
)
"""Standard of nnlc's tables without a campaign: the widest space that nnlc accepts."""
