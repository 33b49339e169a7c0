"""Tables in the folders that a user gave, read completely, with their sha256."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnlc.errors import NnlcError, TableError
from nnlc.networks.image_sets import NAME_PATTERN, shown_name
from nnlc.system.output_file import check_ending
from nnlc.tables.folder_names import PART_NAMES, models_name
from nnlc.tables.frames import Damaged
from nnlc.tables.record import Record, read_bytes, read_record
from nnlc.tables.table_folders import Skipped, find_tables

Paths = str | Path | Iterable[str | Path]
"""One path that a user gives, or several."""


def as_paths(paths: Paths) -> list[Path]:
    """Return the paths that a user gave as a list.

    Raises:
        NnlcError: there is no path.
    """
    found = [Path(paths)] if isinstance(paths, str | Path) else list(map(Path, paths))
    if not found:
        raise NnlcError("no folder was given to be read")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Source(Record):
    """Table in a folder that the user gave."""

    folder: str
    """Name of the table's folder in a collection: the present name, or one from its dataset."""
    is_link: bool
    """True if the path is a symbolic link that the user named, and which may be followed."""

    def content(self) -> bytes:
        """Read the table's bytes again.

        Raises:
            TableError: the file can't be read, or has changed.
        """
        content = read_bytes(self.path, follow_link=self.is_link)
        self.check(content)
        return content

    def check(self, content: bytes) -> None:
        """Check that the bytes have not changed since the first reading.

        Raises:
            TableError: the bytes differ.
        """
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise TableError(
                "the table was changed while it was read; start again once nothing writes there",
                path=self.path,
            )


def read_sources(
    paths: Sequence[Path], damaged: Damaged = "refuse"
) -> tuple[list[Source], list[Skipped]]:
    """Return all tables in paths, and the files skipped, by the rules of `load_tables`.

    Raises:
        TableError: there is no table, or one is damaged and `damaged` is not "skip".
    """
    found, skipped = find_tables(paths)
    sources: list[Source] = []
    for files in found:
        for path in (files.folder / name for name in files.names):
            is_link = not files.whole and path.is_symlink()
            try:
                one = read_record(path, follow_link=is_link)
            except TableError as problem:
                if damaged == "refuse":
                    raise
                skipped.append(Skipped(problem.path or files.folder, str(problem)))
                continue
            folder = _folder_name(path, one.dataset)
            sources.append(
                Source(path, one.sha256, one.layout, one.metadata, one.curve, folder, is_link)
            )
    return sources, skipped


def _folder_name(path: Path, dataset: str) -> str:
    """Return the name of a table's folder, or one from its dataset if that name can't be used.

    Hidden names can't be used, nor names of other parts of a results folder.

    Raises:
        TableError: the dataset can't be used as a name either.
    """
    name = Path(os.path.abspath(path.parent)).name  # noqa: PTH100  links keep their names
    if name and name.isprintable() and not name.startswith(".") and name not in PART_NAMES:
        return name
    name = shown_name(dataset)
    if not NAME_PATTERN.fullmatch(name):
        raise TableError(
            f"neither the folder's name nor the dataset {dataset!r} can name a folder of tables; "
            "put the table into a folder such as SVHN_models",
            path=path,
        )
    return models_name(name)


def parent_collection(folder: Path, paths: Iterable[Path]) -> Path | None:
    """Return the results folder or collection with a dataset folder; None outside the given paths.

    Nothing outside the paths that the user gave is read.
    """
    inside = any(folder != path and folder.is_relative_to(path) for path in paths)
    return folder.parent if inside else None


def check_destination(folder: Path, paths: Iterable[Path]) -> None:
    """Check that a collection can be written into a folder: a new or empty one.

    Args:
        folder: the folder of the collection.
        paths: the paths to read.

    Raises:
        NnlcError: the folder exists and is not empty, or lies inside a path to read.
    """
    place = Path(os.path.abspath(folder))  # noqa: PTH100  a link in its place is not followed
    if not place.is_dir():
        check_ending(folder)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise NnlcError(f"{folder}: something else stands there; name a new folder")
    if place.is_dir() and (any(place.iterdir()) or place.samefile(Path.cwd())):
        raise NnlcError(f"{folder}: is in use, and is not overwritten; name a new folder")
    if not place.parent.is_dir():
        raise NnlcError(f"{folder}: there is no folder {place.parent} to put it into")
    parents = [place.parent.resolve(), *place.parent.resolve().parents]
    for path in paths:
        if path.is_dir() and path.resolve() in parents:
            raise NnlcError(
                f"{folder}: lies in {path}, which is read, so that its tables would be read again "
                "the next time; name a folder outside"
            )
