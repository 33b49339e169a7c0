"""Regret over cost of two search methods: `python benchmarks/search.py FOLDER [--dataset D]`.

Random search trains networks to the end. Successive halving (asynchronous, with stopping: Li et
al., MLSys 2020) compares a network after 1, 3, 9, … half epochs with all that came so far: it goes
on if it is in the best third. Each runs on `nnlc.Benchmark` itself, and by Optuna and Syne Tune, if
installed, through nnlc's adapters. The two round a third differently; so each has its own halving
on `Benchmark`. Optuna draws networks by its random sampler, with replacement; Syne Tune is given
the order of `Benchmark.sample`.

Prints how many percentage points the best accuracy found is below the best of all networks, when so
many percent of the cost of training all networks are spent; means over seeds, "-" if some seed has
no network by then. Exits with 1 unless each tool trains the same networks, in the same order, for
as many half epochs, at the same cost and with the same accuracy, to the last digit.
"""

import argparse
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

import nnlc
from nnlc.benchmark.tabular import TabularNetworks
from nnlc.wording import counted

FACTOR = 3
"""Inverse of the share of networks that go on."""
PERCENT = (2, 5, 10, 20, 50, 100)
"""Costs at which the regret is printed, in percent of the cost of all networks."""

GoesOn = Callable[[list[float]], bool]
"""Rule of halving: True if the last of these errors is in the best third."""


class Trained(NamedTuple):
    """A network that a search has trained."""

    id: str
    half_epochs: int
    cost: float
    error: float
    """Least error after any of its half epochs, in percent."""


def search(
    bench: nnlc.Benchmark, chosen: TabularNetworks, order: Sequence[str], goes_on: GoesOn | None
) -> Iterator[Trained]:
    """Yield the networks that halving trains by a rule; without a rule, those of random search."""
    rungs: dict[int, list[float]] = {}
    while FACTOR ** len(rungs) < chosen.half_epochs:
        rungs[FACTOR ** len(rungs)] = []
    for id_ in order:
        errors = []
        for half_epoch in range(1, chosen.half_epochs + 1):
            seen = bench.query(id_, half_epoch * chosen.step)
            errors.append(float(100 - np.nan_to_num(seen.val_accuracy_percent)))
            if goes_on and half_epoch in rungs:
                rungs[half_epoch].append(errors[-1])
                if not goes_on(rungs[half_epoch]):
                    break
        cost = seen.seconds if chosen.cost == "seconds" else seen.epoch
        yield Trained(id_, half_epoch, cost or 0.0, min(errors))


class Optuna:
    """Optuna's random sampler and its pruner for successive halving."""

    name, module = "Optuna", "optuna"

    def __init__(self, bench: nnlc.Benchmark, given: dict[str, Any], seed: int) -> None:
        self.bench, self.given, self.seed = bench, given, seed

    def order(self, ids: tuple[str, ...]) -> list[str]:
        """Return the networks as the sampler draws them: the largest of a number for each."""
        rng = np.random.RandomState(self.seed)
        return [ids[rng.uniform(size=len(ids)).argmax()] for _ in ids]

    @staticmethod
    def goes_on(errors: list[float]) -> bool:
        """Return True if the last error is among the best n // 3, or the best of fewer."""
        return errors[-1] <= sorted(errors)[max(len(errors) // FACTOR, 1) - 1]

    def trained(self, *, halving: bool) -> list[Trained]:
        """Return what it trains."""
        import optuna
        from optuna.pruners import NopPruner, SuccessiveHalvingPruner

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        halve = SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(self.seed),
            pruner=halve if halving else NopPruner(),
        )
        objective = self.bench.objective(**self.given)
        study.optimize(objective, n_trials=len(objective.ids))
        return [
            Trained(
                trial.user_attrs["network"],
                trial.user_attrs["half_epochs"],
                trial.user_attrs[self.given["cost"]],
                min(100 - value for value in trial.intermediate_values.values()),
            )
            for trial in study.trials
        ]


class SyneTune:
    """Syne Tune's random search and ASHA, under its simulator, with one worker."""

    name, module = "Syne Tune", "syne_tune"

    def __init__(self, bench: nnlc.Benchmark, given: dict[str, Any], seed: int) -> None:
        self.bench, self.given, self.seed = bench, given, seed

    def order(self, ids: tuple[str, ...]) -> list[str]:
        """Return the order that it is given."""
        return [id_ for id_ in self.bench.sample(len(self.bench), self.seed) if id_ in ids]

    @staticmethod
    def goes_on(errors: list[float]) -> bool:
        """Return True if at most a third of the errors are smaller than the last."""
        return sum(error < errors[-1] for error in errors) / len(errors) <= 1 / FACTOR

    def trained(self, *, halving: bool) -> list[Trained]:
        """Return what it trains."""
        from syne_tune import StoppingCriterion, Tuner
        from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
        from syne_tune.blackbox_repository import UserBlackboxBackend
        from syne_tune.optimizer.baselines import ASHA, RandomSearch

        logging.disable(logging.WARNING)
        blackbox = self.bench.to_syne_tune(**self.given)
        half_epochs, number = blackbox.chosen.half_epochs, len(blackbox.chosen.ids)
        points = [{"id": id_} for id_ in self.order(blackbox.chosen.ids)]
        known = {"config_space": blackbox.configuration_space, "points_to_evaluate": points}
        rungs = {"time_attr": "half_epoch", "max_t": half_epochs, "reduction_factor": FACTOR}
        error = "val_error_percent"
        scheduler = (
            ASHA(metric=error, **rungs, **known)
            if halving
            else RandomSearch(metrics=[error], **known)
        )
        results = SimulatorCallback()
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            os.environ["SYNETUNE_FOLDER"] = folder
            Tuner(
                UserBlackboxBackend(
                    blackbox,
                    elapsed_time_attr="elapsed_time",
                    # A network goes on until the simulator looks whether it should stop.
                    tuner_sleep_time=0.01 if halving else 10,
                ),
                scheduler,
                StoppingCriterion(max_num_trials_finished=number),
                n_workers=1,
                sleep_time=0,
                save_tuner=False,
                print_update_interval=float("inf"),
                callbacks=[results],
            ).run()
        told = {"config_id": "last", "half_epoch": "max", error: "min"}
        trials = results.dataframe().groupby("trial_id").agg(told).head(number)
        # The cost is asked of the blackbox: in the simulator, a half epoch takes at least 0.01 s.
        return [
            Trained(id_, last, float(blackbox({"id": id_}, last)["elapsed_time"]), least)
            for id_, last, least in trials.itertuples(index=False)
        ]


TOOLS = (Optuna, SyneTune)


def regret_at(trained: list[Trained], costs: Sequence[float], best: float) -> list[float]:
    """Return the regret in percentage points when so much is spent; NaN before any network."""
    spent = np.cumsum([one.cost for one in trained])
    regrets = np.minimum.accumulate([one.error for one in trained]) - best
    # Sums of seconds in another order differ in their last digits.
    found = np.searchsorted(spent, np.multiply(costs, 1 + 1e-9), side="right")
    return [float(regrets[number - 1]) if number else np.nan for number in found]


def difference(ours: list[Trained], theirs: list[Trained]) -> str:
    """Return the first difference of two searches in words, or nothing."""
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False), 1):
        if our != their:
            return f"network {number}: {tuple(our)} on Benchmark, {tuple(their)} by the tool"
    return "" if len(ours) == len(theirs) else f"{len(theirs)} networks instead of {len(ours)}"


def main() -> int:
    """Print the regrets; return 1 if a tool differs, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="of tables, such as a results folder")
    parser.add_argument("--dataset", help="needed if the folder has several")
    parser.add_argument(
        "--cost",
        choices=("seconds", "epochs"),
        default="seconds",
        help="seconds come from the journal of a results folder (%(default)s)",
    )
    parser.add_argument(
        "--seeds", type=int, default=10, metavar="N", help="searches of each kind (%(default)s)"
    )
    words = parser.parse_args()
    if words.seeds < 1:
        parser.error(f"argument --seeds: {words.seeds} is less than 1")
    try:
        return compare(words.folder, words.seeds, {"dataset": words.dataset, "cost": words.cost})
    except nnlc.NnlcError as problem:
        parser.error(str(problem))


def compare(folder: str, seeds: int, given: dict[str, Any]) -> int:
    """Print the regrets with the networks that are given; return 1 if a tool differs, else 0."""
    bench = nnlc.Benchmark(folder)
    chosen = bench.chosen(**given)
    whole, best = float(chosen.costs[:, -1].sum()), float((100 - chosen.accuracy).min())
    print(
        f"{len(chosen.ids)} networks of {chosen.dataset}, "
        f"{counted(chosen.half_epochs, 'half epoch')}, {whole:.1f} {chosen.cost} in all; "
        f"seeds 1 to {seeds}; -: some seed has no network by then"
    )
    print(f"{'regret (points) at % of this cost':34}" + "".join(f"{each:8}" for each in PERCENT))
    differences = []
    for tool in TOOLS:
        for halving in (False, True):
            rows, name = [], "halving" if halving else "random search"
            for seed in range(1, seeds + 1):
                one = tool(bench, given, seed)
                rule = one.goes_on if halving else None
                ours = list(search(bench, chosen, one.order(chosen.ids), rule))
                rows.append(regret_at(ours, [whole * each / 100 for each in PERCENT], best))
                if find_spec(tool.module) and (
                    text := difference(ours, one.trained(halving=halving))
                ):
                    differences.append(f"{name} of {tool.name}, seed {seed}: {text}")
            means = "".join(f"{mean:8.2f}" for mean in np.mean(rows, axis=0))
            print(f"{f'{name} as in {tool.name}':34}{means}".replace("nan", "  -"))
    compared = [tool.name for tool in TOOLS if find_spec(tool.module)]
    missing = [f"{tool.name} is not installed" for tool in TOOLS if tool.name not in compared]
    last = [f"equal to the last digit: {' and '.join(compared)}"] if compared else []
    last += [f"not compared: {', '.join(missing)}"] if missing else []
    print("\n".join(differences or ["; ".join(last)]))
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
