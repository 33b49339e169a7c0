"""Methods of `Benchmark` that make benchmarks of other tools from its tables."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pandas as pd

from nnlc.benchmark.nearest import Surrogate
from nnlc.benchmark.tabular import Cost, Floats, TabularNetworks, choose_networks
from nnlc.networks.image_sets import dataset_among
from nnlc.system.extras import MissingExtraError, require_extra

if TYPE_CHECKING:
    from nnlc.benchmark.mfpbench import NetworkBenchmark
    from nnlc.benchmark.optuna import Objective
    from nnlc.benchmark.syne_tune import NetworkBlackbox


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

    def to_mfpbench(
        self,
        dataset: str | None = None,
        *,
        half_epochs: int | None = None,
        cost: Cost = "seconds",
        surrogate: Surrogate | None = None,
        seed: int | None = None,
    ) -> "NetworkBenchmark":
        """Return a tabular benchmark for mf-prior-bench; see `NetworkBenchmark`.

        Args:
            dataset: as for `chosen`, like `half_epochs` and `cost`.
            surrogate: "nearest" answers for any hyperparameters with the nearest network; default:
                only existing networks are answered.
            seed: seed of the benchmark's `space`.

        Raises:
            MissingExtraError: mf-prior-bench is not installed.
            NnlcError: as for `chosen`.
        """
        if find_spec("mfpbench") is None:
            raise MissingExtraError(
                "to_mfpbench needs mf-prior-bench, not installed here; it needs NumPy 1, so run, "
                "in a clone of nnlc and an environment of its own: pip install mf-prior-bench ."
            )
        from nnlc.benchmark.mfpbench import NetworkBenchmark

        chosen = self.chosen(dataset, half_epochs=half_epochs, cost=cost)
        return NetworkBenchmark(chosen, surrogate, seed)

    def objective(
        self,
        dataset: str | None = None,
        *,
        half_epochs: int | None = None,
        cost: Cost = "seconds",
        surrogate: Surrogate | None = None,
    ) -> "Objective":
        """Return an objective for an Optuna study that maximises; see `Objective`.

        Args:
            dataset: as for `chosen`, like `half_epochs` and `cost`.
            surrogate: "nearest" makes a trial suggest hyperparameters, which the nearest network
                answers; default: a trial suggests a network's ID.

        Raises:
            MissingExtraError: Optuna is not installed.
            NnlcError: as for `chosen`.
        """
        require_extra("bench", "objective", "optuna")
        from nnlc.benchmark.optuna import Objective

        return Objective(self.chosen(dataset, half_epochs=half_epochs, cost=cost), surrogate)

    def to_syne_tune(
        self,
        dataset: str | None = None,
        *,
        half_epochs: int | None = None,
        cost: Cost = "seconds",
        surrogate: Surrogate | None = None,
    ) -> "NetworkBlackbox":
        """Return a blackbox for Syne Tune's simulator; see `NetworkBlackbox`.

        Args:
            dataset: as for `to_mfpbench`, like all arguments.

        Raises:
            MissingExtraError: Syne Tune, or huggingface_hub, which it needs here, isn't installed.
            NnlcError: as for `chosen`.
        """
        require_extra("bench", "to_syne_tune", "syne_tune", "huggingface_hub")
        from nnlc.benchmark.syne_tune import NetworkBlackbox

        return NetworkBlackbox(self.chosen(dataset, half_epochs=half_epochs, cost=cost), surrogate)
