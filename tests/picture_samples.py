"""Tables with curves much as networks have them, for what draws: thousands without training any."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from article_columns import METADATA_COLUMNS

from nnlc.campaign.campaign import CampaignNetwork, load_campaign
from nnlc.families.article import NetworkSpec
from nnlc.families.layouts import article_layout
from nnlc.networks import ImageSet
from nnlc.tables import CURVE_COLUMNS, Row, Table
from nnlc.tables.frames import Tables, frames_of
from nnlc.tables.record import Record

_TOPS = {"CIFAR-100": 38.0, "F-MNIST": 93.0, "SVHN": 92.0}


def few_networks(per_depth: int, *datasets: str) -> list[CampaignNetwork]:
    """Of the article's campaign, so many of each depth on these images."""
    campaign = load_campaign("paper")
    sections = {
        name: section.model_copy(update={"networks_per_depth": per_depth * (name in datasets)})
        for name, section in campaign.datasets.items()
    }
    return list(campaign.model_copy(update={"datasets": sections}).networks())


def curve_of(spec: NetworkSpec, images: ImageSet, half_epochs: int = 80) -> np.ndarray:
    """Half epochs × (training loss, validation loss, accuracy in percent)."""
    rng = np.random.default_rng(spec.random_seed)
    epochs = np.arange(1, half_epochs + 1) / 2
    chance, start = 100 / images.classes, math.log(images.classes)
    pace = math.log10(spec.learning_rate / (1 - min(spec.momentum, 0.95)) / spec.batch_size * 50)
    linear = sum(1 for block in spec.layer_types if not block & 1) / spec.depth
    reach = 1 / (1 + math.exp(-2.5 * (pace + 4))) * (1 - 0.3 * linear) * rng.uniform(0.6, 1)
    reach *= 1 - 0.05 * spec.depth * rng.random()
    top = chance + (_TOPS.get(images.name, 80.0) - chance) * max(reach, 0.0)
    if (pace > -0.4 and rng.random() < 0.5) or rng.random() < 0.06:
        top = chance
    speed = 10 ** np.clip(pace + 1.5 + rng.normal(0, 0.2), -2.5, 0.5)
    gained = 1 - np.exp(-speed * epochs)
    accuracy = chance + (top - chance) * gained * (1 + rng.normal(0, 0.01, half_epochs))
    share = (top - chance) / (100 - chance)
    overfit = share * rng.uniform(0, 1.2) * (1 - spec.dropout_rate)
    saw = np.where(np.arange(half_epochs) % 2 == 0, -1, 1) * 0.06 * overfit * gained
    train = start * np.exp(-(share + overfit) * gained * 2 + saw)
    val = start * np.exp(-share * gained * 1.5) * (1 + 0.4 * overfit * gained)
    noise = 1 + rng.normal(0, 0.005, (2, half_epochs))
    curve = np.stack([train * noise[0], val * noise[1], np.clip(accuracy, 0, 100)], axis=1)
    if pace > -0.3 and rng.random() < 0.7:
        curve[rng.integers(0, half_epochs) :] = (math.nan, math.inf, chance)
    return curve


def sample_tables(
    networks: Sequence[CampaignNetwork], half_epochs: int = 80, *, published: bool = False
) -> Tables:
    """Their tables as frames; no file is written."""
    fields = [column.field for column in METADATA_COLUMNS]
    records = []
    for network in networks:
        spec = replace(network.spec, torch_set_deterministic=not published)
        records.append(
            Record(
                Path(f"{network.images.name}_models/{spec.id}.txt"),
                "",
                article_layout(),
                tuple(getattr(spec, field) for field in fields),
                curve_of(spec, network.images, half_epochs),
            )
        )
    return frames_of(records)


def table_of(network: CampaignNetwork, half_epochs: int = 80, **changes: object) -> Table:
    """The same for one network, as a table."""
    curve = curve_of(network.spec, network.images, half_epochs).tolist()
    return Table(replace(network.spec, **changes), tuple(Row(*values) for values in curve))


def write_tables(
    folder: Path, networks: Iterable[CampaignNetwork], half_epochs: int = 80, **changes: object
) -> None:
    """A file for each, where a results folder has it."""
    for network in networks:
        path = folder / f"{network.images.name}_models" / f"{network.spec.id}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(table_of(network, half_epochs, **changes).to_bytes())


def copies(tables: Tables, count: int) -> Tables:
    """So many tables: these, again and again, each with an ID of its own."""
    fields = [column.field for column in METADATA_COLUMNS]
    curves = tables.curves[[column.field for column in CURVE_COLUMNS]].to_numpy()
    ends = np.cumsum(tables.networks["half_epochs"]).tolist()
    parts = [curves[start:end] for start, end in pairwise([0, *ends])]
    rows = list(tables.networks[fields].itertuples(index=False, name=None))
    return frames_of(
        Record(
            Path("x.txt"),
            "",
            article_layout(),
            (f"2022_01_05_00_00_00_{i:06d}", *rows[j][1:]),
            parts[j],
        )
        for i, j in ((i, i % len(rows)) for i in range(count))
    )
