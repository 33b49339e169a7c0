"""Curves for the tests of predictors, and tables of them without files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from table_samples import SPEC

from nnlc.analysis.predictors.interface import Curves
from nnlc.tables import Row, Table
from nnlc.tables.frames import frames_of
from nnlc.tables.record import parse_record

PUBLISHED = (9.68, 14.91, 17.29, 19.5, 20.97, 22.67, 23.36, 24.2)
"""The first eight accuracies of a published table; at epoch 20 it has 26.99."""


def curves_of(accuracies, train_loss=1.0, val_loss=1.0):
    """Curves with these accuracies (networks × points); losses as they are given, or flat."""
    accuracies = np.atleast_2d(np.array(accuracies, dtype=float))
    epochs = np.arange(1, accuracies.shape[1] + 1) / 2
    losses = [
        np.broadcast_to(np.asarray(x, float), accuracies.shape) for x in (train_loss, val_loss)
    ]
    return Curves(epochs, accuracies, *losses)


def saturating(networks, points=40, *, noise=0.3, seed=0):
    """Noisy curves that rise to between 5 and 95 percent, some fast, some slowly."""
    rng = np.random.default_rng(seed)
    x = np.arange(1, points + 1)
    top, rate = rng.uniform(5, 95, networks), 10 ** rng.uniform(-1.5, 0, networks)
    begin = top * rng.uniform(0, 0.8, networks)
    curves = top[:, None] - (top - begin)[:, None] * np.exp(-rate[:, None] * x)
    curves += rng.normal(0, noise, curves.shape)
    return np.clip(curves.round(2), 0, 100)


def table(number, accuracies, *, train_loss=1.0, val_loss=2.0, **changes):
    """A table with these accuracies; losses flat, or as they are given."""
    losses = [x if isinstance(x, list) else [x] * len(accuracies) for x in (train_loss, val_loss)]
    rows = tuple(Row(*values) for values in zip(*losses, map(float, accuracies), strict=True))
    return Table(replace(SPEC, id=f"2021_02_15_13_55_26_{number:06d}", **changes), rows)


def loaded(*tables):
    """The tables as `load_tables` gives them, without files."""
    return frames_of(parse_record(one.to_bytes(), Path(f"{one.spec.id}.txt")) for one in tables)
