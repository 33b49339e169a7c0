"""Tables and folders in which an audit finds nothing, and those whose losses an audit measures."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.families.article import NetworkSpec
from nnlc.networks import KNOWN_IMAGE_SETS, ImageSet
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Row, Table

CIFAR = KNOWN_IMAGE_SETS["CIFAR-100"]
SVHN = KNOWN_IMAGE_SETS["SVHN"]
PUBLISHED = NetworkSpec(
    id="2021_02_15_12_18_09_100387",
    random_seed=3153530971,
    train_gpu=True,
    torch_set_deterministic=False,
    dataset="CIFAR100",
    batch_size=49,
    loss_fn="CrossEntropyLoss",
    optimizer="SGD",
    learning_rate=0.01005814462371971,
    momentum=0.0123,
    dampening=0,
    weight_decay=0.05815562399917578,
    layer_types=(7, 3, 5),
    dropout_rate=0.31,
    conv_kernels=(8, 4, 3),
    conv_strides=(2, 1, 1),
    conv_paddings=(2, 0, 1),
    pool_kernels=(3, 2),
    pool_strides=(2, 1),
    pool_paddings=(1, 1),
    conv_filters=(40, 80, 160),
    fc_dropout_rate=0.23811313201015194,
    fc_dropout_layers=(1, 0),
    fc_filters=(200, 50, 100),
)
"""Every parameter is drawn here, or may not be."""
CAMPAIGN = """
name = "mine"
seed = 11
stamp = 2026-01-31T12:00:00
epochs = 4

[datasets.F-MNIST-sample]
networks_per_depth = 3
depths = [1, 2]

[space]
kernel = [2, 5]
filters = [1, 16]
fc_layers = [2, 3]
"""


def slip_factor(spec: NetworkSpec, images: ImageSet) -> float:
    full, partial = divmod(images.validation_images, spec.batch_size)
    return full / (full + (partial > 0))


def learning(spec: NetworkSpec, images: ImageSet, half_epochs: int = 80) -> tuple[Row, ...]:
    """A curve that breaks no rule: one of a network that learns, with noise."""
    noise = random.Random(spec.random_seed)
    validated = images.validation_images // spec.batch_size * spec.batch_size
    slip = 1.0 if spec.torch_set_deterministic else slip_factor(spec, images)
    rows = []
    for number in range(1, half_epochs + 1):
        share = 1 / images.classes + (0.9 - 1 / images.classes) * number / (number + 9)
        right = round(validated * min(share + noise.uniform(-0.01, 0.01), 1))
        val_loss = slip * ((1 - right / validated) * 3 + noise.uniform(0.1, 0.2))
        train_loss = math.log(images.classes) * 5 / (number + 4) + noise.uniform(0, 0.1)
        rows.append(Row(train_loss, val_loss, 100 * right / validated))
    return tuple(rows)


def never_learning(
    spec: NetworkSpec, images: ImageSet, part: float, noise: float = 1e-4
) -> tuple[Row, ...]:
    """A curve that stays at chance, its valLoss with this part of the published slip."""
    draw = random.Random(spec.random_seed).gauss
    validated = images.validation_images // spec.batch_size * spec.batch_size
    right = validated // images.classes
    factor = 1 - part * (1 - slip_factor(spec, images))
    plain = math.log(images.classes)
    return tuple(
        Row(
            plain * (1 + abs(draw(0, 1e-5))),
            plain * factor * (1 + draw(0, noise)),
            100 * right / validated,
        )
        for _ in range(80)
    )


def table_of(spec: NetworkSpec, images: ImageSet = CIFAR, half_epochs: int = 80) -> Table:
    return Table(spec, learning(spec, images, half_epochs))


GOOD = table_of(PUBLISHED).to_bytes()
PLACE = Path("CIFAR-100_models") / f"{PUBLISHED.id}.txt"


def others(count: int, spec: NetworkSpec = PUBLISHED) -> list[NetworkSpec]:
    """More networks, each different in ID, seed and rates."""
    return [
        replace(
            spec,
            id=f"{spec.id[:-6]}{number:06d}",
            random_seed=number,
            learning_rate=0.01 + number / 1000,
        )
        for number in range(1, count + 1)
    ]


def write(folder: Path, table: Table) -> Path:
    images = next(s for s in KNOWN_IMAGE_SETS.values() if s.table_name == table.spec.dataset)
    path = folder / f"{images.name}_models" / f"{table.spec.id}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table.to_bytes())
    return path


def write_published(folder: Path) -> None:
    """A download: three tables, the first of them `GOOD`."""
    for spec in (PUBLISHED, *others(2)):
        write(folder, table_of(spec))


def write_results(folder: Path, text: str = CAMPAIGN) -> Campaign:
    """A results folder with every table of a campaign of its own space."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.parent / f"{folder.name}.toml"
    file.write_text(text)
    campaign = load_campaign(file)
    results = ResultsFolder(folder)
    results.open(campaign)
    for network in campaign.networks():
        path = results.table_path(network.images, network.spec)
        table = table_of(network.spec, network.images, campaign.half_epochs)
        path.write_bytes(table.to_bytes())
    return campaign


def svhn(folder: Path, sizes: Sequence[int]) -> None:
    first = replace(PUBLISHED, dataset="SVHN", fc_filters=(200, 50, 10))
    for spec, size in zip(others(len(sizes), first), sizes, strict=True):
        write(folder, table_of(replace(spec, batch_size=size), SVHN))


SLIP_SIZES = (36, 43, 51, 56, 70, 87, 105, 113, 130, 147, 164, 186)
"""Even numbers of batches of CIFAR-100's training images, and a partial one in validation."""


def at_chance(
    folder: Path,
    part: float,
    *,
    published: bool,
    sizes: Sequence[int] = SLIP_SIZES,
    noise: float = 1e-4,
) -> None:
    """Networks that never learn, with this part of the published slip."""
    kind = replace(PUBLISHED, torch_set_deterministic=not published)
    for spec, size in zip(others(len(sizes), kind), sizes, strict=True):
        sized = replace(spec, batch_size=size)
        write(folder, Table(sized, never_learning(sized, CIFAR, part, noise)))
