"""Report: the page of a folder as a file."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnlc.errors import NnlcError
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.page import MARK, build_page
from nnlc.reporting.page_subject import PageSubject, Snapshot
from nnlc.reporting.payload import whole_payload
from nnlc.reporting.tables_folder import look_at_tables
from nnlc.results.folder import ResultsFolder
from nnlc.system.output_file import PAGE, check_output, write_output
from nnlc.tables.frames import ValLoss, check_choice, load_tables

MOST_NETWORKS = 30_000
"""Most networks of a page that a browser can still use."""


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
    """Write a page of a results folder or of tables: one file, which opens without a network.

    The same folder and comparison give the same bytes.

    Args:
        path: a results folder, of which all networks are shown; or tables, or folders of them.
        output: the file; one that was written so before is replaced.
        comparison: what `nnlc.compare` gave, to be shown too.
        val_loss: as `load_tables` takes it; for tables without a campaign.

    Raises:
        NnlcError: nothing to show, too much of it, or the file can't be written.
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
    results = ResultsFolder(path)
    if results.has_campaign:
        folder = CampaignFolder(results)
        return folder.subject(), folder.look()
    tables = load_tables(path, val_loss=val_loss, damaged="skip")
    if not len(tables):
        why = "; ".join(map(str, tables.skipped[:3]))
        raise NnlcError(f"{path}: no whole table to show" + (f": {why}" if why else ""))
    return look_at_tables(tables, path)
