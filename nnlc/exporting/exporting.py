"""`nnlc export`: many tables as a few files for other programs."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nnlc.collection.sources import Source, as_paths, check_destination, read_sources
from nnlc.errors import NnlcError, TableError
from nnlc.exporting import croissant, csv_export, datasheet
from nnlc.exporting.contents import Contents, contents_of
from nnlc.exporting.manifest import (
    ALL_NAMES,
    CROISSANT,
    DATASHEET,
    MANIFEST,
    FileEntry,
    Format,
    Manifest,
    file_entry,
    read_manifest,
)
from nnlc.exporting.origins import Publication, origins_of
from nnlc.system.extras import require_extra
from nnlc.system.new_folder import new_folder
from nnlc.tables.frames import Damaged, check_choice
from nnlc.tables.table_folders import Skipped, skipped_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Result of an export."""

    tables: int
    half_epochs: int
    files: dict[str, FileEntry]
    """Files of the export by name, without its manifest."""
    skipped: tuple[Skipped, ...]
    """Files and folders that were not read, with the reason."""
    mixed: tuple[str, ...]
    """Lines on campaigns whose tables come from several arithmetics."""
    unsaid: tuple[str, ...]
    """Arguments that a published dataset needs and that were not given."""

    def remarks(self) -> Iterator[str]:
        """Yield the lines that a user should see."""
        yield from skipped_lines(self.skipped)
        yield from (f"warning: {words}" for words in self.mixed)
        if self.unsaid:
            yield (
                f"note: croissant.json and datasheet.html lack {', '.join(self.unsaid)}, which "
                "are not in tables; give them before you publish"
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
    """Write tables, nnlc's own or published ones, into a few files that `import_tables` reads back.

    The same tables and versions of the libraries give the same bytes.

    Args:
        paths: tables, folders of tables, results folders or downloads, as for `load_tables`.
        folder: a new or empty folder, or an earlier export, which is replaced. After an error
            it is unchanged.
        format: "parquet" or "csv".
        damaged: "refuse", or "skip" to leave out damaged tables and second tables of an ID.
        title, url, published, version: description of the export: its name, page, day of
            publication (2026-01-31) and version (1.0.0).
        creators, license: authors of the tables that nnlc wrote, and their licence as an SPDX
            identifier or URL. The article's tables have the article's.

    Raises:
        TableError: there is no table, one is damaged, or two have the same ID.
        NnlcError: an argument is invalid, or the folder is in use or can't be written.
        MissingExtraError: the format needs a library that is not installed.
    """
    if format == "hdf5":
        raise NnlcError(
            "format 'hdf5' is no longer written, though 'nnlc import' still reads it; choose "
            "'parquet', which pandas, polars, DuckDB and R read, or 'csv'"
        )
    check_choice("format", format, ("parquet", "csv"))
    check_choice("damaged", damaged, ("refuse", "skip"))
    publication = Publication(
        title=title,
        creators=tuple(creators),
        license=license,
        url=url,
        published=published,
        version=version,
    )
    write = _writer_of(format)
    places, folder = as_paths(paths), Path(folder)
    check = partial(_check_place, folder, places)
    check()
    found, skipped = read_sources(places, damaged)
    sources = list(_first_of_each(found, damaged, skipped))
    if not sources:
        raise NnlcError("there is no table to export: all are damaged")
    contents = contents_of(sources)
    origins = origins_of(sources, places, sum(contents.networks["published"]))
    croissant.check_publication(origins, publication)
    with new_folder(folder, check, replaces=MANIFEST) as temporary:
        write(contents, temporary)
        files = {path.name: file_entry(path) for path in sorted(temporary.iterdir())}
        described = croissant.describe(contents, origins, publication, format, files)
        (temporary / CROISSANT).write_bytes(described)
        files[CROISSANT] = file_entry(temporary / CROISSANT)
        page = datasheet.render(contents, origins, publication, format, files)
        (temporary / DATASHEET).write_bytes(page)
        files[DATASHEET] = file_entry(temporary / DATASHEET)
        manifest = Manifest(
            format=format,
            tables=len(contents),
            half_epochs=contents.layout.rows,
            digest=contents.digest,
            files=files,
            own_columns=tuple(contents.schema.layouts),
        )
        (temporary / MANIFEST).write_bytes(manifest.to_bytes())
    return Exported(
        tables=manifest.tables,
        half_epochs=manifest.half_epochs,
        files=files,
        skipped=tuple(skipped),
        mixed=origins.mixed,
        unsaid=tuple(croissant.missing(origins, publication)),
    )


def _writer_of(format: Format) -> Callable[[Contents, Path], None]:
    if format == "csv":
        return csv_export.write
    require_extra("export", "an export in Parquet, unlike one in CSV,", "pyarrow")
    from nnlc.exporting import parquet_export

    return parquet_export.write


def _first_of_each(
    sources: Iterable[Source], damaged: Damaged, skipped: list[Skipped]
) -> Iterator[Source]:
    """Yield the first table of each ID.

    Raises:
        TableError: two tables have the same ID, and `damaged` is not "skip".
    """
    firsts: dict[str, Source] = {}
    for one in sources:
        first = firsts.setdefault(one.id, one)
        if first is one:
            yield one
            continue
        problem = TableError(
            f"network {one.id} also has a table in {first.path.parent}; export the two folders "
            "separately",
            path=one.path,
            line=2,
            column=5,
            column_name="ID",
        )
        if damaged == "refuse":
            raise problem
        skipped.append(Skipped(one.path, str(problem)))


def _check_place(folder: Path, paths: Sequence[Path]) -> None:
    """Check that an export can be written into a folder: new, empty, or an earlier export.

    Args:
        folder: the folder of the export.
        paths: the paths to read.

    Raises:
        NnlcError: the path has something else, also besides an earlier export; or it is inside a
            path to read; or it is the current folder and has an export.
    """
    if folder.is_symlink() or not (folder / MANIFEST).exists():
        check_destination(folder, paths)
        return
    known = ALL_NAMES & {MANIFEST, *read_manifest(folder).files}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name not in known or not entry.is_file(follow_symlinks=False):
            raise NnlcError(
                f"{folder}: contains {entry.name!r} besides an earlier export, and would be "
                "replaced with it; move it away, or name another folder"
            )
    if folder.samefile(Path.cwd()):
        raise NnlcError(
            f"{folder}: is the current folder, and would be replaced; change to another folder"
        )
