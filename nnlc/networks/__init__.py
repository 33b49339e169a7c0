"""Networks: specification, search space, sampler, layers, optimizers, cost. Imports no torch."""

from nnlc.networks.geometry import Walk, walk_network
from nnlc.networks.image_sets import (
    KNOWN_IMAGE_SETS,
    SVHN_TRAIN_IMAGES,
    ImageSet,
    image_set_of_table,
)
from nnlc.networks.layer import Layer
from nnlc.networks.sampler import MAX_DEPTH, network_seed, sample_network
from nnlc.networks.space import SearchSpace
from nnlc.networks.spec import (
    DROPOUT,
    MAX_NETWORKS,
    POOLING,
    RELU,
    NetworkSpec,
    network_id,
)

__all__ = [
    "DROPOUT",
    "KNOWN_IMAGE_SETS",
    "MAX_DEPTH",
    "MAX_NETWORKS",
    "POOLING",
    "RELU",
    "SVHN_TRAIN_IMAGES",
    "ImageSet",
    "Layer",
    "NetworkSpec",
    "SearchSpace",
    "Walk",
    "image_set_of_table",
    "network_id",
    "network_seed",
    "sample_network",
    "walk_network",
]
