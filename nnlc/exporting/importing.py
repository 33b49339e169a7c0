"""`nnlc import`: tables written back from an export, byte for byte; or curves of CSV files."""

from functools import partial
from pathlib import Path

from nnlc.collection.collection_writer import write_new
from nnlc.collection.sources import check_destination
from nnlc.errors import NnlcError
from nnlc.exporting import csv_export
from nnlc.exporting.contents import tables_of
from nnlc.exporting.manifest import MANIFEST, read_manifest
from nnlc.exporting.reader_process import read_in_process
from nnlc.system.new_folder import current_path, new_folder
from nnlc.system.text_file import read_undecoded
from nnlc.tables.curves_from_elsewhere import read_csv_frames
from nnlc.tables.folder_names import IMPORTED_CURVES, IMPORTED_NETWORKS


def import_tables(folder: str | Path, out: str | Path) -> int:
    """Write the tables of an export, each into a folder with its former name.

    Each table must have its former sha256 and none may be missing; otherwise nothing is written.

    Args:
        folder: an export of any format.
        out: a new or empty folder, written whole or not at all.

    Returns:
        The number of tables written.

    Raises:
        NnlcError: there is no export, it was damaged or edited (with file, column and row, or the
            table), or the folder is in use or can't be written.
    """
    folder, out = current_path(Path(folder)), Path(out)
    manifest = read_manifest(folder)
    check = partial(check_destination, out, [folder])
    check()
    read = csv_export.read if manifest.format == "csv" else read_in_process
    contents = read(folder, manifest)
    if len(contents) != manifest.tables:
        raise NnlcError(
            f"{folder}: has {len(contents)} of the {manifest.tables} tables that were exported "
            f"({MANIFEST}); get it again, or export the tables again"
        )
    if contents.digest != manifest.digest:
        raise NnlcError(
            f"{folder}: has other tables than those that were exported ({MANIFEST}, "
            "tables_sha256); get it again, or export the tables again"
        )
    with new_folder(out, check) as temporary:
        for name, content in tables_of(contents, folder):
            write_new(temporary / name, content)
    return len(contents)


def import_curves(curves: Path, networks: Path | None, out: Path) -> tuple[int, int]:
    """Write CSV files of learning curves into a folder that `load_tables` reads.

    `Tables.from_frames` says which columns they need.

    Returns:
        The numbers of networks and of rows of their curves.

    Raises:
        NnlcError: a file is wrong (with line and column), or the folder can't be written.
    """
    check = partial(check_destination, out, [])
    check()
    rows, about = read_csv_frames(curves, networks)
    with new_folder(out, check) as temporary:
        write_new(temporary / IMPORTED_CURVES, read_undecoded(curves))
        if networks is not None:
            write_new(temporary / IMPORTED_NETWORKS, read_undecoded(networks))
    return len(about), len(rows)
