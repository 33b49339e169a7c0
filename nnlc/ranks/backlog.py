"""What a campaign still has to train, and in which order it is handed out."""

import heapq
from dataclasses import replace

from nnlc.campaign import Campaign, CampaignNetwork
from nnlc.errors import ResultsError, TableError
from nnlc.networks.cost import CPU, GPU, Machine, predict_seconds
from nnlc.results import ResultsFolder
from nnlc.tables import read_table


class Backlog:
    """Networks that wait, longest predicted first; equal ones in the order of their index.

    Longest first keeps the end of a job short: the last networks to start are the smallest.
    """

    def __init__(self, networks: list[CampaignNetwork], epochs: int, machine: Machine) -> None:
        self.seconds = {
            n.index: predict_seconds(n.spec, n.images, epochs, machine) for n in networks
        }
        self._networks = {n.index: n for n in networks}
        self._heap = [(-self.seconds[n.index], n.index) for n in networks]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def take(self) -> CampaignNetwork | None:
        """The longest network that waits, or None."""
        return self._networks[heapq.heappop(self._heap)[1]] if self._heap else None

    def put_back(self, network: CampaignNetwork) -> None:
        """Let a network wait again."""
        heapq.heappush(self._heap, (-self.seconds[network.index], network.index))


def machine_of(device: str) -> Machine:
    """The nominal machine that costs are predicted for on `cuda` or `cpu`."""
    return GPU if device == "cuda" else CPU


def unfinished(campaign: Campaign, results: ResultsFolder) -> tuple[list[CampaignNetwork], int]:
    """The networks without a table, and how many have one.

    A table that stands is read whole, to see that it is this network's.

    Raises:
        ResultsError: a table is damaged or another network's. Nothing is changed.
    """
    networks = list(campaign.networks())
    missing = [n for n in networks if not _has_table(n, results, campaign.half_epochs)]
    return missing, len(networks) - len(missing)


def _has_table(network: CampaignNetwork, results: ResultsFolder, half_epochs: int) -> bool:
    path = results.table_path(network.images, network.spec)
    if not path.exists():
        return False
    try:
        found = read_table(path, half_epochs=half_epochs).spec
    except TableError as problem:
        raise ResultsError(
            f"{problem}; move this table away to have its network trained again"
        ) from None
    if replace(found, train_gpu=network.spec.train_gpu) != network.spec:
        raise ResultsError(
            f"{path}: this table describes another network than the campaign's {network.spec.id}; "
            "move it away to have the campaign's own trained"
        )
    return True
