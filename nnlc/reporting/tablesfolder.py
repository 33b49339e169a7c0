"""Tables without a campaign: a download, a collection, or some files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from nnlc.networks import NetworkSpec, image_set_of_table
from nnlc.reporting.facts import tables_facts
from nnlc.reporting.standing import PageNetwork, Standing, State, flags_of
from nnlc.reporting.subject import Moment, Subject
from nnlc.tables import CURVE_COLUMNS, METADATA_COLUMNS
from nnlc.tables.frames import Tables

_MOST_NOTES = 20


def look_at_tables(tables: Tables, path: Path) -> tuple[Subject, Moment]:
    """What a page says of tables that were loaded from a path."""
    curves = tables.curves[[column.field for column in CURVE_COLUMNS]].to_numpy()
    ends = np.cumsum(tables.networks["half_epochs"]).tolist()
    flags = flags_of(tables)
    networks = [_network(values) for values in _metadata(tables)]
    standings = [
        Standing(State.DONE, curves[start:end], end - start, flags[network.spec.id])
        for network, (start, end) in zip(networks, pairwise([0, *ends]), strict=True)
    ]
    subject = Subject(f"tables of {path.absolute().name or path.absolute()}", networks)
    notes = [f"Passed over: {one}" for one in tables.skipped[:_MOST_NOTES]]
    if len(tables.skipped) > _MOST_NOTES:
        notes.append(f"And {len(tables.skipped) - _MOST_NOTES:,} more were passed over.")
    return subject, Moment(standings, tables_facts(tables), notes=notes)


def _metadata(tables: Tables) -> Sequence[tuple[object, ...]]:
    columns = [tables.networks[column.field].tolist() for column in METADATA_COLUMNS]
    return list(zip(*columns, strict=True))


def _network(values: tuple[object, ...]) -> PageNetwork:
    names = (column.field for column in METADATA_COLUMNS)
    spec = NetworkSpec(**dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
    images = image_set_of_table(spec.dataset)
    return PageNetwork(spec, images.name if images else spec.dataset, images)
