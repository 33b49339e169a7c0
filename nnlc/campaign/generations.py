"""Generations of a campaign: its networks and epochs before each growth, and the order of networks.

A campaign grows by `nnlc grow`. Networks of an earlier generation keep their index, ID and seed;
networks of a later generation come behind them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from nnlc.campaign.dataset_section import DatasetSection, Section


class Generation(Section):
    """Epochs and networks of a campaign before it grew."""

    epochs: int
    datasets: dict[str, DatasetSection]
    """Datasets with networks: only how many, and of which depths."""


def network_groups(
    generations: Iterable[Mapping[str, DatasetSection]],
) -> Iterator[tuple[str, int, int]]:
    """Yield name of the dataset, depth and number of networks of each group, in order of index.

    Args:
        generations: datasets of each generation by name, the oldest first. A later generation
            contains the networks of the earlier ones, and adds groups only for further networks.
    """
    drawn: Counter[tuple[str, int]] = Counter()
    for datasets in generations:
        for name, section in datasets.items():
            low, high = section.depths
            for depth in range(low, high + 1):
                if (more := section.networks_per_depth - drawn[name, depth]) > 0:
                    yield name, depth, more
                    drawn[name, depth] += more
