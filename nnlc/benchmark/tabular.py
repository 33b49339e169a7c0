"""Networks of one dataset with learning curves of equal length, as other tools' benchmarks need."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlc.benchmark.hyperparameters import hyperparameters
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name
from nnlc.tables.frames import check_choice
from nnlc.wording import counted, first_few

Cost = Literal["seconds", "epochs"]
Floats = NDArray[np.float64]
FOR_SECONDS = (
    "load the results folder with its journal, give curves of other programs a column `seconds`"
)
"""Ways to have recorded seconds, for messages."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TabularNetworks:
    """Networks of one dataset, each with the same number of half epochs.

    All adapters to other tools follow these rules:

    - A benchmark has one dataset and at least two networks.
    - By default, it has the networks with the most common number of half epochs, of equally common
      ones the larger. At least half of the dataset's networks must have it. With a given number, it
      has the networks with at least as many half epochs, cut to that number. Networks that a rule
      has stopped early are shorter, and so are left out like all others of another length.
    - A blank accuracy, as diverged networks have in some published tables, counts as 0 percent. A
      blank or infinite loss is missing.
    - Costs are recorded seconds. If a network has no record of every half epoch, the benchmark is
      refused, unless its costs are to be epochs.

    A row of a curve counts as a half epoch also where it is a whole one (`step` is then 1).
    """

    dataset: str
    """Value of the column `dataset`."""
    networks: pd.DataFrame
    """Row for each network, sorted by ID, with the columns of `load_tables`."""
    accuracy: Floats
    """Validation accuracy in percent: networks × half epochs, like the losses and costs."""
    val_loss: Floats
    """Validation loss in nats; NaN where missing."""
    train_loss: Floats
    """Training loss in nats; NaN where missing."""
    costs: Floats
    """Seconds or epochs from the start of training to the end of each half epoch."""
    cost: Cost
    """Unit of the costs."""
    step: float
    """Epochs in a half epoch: 0.5, or 1 for curves in whole epochs."""
    left_out: Mapping[str, str]
    """Reason for each of the dataset's networks that is left out."""

    @property
    def ids(self) -> tuple[str, ...]:
        """IDs of the networks, sorted: the order of the rows."""
        return tuple(self.networks["id"])

    @property
    def half_epochs(self) -> int:
        """Number of half epochs of each network."""
        return int(self.accuracy.shape[1])

    @cached_property
    def hyperparameters(self) -> pd.DataFrame:
        """Hyperparameters of each network, its layers' included: a row for each, by ID."""
        return hyperparameters(self.networks)


def choose_networks(
    networks: pd.DataFrame,
    curves: Mapping[str, Floats],
    seconds: Mapping[str, Floats],
    step: float,
    dataset: str | None,
    half_epochs: int | None,
    cost: Cost,
) -> TabularNetworks:
    """Return the networks that other tools' benchmarks have, by the rules of `TabularNetworks`.

    The curves have training loss, validation loss and accuracy; seconds are cumulative, and NaN
    without a record.

    Raises:
        NnlcError: the arguments don't choose a benchmark; the message says which would.
    """
    check_choice("cost", cost, ("seconds", "epochs"))
    there = list(networks["dataset"].unique())
    if dataset is None and len(there) > 1:
        names = ", ".join(first_few(sorted(map(shown_name, there))))
        raise NnlcError(f"there are tables of several datasets: give one of {names} as dataset=")
    if dataset is not None:
        networks = networks[networks["dataset"] == dataset]
    lengths = {id_: len(curves[id_]) for id_ in networks["id"]}
    number = _most_common(lengths) if half_epochs is None else _checked(half_epochs, lengths)
    left_out = {
        id_: f"has {counted(length, 'half epoch')}, not {number}"
        for id_, length in lengths.items()
        if length < number or (half_epochs is None and length > number)
    }
    chosen = networks[~networks["id"].isin(left_out)].reset_index(drop=True)
    if len(chosen) < 2:
        raise NnlcError(
            f"a benchmark needs at least 2 networks, but there is only {chosen['id'][0]} with "
            f"{counted(number, 'half epoch')}: {_advice(lengths)}"
        )
    values = np.stack([curves[id_][:number] for id_ in chosen["id"]])
    values = np.where(np.isinf(values), np.nan, values)
    costs = np.tile(np.arange(1, number + 1) * step, (len(chosen), 1))
    if cost == "seconds":
        costs = np.stack([seconds[id_][:number] for id_ in chosen["id"]])
        unknown = chosen["id"][np.isnan(costs).any(axis=1)].tolist()
        if unknown:
            raise NnlcError(
                f"{len(unknown)} of {len(chosen)} networks have no recorded seconds, such as "
                f'{unknown[0]}: {FOR_SECONDS}, or give cost="epochs" to count epochs'
            )
    return TabularNetworks(
        dataset=there[0] if dataset is None else dataset,
        networks=chosen,
        accuracy=np.nan_to_num(values[:, :, 2]),
        val_loss=values[:, :, 1],
        train_loss=values[:, :, 0],
        costs=costs,
        cost=cost,
        step=step,
        left_out=left_out,
    )


def checked_half_epoch(number: Any, first: int, last: int) -> int:
    """Return the number of a half epoch that a tool asks for.

    Raises:
        NnlcError: it is no whole number in this range.
    """
    is_number = isinstance(number, int | float | np.number) and not isinstance(number, bool)
    if not is_number or number not in range(first, last + 1):
        raise NnlcError(f"half_epoch is {number!r}: give a whole number from {first} to {last}")
    return int(number)


def _most_common(lengths: Mapping[str, int]) -> int:
    counts = Counter(lengths.values())
    number, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    if 2 * count < len(lengths):
        raise NnlcError(
            f"the most common length, {counted(number, 'half epoch')}, is that of only {count} of "
            f"{len(lengths)} networks: {_advice(lengths)}"
        )
    return number


def _checked(half_epochs: int, lengths: Mapping[str, int]) -> int:
    if isinstance(half_epochs, bool) or not isinstance(half_epochs, int | np.integer):
        raise NnlcError(f"half_epochs is {half_epochs!r}: give a whole number; {_advice(lengths)}")
    if not 1 <= half_epochs <= max(lengths.values()):
        raise NnlcError(f"half_epochs is {half_epochs}, which no network has: {_advice(lengths)}")
    return int(half_epochs)


def _advice(lengths: Mapping[str, int]) -> str:
    least, most = min(lengths.values()), max(lengths.values())
    if len(lengths) < 2:
        return "give a folder with more tables of this dataset"
    if least == most:
        return f"each network has {least}"
    return f"lengths go from {least} to {most}, and half_epochs={least} takes all networks"
