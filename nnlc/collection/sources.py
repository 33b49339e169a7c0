"""The tables in folders that a user gave: read whole, with digests, and where they came from."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnlc.errors import NnlcError, TableError
from nnlc.networks import image_set_of_table
from nnlc.networks.image_sets import NAME_PATTERN
from nnlc.system.output_file import check_ending
from nnlc.tables import METADATA_COLUMNS
from nnlc.tables.fast_parsing import parse_arrays
from nnlc.tables.frames import Damaged
from nnlc.tables.table_folders import PART_NAMES, Skipped, TableFiles, find_tables
from nnlc.tables.table_reading import Reading, read_bytes

_DATASET = [column.field for column in METADATA_COLUMNS].index("dataset")


Paths = str | Path | Iterable[str | Path]
"""What a user may give: one path, or several."""


def as_paths(paths: Paths) -> list[Path]:
    """Return the paths that a user gave.

    Raises:
        NnlcError: there is none.
    """
    found = [Path(paths)] if isinstance(paths, str | Path) else list(map(Path, paths))
    if not found:
        raise NnlcError("no folder was given to be read")
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """A table in a folder that was given; `reading` and `sha256` are of the same bytes."""

    path: Path
    reading: Reading
    sha256: str
    folder: str
    """Name of the dataset folder that it stands in, or of the one that a collection has for it."""
    is_link: bool
    """Whether a symbolic link was named itself, and may be followed."""

    @property
    def id(self) -> str:
        return self.reading.id

    @property
    def dataset(self) -> str:
        return str(self.reading.metadata[_DATASET])

    def content(self) -> bytes:
        """The table's bytes once more.

        Raises:
            TableError: they can't be read, or are others by now.
        """
        content, _ = read_bytes(self.path, follow_link=self.is_link)
        self.check(content)
        return content

    def check(self, content: bytes) -> None:
        """See that these are the bytes that were read.

        Raises:
            TableError: they are not.
        """
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise TableError(
                "the table was changed while it was read; start again once nothing writes there",
                path=self.path,
            )


def read_sources(
    paths: Sequence[Path], damaged: Damaged = "refuse"
) -> tuple[list[Source], list[Skipped]]:
    """Every table in these paths, as `load_tables` finds and judges them, and what is none.

    Raises:
        TableError: nothing there to read, or a damaged table, unless those are to be skipped.
    """
    found, skipped = find_tables(paths)
    sources: list[Source] = []
    for files in found:
        for one in _read(files):
            if isinstance(one, Source):
                sources.append(one)
            elif damaged == "refuse":
                raise one
            else:
                skipped.append(Skipped(one.path or files.folder, str(one)))
    return sources, skipped


def _read(files: TableFiles) -> Iterator[Source | TableError]:
    for name in files.names:
        path = files.folder / name
        is_link = not files.whole and path.is_symlink()
        try:
            content, _ = read_bytes(path, follow_link=is_link)
            reading = Reading(str(path), *parse_arrays(content, path=path))
        except TableError as problem:
            yield problem
        else:
            folder = _folder_name(path, str(reading.metadata[_DATASET]))
            digest = hashlib.sha256(content).hexdigest()
            yield Source(path, reading, digest, folder, is_link)


def _folder_name(path: Path, dataset: str) -> str:
    """The name of a table's folder, unless it would be hidden or mistaken; then by its dataset.

    Raises:
        TableError: the dataset makes no name either.
    """
    name = Path(os.path.abspath(path.parent)).name  # noqa: PTH100  links keep their names
    if name and name.isprintable() and not name.startswith(".") and name not in PART_NAMES:
        return name
    images = image_set_of_table(dataset)
    name = images.name if images else dataset
    if not NAME_PATTERN.fullmatch(name):
        raise TableError(
            f"neither the folder's name nor the dataset {dataset!r} can name a folder of tables; "
            "put the table into a folder such as SVHN_models",
            path=path,
        )
    return f"{name}_models"


def home_of(folder: Path, paths: Iterable[Path]) -> Path | None:
    """The results folder or collection that a dataset folder lies in, if it is in the given paths.

    Nothing outside of what was given is looked at.
    """
    inside = any(folder != path and folder.is_relative_to(path) for path in paths)
    return folder.parent if inside else None


def check_destination(folder: Path, paths: Iterable[Path]) -> None:
    """See that a collection can be made here: in a folder that is new or empty.

    Args:
        folder: the collection's.
        paths: what is read.

    Raises:
        NnlcError: something stands there, or it lies in a folder that is read.
    """
    place = Path(os.path.abspath(folder))  # noqa: PTH100  a link in its place is none of ours
    if not place.is_dir():
        check_ending(folder)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise NnlcError(f"{folder}: something else stands there; name a new folder")
    if place.is_dir() and (any(place.iterdir()) or place.samefile(Path.cwd())):
        raise NnlcError(f"{folder}: is in use, and nothing is written over; name a new folder")
    if not place.parent.is_dir():
        raise NnlcError(f"{folder}: there is no folder {place.parent} to put it into")
    parents = [place.parent.resolve(), *place.parent.resolve().parents]
    for path in paths:
        if path.is_dir() and path.resolve() in parents:
            raise NnlcError(
                f"{folder}: lies in {path}, which is read, and would be read with it the next "
                "time; name a folder beside it"
            )
