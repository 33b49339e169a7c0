"""The verbs that make folders of tables from others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nnlc.console import say, say_aside
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.collection.merging import Collected

app = typer.Typer()


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of tables, ours or published.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    on_clash: Annotated[
        str, typer.Option(help="refuse, or skip the later of two tables of one ID that differ.")
    ] = "refuse",
    damaged: Annotated[str, typer.Option(help="refuse, or skip damaged tables.")] = "refuse",
    link: Annotated[bool, typer.Option("--link", help="Hard links in place of copies.")] = False,
) -> None:
    """Put the tables of many folders into one, byte for byte, with a list of where they were."""
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
    say(f"{done.recorded} of them with recorded seconds")


@app.command()
def subset(
    folders: Annotated[list[Path], typer.Argument(help="Folders of tables, ours or published.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    dataset: Annotated[
        list[str] | None, typer.Option(help="CIFAR-100 or so; may be said several times.")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Convolutions: N, A-B, A- or -B.")] = None,
    final_accuracy: Annotated[
        str | None, typer.Option(help="Percent after the last half epoch: A-B, A- or -B.")
    ] = None,
    best_accuracy: Annotated[
        str | None, typer.Option(help="Percent at best: A-B, A- or -B.")
    ] = None,
    diverged: Annotated[
        bool | None, typer.Option("--diverged/--not-diverged", help="Whether a loss is not finite.")
    ] = None,
    learned: Annotated[
        bool | None, typer.Option("--learned/--never-learned", help="Better than chance, or not.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="A file with an ID a line, or CSV.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="So many of these, at random.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sample; default 0.")] = None,
    on_clash: Annotated[
        str, typer.Option(help="refuse, or skip the later of two tables of one ID that differ.")
    ] = "refuse",
    damaged: Annotated[str, typer.Option(help="refuse, or skip damaged tables.")] = "refuse",
    link: Annotated[bool, typer.Option("--link", help="Hard links in place of copies.")] = False,
) -> None:
    """Put some of the tables into a new folder: those that are all that is asked for."""
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
        depth=read_depths("--depth", depth),
        final_accuracy=read_percent("--final-accuracy", final_accuracy),
        best_accuracy=read_percent("--best-accuracy", best_accuracy),
        diverged=diverged,
        learned=learned,
        ids=None if ids is None else read_ids(ids),
        sample=sample,
        seed=seed_of(sample, seed),
    )
    done = subset_tables(
        folders,
        output,
        selection.choose,
        on_clash=cast(OnClash, on_clash),
        damaged=cast(Damaged, damaged),
        link=link,
    )
    _say_collected(done, output)


@app.command("export")
def export_(
    folders: Annotated[list[Path], typer.Argument(help="Folders of tables, ours or published.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A new folder, or an earlier export.")
    ],
    format: Annotated[str, typer.Option(help="parquet or csv.")] = "parquet",
    title: Annotated[str, typer.Option(help="What it is called.")] = "",
    creator: Annotated[
        list[str] | None, typer.Option(help="Of our tables; may be said several times.")
    ] = None,
    license: Annotated[
        str, typer.Option(help="Of our tables: an SPDX name, such as CC-BY-4.0, or a URL.")
    ] = "",
    url: Annotated[str, typer.Option(help="The page where it will be.")] = "",
    published: Annotated[str, typer.Option(help="The day, such as 2026-01-31.")] = "",
    data_version: Annotated[str, typer.Option(help="Of the tables.")] = "1.0.0",
    damaged: Annotated[str, typer.Option(help="refuse, or skip damaged tables.")] = "refuse",
) -> None:
    """Write tables into a few files for other programs, described for machines and people.

    'nnlc import' has the tables back, byte for byte.
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
    export: Annotated[Path, typer.Argument(help="What 'nnlc export' wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
) -> None:
    """Write the tables of an export as files again, byte for byte, each digest compared."""
    from nnlc.exporting.importing import import_tables

    say(f"{counted(import_tables(export, output), 'table')}: {output}")
