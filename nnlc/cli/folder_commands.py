"""Commands that make folders of tables from others."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nnlc.cli import shared_options
from nnlc.console import say, say_aside
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.collection.merging import Collected
    from nnlc.tables.frames import Tables

app = typer.Typer()


@app.command()
def merge(
    folders: shared_options.Folders,
    output: shared_options.NewFolder,
    on_clash: shared_options.OnClash = "refuse",
    damaged: shared_options.Damaged = "refuse",
    link: shared_options.Link = False,
) -> None:
    """Copy the tables of several folders into one, byte for byte, and list their sources."""
    from nnlc.collection.merging import OnClash, merge_tables
    from nnlc.tables.frames import Damaged

    done = merge_tables(
        folders,
        output,
        on_clash=cast(OnClash, on_clash),
        damaged=cast(Damaged, damaged),
        link=link,
    )
    _say_collected(done, output)


def _say_collected(done: "Collected", folder: Path) -> None:
    for line in done.remarks():
        say_aside(line)
    say(f"{done.tables} of {done.among} tables: {folder}")
    say(f"{done.recorded} of them with a record of their training")


@app.command()
def subset(
    folders: shared_options.Folders,
    output: shared_options.NewFolder,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Dataset, such as CIFAR-100; repeatable.")
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Family, such as article, residual or residual@1; repeatable."),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(help="Depth, for the article's networks convolutions: N, A-B, A- or -B."),
    ] = None,
    final_accuracy: Annotated[
        str | None, typer.Option(help="Final accuracy in percent: A-B, A- or -B.")
    ] = None,
    best_accuracy: Annotated[
        str | None, typer.Option(help="Best accuracy in percent: A-B, A- or -B.")
    ] = None,
    diverged: Annotated[
        bool | None,
        typer.Option(
            "--diverged/--not-diverged",
            help="Only networks with, or without, an infinite or NaN loss.",
        ),
    ] = None,
    learned: Annotated[
        bool | None,
        typer.Option(
            "--learned/--never-learned",
            help="Only networks that were, or never were, better than chance.",
        ),
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="File with one ID per line, or a CSV file.")
    ] = None,
    sample: shared_options.Sample = None,
    seed: shared_options.Seed = None,
    top: shared_options.Top = None,
    by: shared_options.By = None,
    lowest: shared_options.Lowest = False,
    on_clash: shared_options.OnClash = "refuse",
    damaged: shared_options.Damaged = "refuse",
    link: shared_options.Link = False,
) -> None:
    """Copy the tables that match all options into a new folder."""
    from nnlc.analysis.ranking import select_top
    from nnlc.collection.merging import OnClash, subset_tables
    from nnlc.collection.selection import (
        Selection,
        read_depths,
        read_ids,
        read_percent,
        seed_of,
    )
    from nnlc.tables.frames import Damaged

    selection = Selection(
        datasets=tuple(dataset or ()),
        families=tuple(family or ()),
        depth=read_depths("--depth", depth),
        final_accuracy=read_percent("--final-accuracy", final_accuracy),
        best_accuracy=read_percent("--best-accuracy", best_accuracy),
        diverged=diverged,
        learned=learned,
        ids=None if ids is None else read_ids(ids),
        sample=sample,
        seed=seed_of(sample, seed),
    )

    def choose(tables: "Tables") -> Iterable[str]:
        chosen = tables.select(selection.choose(tables))
        return select_top(chosen, top, by, lowest=lowest).networks["id"]

    done = subset_tables(
        folders,
        output,
        choose,
        on_clash=cast(OnClash, on_clash),
        damaged=cast(Damaged, damaged),
        link=link,
    )
    _say_collected(done, output)


@app.command("export")
def export_(
    folders: shared_options.Folders,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A new folder, or an earlier export to replace.")
    ],
    format: Annotated[str, typer.Option(help="parquet or csv.")] = "parquet",
    title: Annotated[str, typer.Option(help="Title of the dataset.")] = "",
    creator: Annotated[
        list[str] | None, typer.Option(help="Author of nnlc's tables; repeatable.")
    ] = None,
    license: Annotated[
        str,
        typer.Option(help="License of nnlc's tables: an SPDX name, such as CC-BY-4.0, or a URL."),
    ] = "",
    url: Annotated[str, typer.Option(help="Web page of the dataset.")] = "",
    published: Annotated[str, typer.Option(help="Date of publication, such as 2026-01-31.")] = "",
    data_version: Annotated[str, typer.Option(help="Version of the dataset.")] = "1.0.0",
    damaged: shared_options.Damaged = "refuse",
) -> None:
    """Write tables as a few files for other programs, with Croissant metadata and a datasheet.

    'nnlc import' restores the tables, byte for byte.
    """
    from nnlc.exporting.exporting import export_tables
    from nnlc.exporting.manifest import Format
    from nnlc.tables.frames import Damaged

    done = export_tables(
        folders,
        output,
        format=cast(Format, format),
        damaged=cast(Damaged, damaged),
        title=title,
        creators=creator or (),
        license=license,
        url=url,
        published=published,
        version=data_version,
    )
    for line in done.remarks():
        say_aside(line)
    size = sum(facts.bytes for facts in done.files.values())
    say(
        f"{counted(done.tables, 'table')}, {counted(done.half_epochs, 'half epoch')}, "
        f"{size / 1e6:.1f} MB: {output}"
    )


@app.command("import")
def import_(
    output: shared_options.NewFolder,
    export: Annotated[Path | None, typer.Argument(help="Folder written by 'nnlc export'.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Instead, curves of another program, a row for each network and epoch: "
            "id, epoch, val_accuracy_percent; train_loss, val_loss, seconds if known."
        ),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(help="With --csv: a row for each network: id; dataset and others if known."),
    ] = None,
) -> None:
    """Restore the tables of an export, byte for byte, or import curves of another program."""
    from nnlc.errors import NnlcError
    from nnlc.exporting.importing import import_curves, import_tables

    if csv is not None and export is None:
        count, rows = import_curves(csv, networks, output)
        say(f"{counted(count, 'network')}, {counted(rows, 'row')} of their curves: {output}")
    elif export is not None and csv is None and networks is None:
        say(f"{counted(import_tables(export, output), 'table')}: {output}")
    else:
        raise NnlcError("give the folder of an export, or --csv FILE [--networks FILE]")
