"""Benchmark for mf-prior-bench that looks up networks' learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from keyword import iskeyword
from typing import Any

import numpy as np
from ConfigSpace import Categorical, ConfigurationSpace, Constant, Float, Integer
from mfpbench import Metric, Result, TabularBenchmark, TabularConfig

from nnlc.benchmark.nearest import Hyperparameter, Surrogate, nearest_network
from nnlc.benchmark.tabular import TabularNetworks, checked_half_epoch
from nnlc.errors import NnlcError


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

    A config has all columns of `hyperparameters`. Those of layers that a network does not have,
    beyond its depth and fc_layers or without pooling in its block, are 0.

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
        NnlcError: the networks have only one half epoch, mf-prior-bench can't have a name of a
            hyperparameter, or there is no such surrogate.
    """

    def __init__(
        self, chosen: TabularNetworks, surrogate: Surrogate | None = None, seed: int | None = None
    ) -> None:
        self.chosen = chosen
        self._nearest = nearest_network(surrogate, chosen)
        values = {
            "val_accuracy_percent": chosen.accuracy,
            "val_loss": chosen.val_loss,
            "train_loss": chosen.train_loss,
            chosen.cost: chosen.costs,
        }
        frame = chosen.hyperparameters.fillna(0)
        half_epochs = np.arange(1, chosen.half_epochs + 1)
        if len(half_epochs) < 2:
            raise NnlcError(
                "mf-prior-bench needs at least 2 half epochs, and these networks have 1: give "
                "networks with longer tables"
            )
        names = [str(name) for name in frame]
        taken = {"half_epoch", *values, *dir(NetworkConfig)}
        for name in names:
            if not name.isidentifier() or iskeyword(name) or name in taken:
                raise NnlcError(
                    f"mf-prior-bench can't have a hyperparameter named {name!r}: rename the column"
                )
        space = ConfigurationSpace("nnlc", seed=seed)
        known = self._nearest.hyperparameters if self._nearest else ()
        space.add([_in_space(one) for one in known or [Hyperparameter("id", chosen.ids)]])
        super().__init__(
            f"nnlc-{chosen.dataset}",
            # A row for each network and half epoch.
            frame.loc[frame.index.repeat(len(half_epochs))]
            .reset_index()
            .assign(half_epoch=np.tile(half_epochs, len(frame)))
            .assign(**{name: matrix.ravel() for name, matrix in values.items()}),
            id_key="id",
            fidelity_key="half_epoch",
            result_type=_result_type(tuple(values), chosen.cost),
            config_type=make_dataclass(
                "NetworkConfig", names, bases=(NetworkConfig,), frozen=True, eq=False
            ),
            space=space,
            seed=seed,
        )

    def query(self, config: Any, *, at: int | None = None, **metrics: Any) -> Any:
        """Return a network's result after a half epoch; default: the last."""
        at = None if at is None else checked_half_epoch(at, 1, self.end)
        return super().query(self._find_config(config), at=at, **metrics)

    def trajectory(
        self, config: Any, *, frm: int | None = None, to: int | None = None, **options: Any
    ) -> Any:
        """Return a network's results from one half epoch to another, both included."""
        frm = checked_half_epoch(1 if frm is None else frm, 1, self.end)
        to = checked_half_epoch(self.end if to is None else to, frm, self.end)
        return super().trajectory(self._find_config(config), frm=frm, to=to, **options)

    def _find_config(self, config: Any) -> Any:
        """Return the config of the network that a query names or describes."""
        values = {"id": str(config)}
        if isinstance(config, Mapping):
            values = dict(vars(config) if isinstance(config, NetworkConfig) else config)
        id_ = values.pop("id", None)
        if id_ is not None and (not isinstance(id_, str) or id_ not in self.configs):
            raise NnlcError(f"none of the {len(self.configs)} networks has the ID {id_!r}")
        if id_ is not None and values in ({}, _hyperparameters(self.configs[id_])):
            return self.configs[id_]
        if self._nearest is not None:
            return self.configs[self._nearest.find(values)]
        for found in self.configs.values():
            if values and values == _hyperparameters(found):
                return found
        raise NnlcError(
            "no network has these hyperparameters: give the ID of one, or make the benchmark with "
            'surrogate="nearest"'
        )


def _hyperparameters(config: NetworkConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if name != "id"}


def _result_type(names: tuple[str, ...], cost: str) -> type:
    metrics = {name: Metric(minimize=True) for name in names}
    defaults = {
        "metric_defs": metrics | {names[0]: Metric(minimize=False, bounds=(0, 100))},
        "default_value_metric": names[0],
        "default_value_metric_test": None,
        "default_cost_metric": cost,
    }
    fields = [(name, Metric.Value) for name in names]
    return make_dataclass("NetworkResult", fields, bases=(Result,), frozen=True, namespace=defaults)


def _in_space(one: Hyperparameter) -> Any:
    if one.choices:
        return Categorical(one.name, one.choices)
    if one.low == one.high:
        return Constant(one.name, int(one.low) if one.whole else one.low)
    if one.whole:
        return Integer(one.name, (int(one.low), int(one.high)))
    return Float(one.name, (one.low, one.high), log=one.logarithmic)
