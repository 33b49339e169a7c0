"""Page of tables without a campaign: a download, a collection, or some files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from nnlc.networks import ImageSet, NetworkSpec
from nnlc.reporting.campaign_facts import seconds_of, tables_facts
from nnlc.reporting.network_state import NetworkState, PageNetwork, State, flags_of
from nnlc.reporting.page_subject import PageSubject, Snapshot
from nnlc.results.history import History, read_history
from nnlc.results.journal import unread_files
from nnlc.system.files import ignored_lines
from nnlc.tables import CURVE_COLUMNS, METADATA_COLUMNS
from nnlc.tables.folder_names import JOURNAL, PROVENANCE_FILE
from nnlc.tables.frames import Tables
from nnlc.tables.images_of_table import image_sets_of
from nnlc.wording import first_few


def look_at_tables(tables: Tables, path: Path) -> tuple[PageSubject, Snapshot]:
    """Return the content of a page of tables that were loaded from a path."""
    curves = tables.curves[[column.field for column in CURVE_COLUMNS]].to_numpy()
    ends = np.cumsum(tables.networks["half_epochs"]).tolist()
    flags = flags_of(tables)
    image_sets = image_sets_of(tables.networks["dataset"], tables.networks["path"])
    networks = list(map(_network, _metadata(tables), image_sets))
    history, notes = _journal_of(path)
    states = [
        NetworkState(
            State.DONE,
            curves[start:end],
            end - start,
            flags[network.spec.id],
            seconds=seconds_of(history, network.spec.id),
        )
        for network, (start, end) in zip(networks, pairwise([0, *ends]), strict=True)
    ]
    subject = PageSubject(f"tables of {path.absolute().name or path.absolute()}", networks)
    notes += first_few(tables.skipped, write=lambda one: f"Passed over: {one}")
    return subject, Snapshot(states, tables_facts(tables, history), notes=notes)


def _journal_of(path: Path) -> tuple[History, list[str]]:
    """Read the journal of a collection, and note what of it is not read."""
    folder = path / JOURNAL
    if not (path / PROVENANCE_FILE).is_file():
        return History(), []
    if folder.is_symlink():
        return History(), [f"{folder}: the journal is a symbolic link, and is not read"]
    return read_history(folder), ignored_lines(unread_files(folder))


def _metadata(tables: Tables) -> Sequence[tuple[object, ...]]:
    columns = [tables.networks[column.field].tolist() for column in METADATA_COLUMNS]
    return list(zip(*columns, strict=True))


def _network(values: tuple[object, ...], images: ImageSet | None) -> PageNetwork:
    names = (column.field for column in METADATA_COLUMNS)
    spec = NetworkSpec(**dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
    return PageNetwork(spec, images.name if images else spec.dataset, images)
