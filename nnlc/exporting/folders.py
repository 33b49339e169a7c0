"""Where an export may be put."""

import os
from collections.abc import Sequence
from pathlib import Path

from nnlc.collection.sources import check_destination
from nnlc.errors import NnlcError
from nnlc.exporting.manifest import ALL_NAMES, NAME, read_manifest


def check_place(folder: Path, paths: Sequence[Path]) -> None:
    """See that an export can be put here: into a new or empty folder, or an earlier export's place.

    Args:
        folder: the export's.
        paths: what is read.

    Raises:
        NnlcError: something else stands there, or it lies in a folder that is read.
    """
    if not folder.is_symlink() and (folder / NAME).exists():
        _check_replaceable(folder)
    else:
        check_destination(folder, paths)


def _check_replaceable(folder: Path) -> None:
    """See that a folder is an export and nothing but that.

    Raises:
        NnlcError: there is something in it that an export has not, or it is where the user is.
    """
    known = ALL_NAMES & {NAME, *read_manifest(folder).files}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name not in known or not entry.is_file(follow_symlinks=False):
            raise NnlcError(
                f"{folder}: holds {entry.name!r} beside an earlier export, and would be replaced "
                "with it; move that away, or name another folder"
            )
    if folder.samefile(Path.cwd()):
        raise NnlcError(f"{folder}: is where you are, and would be replaced; go to another folder")
