"""Selection of tables by dataset, family, depth, accuracy or ID, or at random."""

import math
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnlc.analysis.metrics import metrics
from nnlc.console import say_aside
from nnlc.errors import NnlcError
from nnlc.networks.draws import Draws, derive_seed
from nnlc.networks.image_sets import dataset_among
from nnlc.networks.specification import ID_PATTERN
from nnlc.system.text_file import read_text
from nnlc.tables.frames import Tables, families_among

Range = tuple[float, float]
"""Least and greatest value, both included."""
_RANGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)?(-)?([0-9]+(?:\.[0-9]+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Criteria for choosing networks; a criterion of None allows all."""

    datasets: tuple[str, ...] = ()
    """Datasets, as in the column `dataset` or in folders' names; empty allows all."""
    families: tuple[str, ...] = ()
    """Families, by name and version or by name alone; empty allows all."""
    depth: Range | None = None
    """Column `depth`; networks of families that have no depth are left out."""
    final_accuracy: Range | None = None
    """Accuracy in percent after the last half epoch of the table."""
    best_accuracy: Range | None = None
    """Best accuracy in percent of all half epochs."""
    diverged: bool | None = None
    """True for networks with a loss that is not finite, False for the others."""
    learned: bool | None = None
    """True for networks whose best accuracy is beyond chance (`nnlc.metrics`), False for the
    others; both leave out networks trained on unknown images."""
    ids: frozenset[str] | None = None
    sample: int | None = None
    """Number of networks to draw at random from those that meet all criteria."""
    seed: int = 0
    """Seed of the random sample."""

    def choose(self, tables: Tables) -> list[str]:
        """Return the IDs of the networks that meet all criteria, sorted; a sample in drawn order.

        Raises:
            NnlcError: no table has one of the datasets, families or IDs, or too few are left for
                `sample`.
        """
        networks = tables.networks
        check_known(sorted(self.ids or ()), set(networks["id"]))
        holds = select_networks(networks, self.datasets, self.depth, self.families)
        if self.ids is not None:
            holds &= networks["id"].isin(self.ids)
        if (self.final_accuracy, self.best_accuracy, self.diverged, self.learned) != (None,) * 4:
            holds &= self._select_by_curves(tables)
        found = sorted(networks.loc[holds, "id"])
        return found if self.sample is None else draw_sample(found, self.sample, self.seed)

    def _select_by_curves(self, tables: Tables) -> "pd.Series[bool]":
        found = metrics(tables, columns=())
        holds = pd.Series(True, index=found.index)
        for bounds, which in ((self.final_accuracy, "final"), (self.best_accuracy, "max")):
            if bounds is not None:
                holds &= found[f"val_accuracy_percent_{which}"].between(*bounds)
        if self.diverged is not None:
            holds &= (found["diverged"] == self.diverged).fillna(False).astype(bool)
        if self.learned is not None:
            holds &= (found["never_learned"] != self.learned).fillna(False).astype(bool)
        return holds


def check_known(ids: Iterable[str], known: Container[str]) -> None:
    """Check that each of these IDs has a table.

    Raises:
        NnlcError: an ID has no table.
    """
    unknown = [id_ for id_ in ids if id_ not in known]
    if unknown:
        raise NnlcError(
            f"no table has the ID {unknown[0]!r}"
            + (f", nor {len(unknown) - 1} more that were asked for" if unknown[1:] else "")
        )


def select_networks(
    networks: pd.DataFrame,
    datasets: Sequence[str] = (),
    depth: Range | None = None,
    families: Sequence[str] = (),
) -> "pd.Series[bool]":
    """Return True for each network of these datasets, depths and families.

    Raises:
        NnlcError: no table has one of the datasets or families.
    """
    holds = pd.Series(True, index=networks.index)
    if datasets:
        found = networks["dataset"].unique()
        values = {dataset_among(name, found) for name in datasets}
        holds &= networks["dataset"].isin(values)
    if families:
        found = networks["family"].unique()
        chosen = {one for name in families for one in families_among(name, found)}
        holds &= networks["family"].isin(chosen)
    if depth is not None:
        holds &= networks["depth"].between(*depth).fillna(False).astype(bool)
    return holds


def seed_of(sample: int | None, seed: int | None) -> int:
    """Return the seed of a sample; 0 by default.

    Raises:
        NnlcError: a seed is given without a sample.
    """
    if seed is not None and sample is None:
        raise NnlcError(
            f"--seed {seed}: needs --sample; give the size of the sample, or leave out the seed"
        )
    return seed or 0


def draw_sample(ids: Iterable[str], count: int, seed: int) -> list[str]:
    """Return `count` random IDs without repetition, in the order they were drawn.

    The same IDs and seed give the same sample on every machine, whatever the order of the IDs.

    Raises:
        NnlcError: there are fewer IDs than `count`.
    """
    left = sorted(ids)
    if not 0 <= count <= len(left):
        raise NnlcError(f"a sample of {count} can't be drawn from {len(left)} networks")
    draws = Draws(derive_seed("sample", seed))
    for i in range(count):  # Fisher-Yates shuffle of the first `count`
        other = draws.integer(i, len(left) - 1)
        left[i], left[other] = left[other], left[i]
    return left[:count]


def read_depths(name: str, text: str | None) -> Range | None:
    """Return the least and the greatest depth, as `read_range` does.

    Raises:
        NnlcError: as in `read_range`, or a number is no integer.
    """
    if text is not None and "." in text:
        raise NnlcError(f"{name} {text!r}: depths are whole numbers, such as 2-5")
    return read_range(name, text)


def read_percent(name: str, text: str | None) -> Range | None:
    """Return the least and the greatest percentage, as `read_range` does.

    Raises:
        NnlcError: as in `read_range`, or a number is above 100.
    """
    bounds = read_range(name, text)
    known = [bound for bound in bounds or () if math.isfinite(bound)]
    if max(known, default=0) > 100:
        raise NnlcError(f"{name} {text!r}: no accuracy is above 100 percent")
    if known and 0 < max(known) <= 1:
        say_aside(f"note: {name} {text}: accuracies are in percent; half of all images is 50")
    return bounds


def read_range(name: str, text: str | None) -> Range | None:
    """Return the least and the greatest number of "A-B", "A-", "-B" or "A"; None for None.

    Args:
        name: name of the option, for messages.
        text: its value.

    Raises:
        NnlcError: the text has another form, or A is above B.
    """
    if text is None:
        return None
    match = _RANGE.fullmatch(text)
    low, hyphen, high = match.groups() if match else (None, None, None)
    if low is None and high is None:
        raise NnlcError(f"{name} {text!r}: must be N, A-B, A- or -B, such as 2-5")
    least = float(low) if low is not None else -math.inf
    greatest = float(high) if high is not None else math.inf if hyphen else least
    if least > greatest:
        raise NnlcError(f"{name} {text!r}: the first number is greater than the second")
    return least, greatest


def read_ids(path: Path) -> frozenset[str]:
    """Return the IDs in a text or CSV file: each line's text before the first comma.

    Empty lines, and a first line "id", are skipped.

    Raises:
        NnlcError: the file can't be read, has no ID, or has a line without one.
    """
    found = []
    for number, line in enumerate(read_text(path, errors="replace").split("\n"), 1):
        word = line.partition(",")[0].strip()
        if not word or (number == 1 and word == "id"):
            continue
        if not ID_PATTERN.fullmatch(word):
            raise NnlcError(
                f"{path}, line {number}: {word[:80]!r} is no ID, such as 2022_01_05_00_00_00_000000"
            )
        found.append(word)
    if not found:
        raise NnlcError(f"{path}: there is no ID in it")
    return frozenset(found)
