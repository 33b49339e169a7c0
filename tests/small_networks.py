"""Small networks and few of the bundled images, for the tests of training."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch

from nnlc.campaign.campaign import DatasetSection, TrainingSection
from nnlc.families.article import NetworkSpec
from nnlc.families.article.family import ARTICLE
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.tables import Row
from nnlc.training.loaded_images import Images, load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

SAMPLE = KNOWN_IMAGE_SETS["F-MNIST-sample"]
CPU = torch.device("cpu")


def spec(**changes: object) -> NetworkSpec:
    values: dict = {
        "id": "2026_01_01_00_00_00_000000",
        "random_seed": 5,
        "train_gpu": False,
        "torch_set_deterministic": True,
        "dataset": SAMPLE.table_name,
        "batch_size": 100,
        "loss_fn": "CrossEntropyLoss",
        "optimizer": "SGD",
        "learning_rate": 0.05,
        "momentum": 0.5,
        "dampening": 0,
        "weight_decay": 0,
        "layer_types": (7,),
        "dropout_rate": 0.2,
        "conv_kernels": (4,),
        "conv_strides": (3,),
        "conv_paddings": (1,),
        "pool_kernels": (2,),
        "pool_strides": (2,),
        "pool_paddings": (0,),
        "conv_filters": (10,),
        "fc_dropout_rate": 0,
        "fc_dropout_layers": (0,),
        "fc_filters": (20, 10),
    }
    return NetworkSpec(**values | changes)


@cache
def bundled_images() -> Images:
    return load_images(SAMPLE, DatasetSection(networks_per_depth=1), Path("unused"))


def first(images: Images, train: int, validation: int = 1000) -> Images:
    return Images(
        images.train_images[:train],
        images.train_labels[:train],
        images.validation_images[:validation],
        images.validation_labels[:validation],
    )


class NotedImages(DeviceImages):
    """Images on the CPU that note what each step took of them."""

    def __init__(self, images: Images, settings: TrainingSection) -> None:
        super().__init__(images, settings, CPU)
        self.taken: list[list[int]] = []

    def train_batch(self, indices, drawn=None):
        self.taken.append(indices.tolist())
        return super().train_batch(indices, drawn)

    def validation_batch(self, indices):
        self.taken.append([-1, *indices.tolist()])
        return super().validation_batch(indices)


def loop_on(
    images: Images,
    network: NetworkSpec,
    epochs: int = 1,
    between_steps: Callable[[], None] = lambda: None,
    campaign_epochs: int | None = None,
    **settings: object,
) -> HalfEpochLoop:
    chosen = TrainingSection(**settings)
    facts = dataclasses.replace(
        SAMPLE,
        train_images=len(images.train_labels),
        validation_images=len(images.validation_labels),
    )
    return HalfEpochLoop(
        *(ARTICLE, network, facts, NotedImages(images, chosen), chosen, epochs, between_steps),
        campaign_epochs=campaign_epochs,
    )


def curve(network: NetworkSpec, images: Images, epochs: int = 1, **settings: object) -> list[Row]:
    return list(loop_on(images, network, epochs, **settings))


def bits(rows: Sequence[Row]) -> list[list[str]]:
    """Every bit of every value; one NaN is like another."""
    return [[value.hex() for value in dataclasses.astuple(row)] for row in rows]
