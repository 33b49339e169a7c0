"""Which tables a user means: by dataset, depth, accuracy, or at random."""

import math
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnlc.analysis.metrics import metrics
from nnlc.console import say_aside
from nnlc.errors import NnlcError
from nnlc.networks import image_set_of_table
from nnlc.networks.draws import Draws, derive_seed
from nnlc.networks.spec import ID_PATTERN
from nnlc.system.text_file import read_text
from nnlc.tables.frames import Tables
from nnlc.wording import first_few

Range = tuple[float, float]
"""The least and the greatest, both included."""
_RANGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)?(-)?([0-9]+(?:\.[0-9]+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What networks must be to be chosen; nothing given, all are."""

    datasets: tuple[str, ...] = ()
    """Any of these: values of the column `dataset`, or names as folders have them."""
    depth: Range | None = None
    """Convolutions."""
    final_accuracy: Range | None = None
    """Percent, after the last half epoch of the table."""
    best_accuracy: Range | None = None
    """Percent, the best of all half epochs."""
    diverged: bool | None = None
    """Whether a loss ever was no finite number."""
    learned: bool | None = None
    """Whether the best accuracy is beyond chance (`nnlc.metrics`): of images that are not known,
    neither is."""
    ids: frozenset[str] | None = None
    sample: int | None = None
    """So many of those that are all this, at random."""
    seed: int = 0
    """Of the sample."""

    def choose(self, tables: Tables) -> list[str]:
        """The IDs of the networks that are all this, sorted.

        Raises:
            NnlcError: a dataset or an ID that no table has, or fewer tables than `sample`.
        """
        networks = tables.networks
        check_known(sorted(self.ids or ()), set(networks["id"]))
        holds = are_of(networks, self.datasets, self.depth)
        if self.ids is not None:
            holds &= networks["id"].isin(self.ids)
        if (self.final_accuracy, self.best_accuracy, self.diverged, self.learned) != (None,) * 4:
            holds &= self._curves_hold(tables)
        found = sorted(networks.loc[holds, "id"])
        return found if self.sample is None else draw_sample(found, self.sample, self.seed)

    def _curves_hold(self, tables: Tables) -> "pd.Series[bool]":
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
    """See that each of these IDs has a table.

    Raises:
        NnlcError: one has none.
    """
    unknown = [id_ for id_ in ids if id_ not in known]
    if unknown:
        raise NnlcError(
            f"no table has the ID {unknown[0]!r}"
            + (f", nor {len(unknown) - 1} more that were asked for" if unknown[1:] else "")
        )


def are_of(
    networks: pd.DataFrame, datasets: Sequence[str] = (), depth: Range | None = None
) -> "pd.Series[bool]":
    """Which networks are of any of these datasets, and as deep as that.

    Raises:
        NnlcError: a dataset that no table has.
    """
    holds = pd.Series(True, index=networks.index)
    if datasets:
        values = {_dataset_value(name, networks) for name in datasets}
        holds &= networks["dataset"].isin(values)
    if depth is not None:
        holds &= networks["depth"].between(*depth)
    return holds


def _dataset_value(name: str, networks: pd.DataFrame) -> str:
    names: dict[str, str] = {}
    for value in networks["dataset"].unique():
        images = image_set_of_table(value)
        names |= {images.name: value} if images else {}
        names[value] = value
    if name not in names:
        listed = ", ".join(first_few(sorted(set(names.values()))))
        raise NnlcError(f"no table is of dataset {name!r}; there are {listed}")
    return names[name]


def seed_of(sample: int | None, seed: int | None) -> int:
    """Return the seed of a sample, 0 unless one is given.

    Raises:
        NnlcError: one is given, and no sample is drawn.
    """
    if seed is not None and sample is None:
        raise NnlcError(
            f"--seed {seed}: is of a sample; say how many with --sample, or leave it out"
        )
    return seed or 0


def draw_sample(ids: Iterable[str], count: int, seed: int) -> list[str]:
    """So many of these at random, without repetition, in the order they were drawn.

    The same IDs and seed give the same sample everywhere, in whatever order the IDs come.

    Raises:
        NnlcError: there are not so many.
    """
    left = sorted(ids)
    if not 0 <= count <= len(left):
        raise NnlcError(f"a sample of {count} can't be drawn from {len(left)} networks")
    draws = Draws(derive_seed("sample", seed))
    for i in range(count):  # Fisher and Yates, as far as it is needed
        other = draws.integer(i, len(left) - 1)
        left[i], left[other] = left[other], left[i]
    return left[:count]


def read_depths(name: str, text: str | None) -> Range | None:
    """Return the least and the greatest number of convolutions, as `read_range` does.

    Raises:
        NnlcError: as from there, or one is no whole number.
    """
    if text is not None and "." in text:
        raise NnlcError(f"{name} {text!r}: convolutions are counted in whole numbers, such as 2-5")
    return read_range(name, text)


def read_percent(name: str, text: str | None) -> Range | None:
    """Return the least and the greatest percentage, as `read_range` does.

    Raises:
        NnlcError: as from there, or one is above 100.
    """
    bounds = read_range(name, text)
    known = [bound for bound in bounds or () if math.isfinite(bound)]
    if max(known, default=0) > 100:
        raise NnlcError(f"{name} {text!r}: no accuracy is above 100 percent")
    if known and 0 < max(known) <= 1:
        say_aside(f"note: {name} {text}: in percent; half of all images are 50")
    return bounds


def read_range(name: str, text: str | None) -> Range | None:
    """The least and the greatest of "A-B", "A-", "-B" or "A"; None of None.

    Raises:
        NnlcError: it is none of them, or A is above B; `name` is named.
    """
    if text is None:
        return None
    match = _RANGE.fullmatch(text)
    low, hyphen, high = match.groups() if match else (None, None, None)
    if low is None and high is None:
        raise NnlcError(f"{name} {text!r}: is none of N, A-B, A- and -B, such as 2-5")
    least = float(low) if low is not None else -math.inf
    greatest = float(high) if high is not None else math.inf if hyphen else least
    if least > greatest:
        raise NnlcError(f"{name} {text!r}: the greater number comes first")
    return least, greatest


def read_ids(path: Path) -> frozenset[str]:
    """The IDs in a file: the first word of each line, up to a comma, such as a CSV file has them.

    Empty lines, and a first line "id", are passed over.

    Raises:
        NnlcError: the file can't be read, has none, or has something else, with the line.
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
