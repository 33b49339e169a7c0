"""Methods of `Benchmark` that make benchmarks of other tools from its tables."""

import pandas as pd

from nnlc.benchmark.tabular import Cost, Floats, TabularNetworks, choose_networks
from nnlc.networks.image_sets import dataset_among


class OtherTools:
    """Base class of `Benchmark`: one method for each tool; only its own module imports the tool."""

    networks: pd.DataFrame
    _curves: dict[str, Floats]
    _seconds: dict[str, Floats]
    _step: float

    def chosen(
        self,
        dataset: str | None = None,
        *,
        half_epochs: int | None = None,
        cost: Cost = "seconds",
    ) -> TabularNetworks:
        """Return the networks of one dataset with curves of equal length, as other tools need them.

        Args:
            dataset: as for `sample`; needed if there are several.
            half_epochs: take the networks with at least this number of half epochs, up to it;
                default: those with the most common number.
            cost: "seconds", recorded for every half epoch of each network, or "epochs".

        Raises:
            NnlcError: by the rules of `TabularNetworks`, this is no benchmark.
        """
        if dataset is not None:
            dataset = dataset_among(dataset, self.networks["dataset"].unique())
        return choose_networks(
            self.networks, self._curves, self._seconds, self._step, dataset, half_epochs, cost
        )
