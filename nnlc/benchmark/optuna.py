"""Objective for Optuna that looks up a network's learning curve instead of training the network."""

from typing import Any

from optuna import Trial, TrialPruned
from optuna.study import StudyDirection

from nnlc.benchmark.nearest import Hyperparameter, Surrogate, nearest_network
from nnlc.benchmark.tabular import TabularNetworks
from nnlc.errors import NnlcError
from nnlc.families.layouts import has_layer
from nnlc.wording import counted, some_of


class Objective:
    """Function of a trial: the validation accuracy in percent after a network's last half epoch.

    A trial reports the accuracy after each half epoch: its step is the half epoch's number, from 1.
    If the study's pruner then says so, the trial ends with `TrialPruned`, but not after the last
    half epoch, when no training is left to save. A network that is chosen again is trained again.

    User attributes of each trial, of a pruned one too:

    - `network`: ID of the network.
    - `half_epochs`: number of half epochs until the trial's end, of `chosen.step` epochs each.
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
        known = self._nearest.hyperparameters if self._nearest else ()
        self._parameters = known or (Hyperparameter("network", self.ids),)

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
        values = self._suggested(trial)
        id_ = self._nearest.find(values) if self._nearest else values["network"]
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
        names = [one.name for one in self._parameters]
        for name in record.system_attrs.get("fixed_params", {}):
            if name not in names:
                hint = "" if self._nearest else ', or with surrogate="nearest" hyperparameters'
                raise NnlcError(f"a trial has no {name!r}: enqueue {some_of(names, 12)}{hint}")

    def _suggested(self, trial: Any) -> dict[str, Any]:
        """Return the parameters that a trial suggests, only those of layers that are there."""
        values: dict[str, Any] = {}
        for one in self._parameters:
            if not has_layer(one.name, values):
                continue
            try:
                if one.choices:
                    value = trial.suggest_categorical(one.name, one.choices)
                elif one.whole:
                    value = trial.suggest_int(one.name, int(one.low), int(one.high))
                else:
                    value = trial.suggest_float(one.name, one.low, one.high, log=one.logarithmic)
            except ValueError as problem:
                reason = str(problem).partition(" not in (")[0].rstrip(".")
                raise NnlcError(
                    f"a trial can't suggest {one.name} ({reason}): there are {one.known}"
                ) from None
            values[one.name] = value
        return values
