"""`nnlc export`: many tables as a few files that other programs read."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nnlc.collection.sources import Source, as_paths, check_destination, read_sources
from nnlc.errors import NnlcError, TableError
from nnlc.exporting import croissant, csv_export, datasheet, parquet_export
from nnlc.exporting.contents import contents_of
from nnlc.exporting.manifest import (
    ALL_NAMES,
    CROISSANT,
    DATASHEET,
    NAME,
    FileFacts,
    Format,
    Manifest,
    facts_of,
    read_manifest,
)
from nnlc.exporting.origins import Publication, origins_of
from nnlc.system.new_folder import new_folder
from nnlc.tables.frames import Damaged, check_choice
from nnlc.tables.table_folders import Skipped, skipped_lines

_WRITERS = {"parquet": parquet_export.write, "csv": csv_export.write}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What became of an export."""

    tables: int
    half_epochs: int
    files: dict[str, FileFacts]
    """By name."""
    skipped: tuple[Skipped, ...]
    """What was found beside the tables and not read, and why."""
    mixed: tuple[str, ...]
    """A line on each campaign whose tables come from several arithmetics."""
    unsaid: tuple[str, ...]
    """What a published dataset needs, and was not given."""

    def remarks(self) -> Iterator[str]:
        """What a user should know of, a line each."""
        yield from skipped_lines(self.skipped)
        yield from (f"warning: {words}" for words in self.mixed)
        if self.unsaid:
            yield (
                f"note: the tables can't know {', '.join(self.unsaid)}, which croissant.json and "
                "datasheet.html would tell; give them before you publish"
            )


def export_tables(
    paths: str | Path | Iterable[str | Path],
    folder: str | Path,
    *,
    format: Format = "parquet",
    damaged: Damaged = "refuse",
    title: str = "",
    creators: Iterable[str] = (),
    license: str = "",
    url: str = "",
    published: str = "",
    version: str = "1.0.0",
) -> Exported:
    """Write tables, ours and published ones, into a few files from which each can be had again.

    The same tables give the same bytes, with the same versions of the libraries.

    Args:
        paths: what `load_tables` takes: tables, folders of them, results folders, downloads.
        folder: a new or empty folder, or an earlier export, which is replaced; it is there whole
            in the end, or as it was.
        format: "parquet" or "csv".
        damaged: "skip" leaves out damaged tables, and a second table of the same ID.
        title, url, published, version: what the descriptions say of the export: a name, a page, a
            day (2026-01-31), and a version (1.0.0).
        creators, license: of tables that nnlc wrote: people, and an SPDX identifier or URL; of the
            article's the descriptions say what the article does.

    Raises:
        TableError: nothing there to read, a damaged table, or two tables of one network.
        NnlcError: a word that is none of its kind, or the folder is in use or can't be written.
    """
    if format == "hdf5":
        raise NnlcError(
            "format 'hdf5' is no longer written, though 'nnlc import' still reads it; take "
            "'parquet', which pandas, polars, DuckDB and R read, or 'csv'"
        )
    check_choice("format", format, tuple(_WRITERS))
    check_choice("damaged", damaged, ("refuse", "skip"))
    publication = Publication(
        title=title,
        creators=tuple(creators),
        license=license,
        url=url,
        published=published,
        version=version,
    )
    places, folder = as_paths(paths), Path(folder)
    check = partial(_check_place, folder, places)
    check()
    found, skipped = read_sources(places, damaged)
    sources = list(_first_of_each(found, damaged, skipped))
    if not sources:
        raise NnlcError("no table is left to be exported: all are damaged")
    contents = contents_of(sources)
    origins = origins_of(sources, places, sum(contents.column("published")))
    croissant.check_publication(origins, publication)
    with new_folder(folder, check, replaces=NAME) as temporary:
        _WRITERS[format](contents, temporary)
        files = {path.name: facts_of(path) for path in sorted(temporary.iterdir())}
        described = croissant.describe(contents, origins, publication, format, files)
        (temporary / CROISSANT).write_bytes(described)
        files[CROISSANT] = facts_of(temporary / CROISSANT)
        page = datasheet.render(contents, origins, publication, format, files)
        (temporary / DATASHEET).write_bytes(page)
        files[DATASHEET] = facts_of(temporary / DATASHEET)
        manifest = Manifest(
            format=format,
            tables=len(contents),
            half_epochs=contents.layout.rows,
            digest=contents.digest,
            files=files,
        )
        (temporary / NAME).write_bytes(manifest.to_bytes())
    return Exported(
        tables=manifest.tables,
        half_epochs=manifest.half_epochs,
        files=files,
        skipped=tuple(skipped),
        mixed=origins.mixed,
        unsaid=tuple(croissant.missing(origins, publication)),
    )


def _first_of_each(
    sources: Iterable[Source], damaged: Damaged, skipped: list[Skipped]
) -> Iterator[Source]:
    """One table for each ID.

    Raises:
        TableError: there are two, and none is to be skipped.
    """
    firsts: dict[str, Source] = {}
    for one in sources:
        first = firsts.setdefault(one.id, one)
        if first is one:
            yield one
            continue
        problem = TableError(
            f"network {one.id} has a table in {first.path.parent} already; export the two apart",
            path=one.path,
            line=2,
            column=5,
            column_name="ID",
        )
        if damaged == "refuse":
            raise problem
        skipped.append(Skipped(one.path, str(problem)))


def _check_place(folder: Path, paths: Sequence[Path]) -> None:
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
