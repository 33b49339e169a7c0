"""Objective for Optuna that looks up a network's learning curve instead of training the network."""

from typing import Any

from optuna import Trial, TrialPruned
from optuna.study import StudyDirection

from nnlc.benchmark.nearest import NearestNetwork, Surrogate, has_layer, nearest_network
from nnlc.benchmark.tabular import TabularNetworks
from nnlc.errors import NnlcError
from nnlc.wording import counted, some_of


class Objective:
    """Function of a trial: the validation accuracy in percent after a network's last half epoch.

    A trial reports the accuracy after each half epoch: its step is the half epoch's number, from 1.
    If the study's pruner then says so, the trial ends with `TrialPruned`, but not after the last
    half epoch, when no training is left to save. A network that is chosen again is trained again.

    User attributes of each trial, of a pruned one too:

    - `network`: ID of the network.
    - `half_epochs`: number of half epochs until the trial's end.
    - `seconds`, or `epochs` with `cost="epochs"`: the training's cost until then.

    Args:
        chosen: the networks.
        surrogate: None if a trial suggests the ID of a network, as the parameter `network`. With
            "nearest", it suggests hyperparameters (`hyperparameters`) in the networks' ranges, and
            the network at the smallest distance answers (`NearestNetwork`). A trial suggests only
            the layers that its depth, fc_layers and blocks have. Logarithmic ranges have no 0: to
            enqueue one, give the smallest positive value, as which it counts.

    Attributes:
        chosen: the networks, and those left out with the reason.
        ids: IDs of the networks, for `GridSampler({"network": objective.ids})`.
        half_epochs: number of half epochs of each network, the largest step.
    """

    def __init__(self, chosen: TabularNetworks, surrogate: Surrogate | None = None) -> None:
        self.chosen = chosen
        self.ids = chosen.ids
        self.half_epochs = chosen.half_epochs
        self._rows = {id_: row for row, id_ in enumerate(self.ids)}
        self._nearest = nearest_network(surrogate, chosen)

    def __call__(self, trial: Any) -> float:
        """Return the accuracy of the network that the trial suggests.

        Args:
            trial: a trial of a study that maximises, or a `FixedTrial`.

        Raises:
            optuna.TrialPruned: the pruner ends the trial.
            NnlcError: the study minimises or has several objectives, or the trial was enqueued
                with another network or with what no trial suggests.
        """
        if isinstance(trial, Trial):
            self._check_asked(trial)
        id_ = self._suggested_id(trial) if self._nearest is None else _found(trial, self._nearest)
        row = self._rows[id_]
        trial.set_user_attr("network", id_)
        for half_epoch, accuracy in enumerate(self.chosen.accuracy[row].tolist(), 1):
            trial.report(accuracy, half_epoch)
            pruned = half_epoch < self.half_epochs and trial.should_prune()
            if pruned:
                break
        trial.set_user_attr("half_epochs", half_epoch)
        trial.set_user_attr(self.chosen.cost, float(self.chosen.costs[row, half_epoch - 1]))
        if pruned:
            raise TrialPruned(f"network {id_} was pruned after {counted(half_epoch, 'half epoch')}")
        return float(accuracy)

    def _check_asked(self, trial: Trial) -> None:
        """Check that the study maximises, and that an enqueued trial has only what is suggested."""
        if trial.study.directions != [StudyDirection.MAXIMIZE]:
            raise NnlcError(
                "the objective is one accuracy, to be maximised, but the study is not: make it "
                'with optuna.create_study(direction="maximize")'
            )
        record = trial.study.get_trials(deepcopy=False)[trial.number]
        known = self._nearest.hyperparameters if self._nearest else ()
        names = [one.name for one in known] or ["network"]
        for name in record.system_attrs.get("fixed_params", {}):
            if name not in names:
                hint = "" if self._nearest else ', or with surrogate="nearest" hyperparameters'
                raise NnlcError(f"a trial has no {name!r}: enqueue {some_of(names, 12)}{hint}")

    def _suggested_id(self, trial: Any) -> str:
        try:
            return str(trial.suggest_categorical("network", self.ids))
        except ValueError as problem:
            reason = str(problem).partition(" not in (")[0].rstrip(".")
            raise NnlcError(
                f"{reason}: a trial's `network` can only be one of `ids` of the objective, such as "
                f"{self.ids[0]}"
            ) from None


def _found(trial: Any, nearest: NearestNetwork) -> str:
    """Return the ID of the network nearest to the hyperparameters that a trial suggests."""
    values: dict[str, Any] = {}
    for one in nearest.hyperparameters:
        if not has_layer(one.name, values):
            continue
        if one.choices:
            values[one.name] = trial.suggest_categorical(one.name, one.choices)
        elif one.whole:
            values[one.name] = trial.suggest_int(one.name, int(one.low), int(one.high))
        else:
            values[one.name] = trial.suggest_float(one.name, one.low, one.high, log=one.logarithmic)
    return nearest.find(values)
