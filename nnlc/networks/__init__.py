"""Facts of networks of every family: specification, images, recipe, work. Imports no torch."""

from nnlc.networks.image_sets import (
    KNOWN_IMAGE_SETS,
    SVHN_TRAIN_IMAGES,
    ImageSet,
    image_set_of_table,
)
from nnlc.networks.specification import (
    MAX_NETWORKS,
    FamilySpec,
    Specification,
    network_id,
    network_seed,
)

__all__ = [
    "KNOWN_IMAGE_SETS",
    "MAX_NETWORKS",
    "SVHN_TRAIN_IMAGES",
    "FamilySpec",
    "ImageSet",
    "Specification",
    "image_set_of_table",
    "network_id",
    "network_seed",
]
