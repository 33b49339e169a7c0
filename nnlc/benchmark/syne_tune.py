"""Blackbox for Syne Tune's simulator that looks up networks' learning curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.config_space import choice, loguniform, randint, uniform

from nnlc.benchmark.nearest import Hyperparameter, Surrogate, nearest_network
from nnlc.benchmark.tabular import Floats, TabularNetworks, checked_half_epoch
from nnlc.errors import NnlcError

FIDELITY = "half_epoch"
OBJECTIVES = ("val_error_percent", "elapsed_time")


class NetworkBlackbox(BlackboxTabular):  # type: ignore[misc]
    """Blackbox of networks: configurations are networks, fidelities are half epochs from 1.

    The objectives are `val_error_percent`, 100 minus the validation accuracy, and `elapsed_time`,
    the seconds (or epochs) from the start of training.

    Without a surrogate, the configuration space has one categorical hyperparameter, `id`, with the
    networks' IDs. So every searcher suggests existing networks only, but learns nothing from one
    about another. With "nearest", the space has the networks' ranges of each hyperparameter in
    which they differ, without conditions, and the existing network at the smallest distance
    answers (`nearest.NearestNetwork`). A configuration's values of layers that it does not have
    are ignored; in `hyperparameters`, they are the smallest of their range.

    Args:
        chosen: the networks.
        surrogate: None or "nearest".

    Attributes:
        chosen: the networks, and those left out with the reason.

    Raises:
        NnlcError: there is no such surrogate, or the networks don't differ in a hyperparameter.
    """

    def __init__(self, chosen: TabularNetworks, surrogate: Surrogate | None = None) -> None:
        self.chosen = chosen
        self._nearest = nearest_network(surrogate, chosen)
        curves = np.stack([100 - chosen.accuracy, chosen.costs], axis=-1)
        self._curves: dict[str, Floats] = dict(zip(chosen.ids, curves, strict=True))
        known = chosen.hyperparameters.reset_index()
        parameters = [Hyperparameter("id", chosen.ids)]
        if self._nearest is not None:
            parameters = [one for one in self._nearest.hyperparameters if one.differs]
        # Syne Tune refuses equal rows.
        frame = pd.DataFrame(
            {one.name: _column(one, known[one.name]) for one in parameters}
        ).drop_duplicates()
        super().__init__(
            hyperparameters=frame.reset_index(drop=True),
            configuration_space={one.name: _domain(one) for one in parameters},
            fidelity_space={FIDELITY: randint(1, chosen.half_epochs)},
            objectives_evaluations=curves[frame.index][:, None],
            objectives_names=list(OBJECTIVES),
        )

    def network_of(self, configuration: Mapping[str, Any]) -> str:
        """Return the ID of the network that answers for a configuration.

        Raises:
            NnlcError: it is no network, and there is no surrogate; or it has other hyperparameters.
        """
        is_mapping = isinstance(configuration, Mapping)
        if self._nearest is not None and is_mapping:
            return self._nearest.find(configuration)
        id_ = configuration["id"] if is_mapping and list(configuration) == ["id"] else None
        if not isinstance(id_, str) or id_ not in self._curves:
            raise NnlcError(
                f"{configuration!r} is none of the {len(self._curves)} networks: give {{'id': ID}}"
                ', or with surrogate="nearest" hyperparameters by name'
            )
        return id_

    def objective_function(
        self,
        configuration: Mapping[str, Any],
        fidelity: Mapping[str, int] | int | None = None,
        seed: int | None = None,  # noqa: ARG002  each network was trained once
    ) -> dict[str, float] | Floats:
        """Return both objectives of a network after a half epoch.

        Args:
            configuration: of the configuration space.
            fidelity: number of the half epoch, or {"half_epoch": number}; None for all, as an array
                of half epochs × objectives.
            seed: without effect, since each network was trained once.

        Raises:
            NnlcError: there is no such network or half epoch.
        """
        curve = self._curves[self.network_of(configuration)]
        if fidelity is None:
            return curve.copy()
        number = fidelity.get(FIDELITY, fidelity) if isinstance(fidelity, Mapping) else fidelity
        row = curve[checked_half_epoch(number, 1, len(curve)) - 1]
        return dict(zip(OBJECTIVES, row.tolist(), strict=True))


def _domain(one: Hyperparameter) -> Any:
    if one.choices:
        return choice(list(one.choices))
    if one.whole:
        return randint(int(one.low), int(one.high))
    return (loguniform if one.logarithmic else uniform)(one.low, one.high)


def _column(one: Hyperparameter, values: "pd.Series[Any]") -> list[Any]:
    """Return the networks' values as the domain has them."""
    if one.choices:
        return list(values.fillna(one.choices[0]))
    numbers = values.fillna(one.low).astype(float).clip(lower=one.low)
    return list(map(int, numbers)) if one.whole else list(numbers)
