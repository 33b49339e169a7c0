"""The data article's networks: convolutions in blocks, then fully connected layers."""

from nnlc.families.article.geometry import Walk, walk_network
from nnlc.families.article.layer import Layer
from nnlc.families.article.sampler import MAX_DEPTH, sample_network
from nnlc.families.article.space import SearchSpace
from nnlc.families.article.spec import DROPOUT, POOLING, RELU, NetworkSpec

__all__ = [
    "DROPOUT",
    "MAX_DEPTH",
    "POOLING",
    "RELU",
    "Layer",
    "NetworkSpec",
    "SearchSpace",
    "Walk",
    "sample_network",
    "walk_network",
]
