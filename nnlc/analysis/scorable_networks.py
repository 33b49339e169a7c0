"""Networks on which a prediction can be scored: their accuracy at an epoch, and their curves."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlc.analysis.metrics import check_rows
from nnlc.analysis.predictors.interface import Curves
from nnlc.analysis.predictors.registry import check_epoch
from nnlc.errors import NnlcError
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.frames import Tables
from nnlc.wording import counted

_FIELDS = [column.field for column in CURVE_COLUMNS]


@dataclass(frozen=True, eq=False)
class ScorableNetworks:
    """Networks with their curves up to a target epoch.

    Attributes:
        target: the target epoch.
        ids: IDs of the networks that can be scored, in the order of the tables.
        datasets: the dataset of each network.
        curves: the networks' curves up to the target.
        observed: each network's accuracy in percent at the target.
        diverged: IDs of networks left out because an accuracy or validation loss in their table
            is not finite. PENGUIN leaves them out too.
        short: IDs of networks left out because their table ends before the target.
    """

    target: float
    ids: list[str]
    datasets: list[str]
    curves: Curves
    observed: NDArray[np.float64]
    diverged: tuple[str, ...]
    short: tuple[str, ...]

    def left_out(self) -> list[str]:
        """Return a phrase for each reason why networks are left out."""
        parts = []
        if self.diverged:
            parts.append(f"{len(self.diverged)} diverged and are left out")
        if self.short:
            parts.append(f"{len(self.short)} end before epoch {self.target:g} and are left out")
        return parts


def find_scorable(
    tables: Tables, target: float, *, only: Collection[str] | None = None
) -> ScorableNetworks:
    """Return the networks on which a prediction for an epoch can be scored.

    Args:
        tables: the result of `load_tables`.
        target: the epoch.
        only: IDs of the networks to take; None: all.

    Raises:
        NnlcError: the epoch is impossible, the frames were changed, an ID is unknown, or no
            network is left.
    """
    check_epoch("the target", target)
    check_rows(tables)
    networks = tables.networks
    asked = None if only is None else set(only)
    if unknown := sorted((asked or set()).difference(networks["id"])):
        raise NnlcError(
            f"none of the {counted(len(networks), 'network')} given has the ID {unknown[0]!r}"
        )
    values = tables.curves[_FIELDS].to_numpy()
    lengths = networks["half_epochs"].to_numpy()
    ends = np.cumsum(lengths)
    points = round(2 * target)
    chosen, diverged, short, longest = [], [], [], 0.0
    for i, id_ in enumerate(networks["id"]):
        if asked is not None and id_ not in asked:
            continue
        own = values[ends[i] - lengths[i] : ends[i]]
        if not np.isfinite(own[:, 1:]).all():
            diverged.append(id_)
        elif len(own) < points:
            short.append(id_)
            longest = max(longest, len(own) / 2)
        else:
            chosen.append(i)
    if not chosen:
        raise NnlcError(_nothing_left(target, diverged, short, longest))
    blocks = np.stack([values[ends[i] - lengths[i] :][:points] for i in chosen])
    train_loss, val_loss, accuracy = np.moveaxis(blocks, 2, 0)
    rows = networks.iloc[chosen]
    return ScorableNetworks(
        target=target,
        ids=list(rows["id"]),
        datasets=list(rows["dataset"]),
        curves=Curves(np.arange(1, points + 1) / 2, accuracy, train_loss, val_loss),
        observed=accuracy[:, -1].copy(),
        diverged=tuple(diverged),
        short=tuple(short),
    )


def _nothing_left(target: float, diverged: list[str], short: list[str], longest: float) -> str:
    text = (
        f"there is nothing to predict for epoch {target:g}: of "
        f"{counted(len(diverged) + len(short), 'network')} {len(diverged)} diverged and "
        f"{len(short)} end before it"
    )
    return (
        f"{text}; the longest ends at epoch {longest:g}: give another --target" if short else text
    )
