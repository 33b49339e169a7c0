"""Contexts: for each network, the finished curves of other networks from which a method learns.

A context has the networks that reached the target epoch. Networks that diverged before it are left
out, as they are when predictions are scored. No network is in its own context: the networks of its
dataset are split into 20 folds, and its context has none of its own fold. The folds depend on
nothing but the IDs of the networks learned from: sorted by their SHA-256, they go to the folds in
turn. With up to 20 networks, each is a fold of its own, so that one network at a time is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

import numpy as np
import pandas as pd

from nnlc.analysis.parallel import learn_timed
from nnlc.analysis.predictors.interface import (
    POINT_FIELDS,
    ContextPredictor,
    Curves,
    Integers,
    Predictions,
    Predictor,
)
from nnlc.analysis.scorable_networks import ScorableNetworks, find_by_dataset
from nnlc.errors import NnlcError
from nnlc.networks.image_sets import shown_name
from nnlc.tables.frames import Tables, check_choice
from nnlc.wording import counted

FOLDS = 20
CHOICES = ("same", "others", "all")
LearnFrom = Literal["same", "others", "all"] | Tables
"""Source of contexts: the same dataset, all others, all datasets; or other tables."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """Finished curves from which methods learn, for the networks of one dataset."""

    pool: Curves
    """Networks of all contexts, sorted by dataset and ID, with their curves up to the target."""
    pool_folds: Integers
    """Fold of each network of the pool; -1 for those of other datasets."""
    folds: Integers
    """Fold of each network to predict; `FOLDS` for those that are not in the pool."""
    line: str
    """Source of the contexts as a line of text."""

    def predict(
        self, method: ContextPredictor, curves: Curves, epoch: float
    ) -> tuple[Predictions, float]:
        """Return a method's predictions, fitted once for each fold, and their seconds."""
        places = {fold: np.flatnonzero(self.folds == fold) for fold in np.unique(self.folds)}
        groups = (
            (self.pool.select(self.pool_folds != fold), curves.select(own))
            for fold, own in places.items()
        )
        found, seconds = learn_timed(method, groups, epoch)
        return found.select(np.argsort(np.concatenate([*places.values()]))), seconds


def with_contexts(
    scored: Sequence[ScorableNetworks],
    methods: Iterable[Predictor],
    tables: Tables,
    learn_from: LearnFrom,
) -> list[ScorableNetworks]:
    """Return the networks of each dataset; with their contexts, if one of the methods learns.

    Args:
        scored: networks from `find_scorable`.
        methods: the methods that are to predict.
        tables: the tables of these networks.
        learn_from: source of the contexts.

    Raises:
        NnlcError: `learn_from` is unknown, or its curves have other steps.
    """
    source, which = (learn_from, "all") if isinstance(learn_from, Tables) else (tables, learn_from)
    check_choice("learn_from", which, CHOICES)
    if not any(isinstance(one, ContextPredictor) for one in methods):
        return [*scored]
    if source.step != tables.step:
        raise NnlcError(
            f"the curves to learn from have a point each {source.step:g} epoch, those to predict "
            f"each {tables.step:g} epoch; learn from curves with the same points"
        )
    return [replace(one, contexts=_contexts(one, source, which)) for one in scored]


def learned_lines(scored: Sequence[ScorableNetworks], learn_from: LearnFrom) -> list[str]:
    """Return a line for each dataset with contexts: from which networks methods learned."""
    lines = [one.contexts.line for one in scored if one.contexts is not None]
    if lines or learn_from == "same":
        return lines
    return ["the networks to learn from have no effect: only methods such as gp learn from others"]


def _contexts(one: ScorableNetworks, source: Tables, which: str) -> Contexts:
    parts = [
        replace(found.curves, networks=found.networks)
        for found in find_by_dataset(source, one.target)
        if found.ids and (which == "all" or (found.dataset == one.dataset) == (which == "same"))
    ]
    pool, networks = _joined(parts or [replace(one.curves, networks=one.networks).select(slice(0))])
    is_own = (networks["dataset"] == one.dataset).to_numpy()
    own = sorted(networks["id"][is_own], key=_sha256)
    fold_of = {id_: number % FOLDS for number, id_ in enumerate(own)}
    pool_folds = np.full(len(pool), -1)
    pool_folds[is_own] = [fold_of[id_] for id_ in networks["id"][is_own]]
    folds = np.array([fold_of.get(id_, FOLDS) for id_ in one.ids])
    names = ", ".join(map(shown_name, networks["dataset"].unique()))
    line = f"{shown_name(one.dataset)}: learned from {counted(len(pool), 'network')}"
    line += f" of {names}" if names else ""
    line += f" with finite curves up to epoch {one.target:g}"
    if folds.min() < FOLDS:
        folded = f"{min(FOLDS, len(own))} folds by ID, each predicted from the others"
        line += f"; {folded if len(own) > 1 else 'none is predicted from itself'}"
    return Contexts(pool, pool_folds, folds, line)


def _joined(parts: Sequence[Curves]) -> tuple[Curves, pd.DataFrame]:
    """Return all curves sorted by dataset and ID, and the rows of their networks."""
    networks = pd.concat([one.networks for one in parts], ignore_index=True)
    networks = networks.sort_values(["dataset", "id"])
    points: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in parts])[networks.index]
        for name in POINT_FIELDS
    }
    return replace(parts[0], networks=networks, **points), networks


def _sha256(text: str) -> bytes:
    return sha256(text.encode(errors="surrogatepass")).digest()
