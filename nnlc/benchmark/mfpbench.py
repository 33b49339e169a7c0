"""Benchmark for mf-prior-bench that looks up networks' learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from keyword import iskeyword
from typing import Any

import numpy as np
import pandas as pd
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from mfpbench import Metric, Result, TabularBenchmark, TabularConfig

from nnlc.benchmark.nearest import Hyperparameter, Surrogate, nearest_network
from nnlc.benchmark.tabular import TabularNetworks
from nnlc.errors import NnlcError

_ACCURACY = Metric(minimize=False, bounds=(0, 100))
_LOSS = Metric(minimize=True)
_COST = Metric(minimize=True, bounds=(0, np.inf))


@dataclass(frozen=True, eq=False)
class NetworkConfig(TabularConfig):  # type: ignore[misc]
    """Hyperparameters of one network; two networks with the same ones are different configs."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NetworkConfig):
            return vars(self) == vars(other)
        return bool(super().__eq__(other))

    def __hash__(self) -> int:
        return hash(self.id)


class NetworkBenchmark(TabularBenchmark):  # type: ignore[misc]
    """Benchmark of networks: configs are networks, fidelities are half epochs from 1.

    The result of a query has `val_accuracy_percent`, the value metric, which is maximised (so
    `error` goes from 0 to 1), `val_loss` and `train_loss` (infinite where missing), and the cost
    metric `seconds`, or `epochs` with `cost="epochs"`: the cost from the start of training. There
    is no test metric.

    A config has all columns of `hyperparameters`. What a network does not have is 0, or "" for
    texts: layers beyond its depth and fc_layers, and pooling that its block does not have.

    Without a surrogate, `space` has one categorical hyperparameter, `id`, with the networks' IDs,
    so that each sample of it is a network. A query by ID, config or all hyperparameters answers if
    there is this network. With "nearest", `space` has the networks' ranges of each hyperparameter,
    without conditions, and each query by other hyperparameters is answered by the network at the
    smallest distance (`NearestNetwork`), which is the result's `config`.

    Args:
        chosen: the networks.
        surrogate: None or "nearest".
        seed: seed of `space`.

    Attributes:
        chosen: the networks, and those left out with the reason.

    Raises:
        NnlcError: the networks have only one half epoch, or there is no such surrogate.
    """

    def __init__(
        self, chosen: TabularNetworks, surrogate: Surrogate | None = None, seed: int | None = None
    ) -> None:
        if chosen.half_epochs < 2:
            raise NnlcError(
                "mf-prior-bench needs at least 2 half epochs, and these networks have 1: give "
                "networks with longer tables"
            )
        self.chosen = chosen
        self._nearest = nearest_network(surrogate, chosen)
        metrics = {
            "val_accuracy_percent": (_ACCURACY, chosen.accuracy),
            "val_loss": (_LOSS, chosen.val_loss),
            "train_loss": (_LOSS, chosen.train_loss),
            chosen.cost: (_COST, chosen.costs),
        }
        space = ConfigurationSpace("nnlc", seed=seed)
        if self._nearest is None:
            space.add(CategoricalHyperparameter("id", chosen.ids))
        else:
            space.add([_in_space(one) for one in self._nearest.hyperparameters])
        result_type = make_dataclass(
            "NetworkResult",
            [(name, Metric.Value) for name in metrics],
            bases=(Result,),
            frozen=True,
            namespace={
                "metric_defs": {name: metric for name, (metric, _) in metrics.items()},
                "default_value_metric": "val_accuracy_percent",
                "default_value_metric_test": None,
                "default_cost_metric": chosen.cost,
            },
        )
        frame = chosen.hyperparameters.fillna(0)
        for name in map(str, frame):
            if not name.isidentifier() or iskeyword(name) or name in metrics:
                raise NnlcError(
                    f"mf-prior-bench can't have a hyperparameter named {name!r}: rename the column"
                )
        super().__init__(
            f"nnlc-{chosen.dataset}",
            _long_table(chosen, frame, {name: values for name, (_, values) in metrics.items()}),
            id_key="id",
            fidelity_key="half_epoch",
            result_type=result_type,
            config_type=make_dataclass(
                "NetworkConfig",
                [(str(name), Any) for name in frame],
                bases=(NetworkConfig,),
                frozen=True,
                eq=False,
            ),
            space=space,
            seed=seed,
        )

    def query(self, config: Any, *, at: int | None = None, **metrics: Any) -> Any:
        """Return the result of a network after a half epoch; default: its last.

        Raises:
            NnlcError: there is no such network or half epoch.
        """
        self._check(at)
        return super().query(self._find_config(config), at=at, **metrics)

    def trajectory(
        self, config: Any, *, frm: int | None = None, to: int | None = None, **options: Any
    ) -> Any:
        """Return the results of a network from one half epoch to another, both included.

        Raises:
            NnlcError: there is no such network or half epoch.
        """
        self._check(frm)
        self._check(to, frm or 1)
        return super().trajectory(self._find_config(config), frm=frm, to=to, **options)

    def _check(self, half_epoch: Any, first: int = 1) -> None:
        if half_epoch is not None and half_epoch not in range(first, self.end + 1):
            raise NnlcError(
                f"half_epoch is {half_epoch!r}: give a whole number from {first} to {self.end}"
            )

    def _find_config(self, config: Any) -> Any:
        """Return the config of the network that a query names or describes."""
        if isinstance(config, NetworkConfig):
            id_, same = config.id, config == self.configs.get(config.id)
        else:
            config = dict(config) if isinstance(config, Mapping) else {"id": config}
            id_ = config.pop("id", None)
            same = not config or config == self.configs.get(id_)
        if id_ is not None and id_ not in self.configs:
            raise NnlcError(f"none of the {len(self.configs)} networks has the ID {id_!r}")
        if id_ is not None and same:
            return self.configs[id_]
        if self._nearest is not None:
            return self.configs[self._nearest.find(config)]
        for found in self.configs.values():
            if found == config:
                return found
        raise NnlcError(
            "no network has these hyperparameters: give the ID of one, or make the benchmark with "
            'surrogate="nearest"'
        )


def _long_table(
    chosen: TabularNetworks, frame: pd.DataFrame, metrics: Mapping[str, Any]
) -> pd.DataFrame:
    """Return a row for each network and half epoch, as `TabularBenchmark` reads it."""
    rows = frame.loc[frame.index.repeat(chosen.half_epochs)].reset_index()
    rows["half_epoch"] = np.tile(np.arange(1, chosen.half_epochs + 1), len(frame))
    return rows.assign(**{name: values.ravel() for name, values in metrics.items()})


def _in_space(one: Hyperparameter) -> Any:
    if one.choices:
        return CategoricalHyperparameter(one.name, one.choices)
    if one.low == one.high:
        return Constant(one.name, int(one.low) if one.whole else one.low)
    if one.whole:
        return UniformIntegerHyperparameter(one.name, int(one.low), int(one.high))
    return UniformFloatHyperparameter(one.name, one.low, one.high, log=one.logarithmic)
