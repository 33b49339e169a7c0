"""Networks on which a prediction can be scored: their accuracy at an epoch, and their curves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.analysis.metrics import check_rows
from nnlc.analysis.parallel import decide_timed, predict_timed
from nnlc.analysis.predictors.interface import (
    ContextPredictor,
    Curves,
    Predictions,
    Predictor,
    StopRule,
    Stops,
)
from nnlc.analysis.predictors.registry import MOST_EPOCHS, check_epoch
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name
from nnlc.system.toml_file import read_toml
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.campaign_files import CampaignFiles
from nnlc.tables.frames import Tables
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.analysis.contexts import Contexts

_FIELDS = [column.field for column in CURVE_COLUMNS]
_AFTER_TRAINING = ("half_epochs", "seconds", "path")
"""Columns of networks that are not known before the training."""


@dataclass(frozen=True, eq=False)
class ScorableNetworks:
    """Networks of one dataset with their curves up to a target epoch.

    Attributes:
        dataset: the dataset, as in the column `dataset`.
        target: the target epoch.
        ids: IDs of the networks that can be scored, in the order of the tables.
        curves: the networks' curves up to the target.
        networks: a row for each network, of the values known before its training.
        observed: each network's accuracy in percent at the target.
        diverged: IDs of networks left out because an accuracy or validation loss in their table
            is not finite. PENGUIN leaves them out too.
        short: IDs of networks left out because their table ends before the target.
        longest: last epoch of the longest of the short tables.
        step: epochs from one point of a curve to the next. To methods, it is always half an epoch.
        contexts: the finished curves from which methods learn; None if no method does.
    """

    dataset: str
    target: float
    ids: list[str]
    curves: Curves
    networks: pd.DataFrame
    observed: NDArray[np.float64]
    diverged: list[str]
    short: list[str]
    longest: float
    step: float
    contexts: "Contexts | None" = None

    def points(self, epoch: float) -> int:
        """Return the number of points of a curve up to an epoch."""
        return _points(epoch, self.step)

    def check_cutoff(self, end: float) -> None:
        """Check that an epoch is possible and before the target.

        Raises:
            NnlcError: it is not.
        """
        check_epoch("the cutoff", end)
        if end >= self.target:
            raise NnlcError(
                f"the cutoff, epoch {end:g}, is not before the target, epoch {self.target:g}: "
                "nothing would be left to predict"
            )

    def predict(
        self, methods: Sequence[Predictor], end: float, processes: int
    ) -> list[tuple[Predictions, float]]:
        """Return each method's predictions from the epochs up to `end`, and their seconds."""
        first, epoch = self.curves.first(self.points(end)), self.points(self.target) / 2
        others = [one for one in methods if not isinstance(one, ContextPredictor)]
        found = iter(predict_timed(others, first, epoch, processes) if others else ())
        known, contexts = replace(first, networks=self.networks), cast("Contexts", self.contexts)
        return [
            contexts.predict(one, known, epoch)
            if isinstance(one, ContextPredictor)
            else next(found)
            for one in methods
        ]

    def decide(self, rule: StopRule, processes: int) -> tuple[Stops, float]:
        """Return where a rule stops each network, and the seconds that the rule took."""
        if self.step == 1:
            given: Any = rule
            epochs = {"epoch", "patience"} & {field.name for field in fields(given)}
            rule = replace(given, **{name: getattr(rule, name) / 2 for name in epochs})
        return decide_timed(rule, self.curves, processes)


def _points(epoch: float, step: float) -> int:
    if epoch % step:
        raise NnlcError(f"epoch {epoch:g}: these curves have whole epochs only")
    return round(epoch / step)


def left_out(found: Sequence[ScorableNetworks]) -> dict[str, list[str]]:
    """Return the IDs of networks that are `diverged` or `short`, and lines that count them."""
    lines = []
    for one in found:
        name = f"{shown_name(one.dataset)}: " if len(found) > 1 else ""
        if one.diverged:
            lines.append(f"{name}{counted(len(one.diverged), 'network')} diverged: left out")
        if one.short:
            end = counted(len(one.short), "network ends", "networks end")
            lines.append(f"{name}{end} before epoch {one.target:g}: left out")
    return {
        "diverged": [id_ for one in found for id_ in one.diverged],
        "short": [id_ for one in found for id_ in one.short],
        "left_out": lines,
    }


def find_scorable(
    tables: Tables, target: float | None = None, *, only: Collection[str] | None = None
) -> list[ScorableNetworks]:
    """Return the networks on which a prediction for an epoch can be scored, by dataset.

    Args:
        tables: the result of `load_tables`.
        target: the epoch; None: for each dataset, the last epoch of its campaign, or that of its
            longest curve if it has none.
        only: IDs of the networks to take; None: all.

    Returns:
        An entry for each dataset, in the order of the tables; some may have no network left.

    Raises:
        NnlcError: the epoch is impossible, the frames were changed, an ID is unknown, or no
            network is left.
    """
    found = find_by_dataset(tables, target, only=only)
    if not any(one.ids for one in found):
        raise NnlcError(_nothing_left(found))
    return found


def find_by_dataset(
    tables: Tables, target: float | None = None, *, only: Collection[str] | None = None
) -> list[ScorableNetworks]:
    """Return the networks that can be scored, by dataset, as `find_scorable`; there may be none."""
    if target is not None:
        check_epoch("the target", target)
    check_rows(tables)
    if isinstance(only, str):
        raise NnlcError("only is a text, but must be a list of IDs")
    networks = tables.networks
    taken = np.ones(len(networks), dtype=bool)
    if only is not None:
        if unknown := sorted(set(only).difference(networks["id"])):
            raise NnlcError(
                f"none of the {counted(len(networks), 'network')} given has the ID {unknown[0]!r}"
            )
        taken = networks["id"].isin(set(only)).to_numpy()
    ends = np.full(len(networks), target) if target is not None else _last_epochs(tables)
    found = []
    for dataset in networks["dataset"][taken].unique():
        own = np.flatnonzero(taken & (networks["dataset"] == dataset))
        found.append(_of_dataset(tables, str(dataset), own, float(ends[own].max())))
    return found


def _last_epochs(tables: Tables) -> NDArray[np.float64]:
    """Return the last epoch of each table's campaign; of the table, if it has no campaign."""
    networks = tables.networks
    files, epochs = CampaignFiles(), cache(_campaign_epochs)
    paths = networks.get("path", [""] * len(networks))
    planned = np.array([epochs(files.of(path)) for path in paths], dtype=float)
    return np.where(planned > 0, planned, networks["half_epochs"] * tables.step)


def _campaign_epochs(file: Path | None) -> int:
    """Return the number of epochs in a campaign file; 0 if it says none."""
    try:
        epochs = read_toml(file, NnlcError).get("epochs") if file is not None else None
    except (NnlcError, OSError):  # status, audit and report say what is wrong with it
        return 0
    return epochs if isinstance(epochs, int) and 0 < epochs <= MOST_EPOCHS else 0


def _of_dataset(
    tables: Tables, dataset: str, places: NDArray[np.int64], target: float
) -> ScorableNetworks:
    values, points = tables.curves[_FIELDS].to_numpy(), _points(target, tables.step)
    lengths = tables.networks["half_epochs"].to_numpy()
    known = not tables.from_elsewhere
    usable = np.isfinite(values[:, 2])
    usable &= np.isfinite(values[:, 1]) if known else ~np.isinf(values[:, 1])
    starts, ids = np.cumsum(lengths) - lengths, tables.networks["id"].to_numpy()
    whole = [bool(usable[starts[i] : starts[i] + lengths[i]].all()) for i in places]
    left = places[whole]
    chosen, short = left[lengths[left] >= points], left[lengths[left] < points]
    blocks = values[starts[chosen, np.newaxis] + np.arange(points)]
    train_loss, val_loss, accuracy = np.moveaxis(blocks, 2, 0)
    return ScorableNetworks(
        dataset=dataset,
        target=target,
        ids=list(ids[chosen]),
        curves=Curves(
            np.arange(1, points + 1) / 2, accuracy, train_loss, val_loss, knows_losses=known
        ),
        networks=tables.networks.iloc[chosen].drop(columns=[*_AFTER_TRAINING], errors="ignore"),
        observed=accuracy[:, -1].copy(),
        diverged=list(ids[np.setdiff1d(places, left)]),
        short=list(ids[short]),
        longest=float(lengths[short].max(initial=0)) * tables.step,
        step=tables.step,
    )


def _nothing_left(found: Sequence[ScorableNetworks]) -> str:
    diverged, short = sum(len(one.diverged) for one in found), sum(len(one.short) for one in found)
    epochs = " and ".join(f"{epoch:g}" for epoch in sorted({one.target for one in found}))
    text = (
        f"there is nothing to predict{' for epoch ' if epochs else ''}{epochs}: of "
        f"{counted(diverged + short, 'network')} {diverged} diverged and {short} end before it"
    )
    if short:
        longest = max(one.longest for one in found)
        text += f"; the longest ends at epoch {longest:g}: give another --target"
    return text
