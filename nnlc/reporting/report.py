"""Report: the page of a folder as a file."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from nnlc.errors import FamilyError, NnlcError
from nnlc.reporting.campaign_facts import seconds_of, tables_facts
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import (
    NetworkState,
    PageNetwork,
    PageSubject,
    Snapshot,
    State,
    flags_of,
)
from nnlc.reporting.page import MARK, build_page
from nnlc.reporting.page_layers import FoundFamilies
from nnlc.reporting.payload import whole_payload
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import History, read_history
from nnlc.results.journal import unread_files
from nnlc.system.files import ignored_lines
from nnlc.system.output_file import PAGE, check_output, write_output
from nnlc.tables import CURVE_COLUMNS
from nnlc.tables.folder_names import JOURNAL, PROVENANCE_FILE
from nnlc.tables.frames import Tables, ValLoss, check_choice, read_tables
from nnlc.tables.images_of_table import image_sets_of
from nnlc.tables.network_frame import specs_of
from nnlc.wording import first_few

MOST_NETWORKS = 30_000
"""Largest number of networks on a page; browsers can't handle many more."""


@dataclass(frozen=True, slots=True)
class Report:
    """Report that was written."""

    networks: int
    bytes: int
    notes: tuple[str, ...] = ()
    """Lines on what is wrong with the folder, as on the page."""


def write_report(
    path: str | Path,
    output: str | Path,
    *,
    comparison: pd.DataFrame | None = None,
    val_loss: ValLoss = "as-published",
) -> Report:
    """Write a page of a results folder or of tables: one file, which needs no internet.

    The same folder and comparison give the same bytes.

    Args:
        path: a results folder, of which all networks are shown; or tables, or folders of them.
        output: the file; a page that nnlc wrote before is replaced.
        comparison: result of `nnlc.compare` to show too.
        val_loss: argument of `load_tables`, for tables without a campaign.

    Raises:
        NnlcError: there is no network to show, there are too many, or the file can't be written.
    """
    path, output = Path(path), Path(output)
    check_choice("val_loss", val_loss, ("as-published", "corrected"))
    check_output(output, mark=MARK, endings=PAGE)
    subject, snapshot = _look(path, val_loss)
    check_size(subject, path)
    page = build_page(whole_payload(replace(subject, comparison=comparison), snapshot))
    write_output(output, page, mark=MARK, endings=PAGE)
    return Report(len(subject.networks), len(page), tuple(snapshot.notes))


def check_size(subject: PageSubject, path: Path) -> None:
    """Check that a browser can hold the page.

    Raises:
        NnlcError: it has too many networks.
    """
    if len(subject.networks) > MOST_NETWORKS:
        raise NnlcError(
            f"{path}: {len(subject.networks):,} networks are too many for one page, which holds "
            f"{MOST_NETWORKS:,}; 'nnlc subset' puts some of them into a folder of their own"
        )


def _look(path: Path, val_loss: ValLoss) -> tuple[PageSubject, Snapshot]:
    results, without_code = ResultsFolder(path), list[str]()
    if results.has_campaign:
        try:
            folder = CampaignFolder(results)
            return folder.subject(), folder.look()
        except FamilyError as problem:  # networks can't be drawn; their tables can be shown
            without_code.append(f"Shown are tables only: {problem}")
    tables = read_tables([path], val_loss=val_loss, damaged="skip")
    if not len(tables):
        why = "; ".join(map(str, tables.skipped[:3]))
        raise NnlcError(f"{path}: no whole table to show" + (f": {why}" if why else ""))
    subject, snapshot = look_at_tables(tables, path)
    return subject, replace(snapshot, notes=[*without_code, *snapshot.notes])


def look_at_tables(tables: Tables, path: Path) -> tuple[PageSubject, Snapshot]:
    """Return the content of a page of tables that were loaded from a path."""
    curves = tables.curves[[column.field for column in CURVE_COLUMNS]].to_numpy()
    ends = np.cumsum(tables.networks["half_epochs"]).tolist()
    flags = flags_of(tables)
    image_sets = image_sets_of(tables.networks["dataset"], tables.networks["path"])
    families = FoundFamilies()
    sizes = tables.networks[["parameters", "multiply_adds"]].itertuples(index=False, name=None)
    networks = [
        PageNetwork(
            spec,
            images.name if images else spec.dataset,
            images,
            families.of(spec),
            None if pd.isna(size[0]) else (int(size[0]), int(size[1])),
        )
        for spec, images, size in zip(specs_of(tables.networks), image_sets, sizes, strict=True)
    ]
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
    """Read the journal of a collection, and return notes on files that were not read."""
    folder = path / JOURNAL
    if not (path / PROVENANCE_FILE).is_file():
        return History(), []
    if folder.is_symlink():
        return History(), [f"{folder}: the journal is a symbolic link, and is not read"]
    return read_history(folder), ignored_lines(unread_files(folder))
