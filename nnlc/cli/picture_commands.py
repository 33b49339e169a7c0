"""Commands that draw tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from nnlc.cli import shared_options
from nnlc.console import flush_output, say, say_aside
from nnlc.wording import counted, first_few

app = typer.Typer()


@app.command()
def plot(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Tables, folders of tables, or a CSV file of 'nnlc compare'."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .png, .svg or .pdf.")],
    kind: Annotated[
        str,
        typer.Option(
            help="curves, saw-tooth, or final accuracy by learning-rate, batch-size, depth, "
            "layer-types, parameters or multiply-adds (these two with colours by depth). A CSV "
            "file of 'nnlc compare' has only one kind."
        ),
    ] = "curves",
    value: Annotated[
        str, typer.Option(help="Value that --kind curves draws: accuracy, val-loss or train-loss.")
    ] = "accuracy",
    top: shared_options.Top = None,
    by: shared_options.By = None,
    lowest: shared_options.Lowest = False,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only networks on this dataset; may be repeated.")
    ] = None,
    val_loss: shared_options.ValLoss = "as-published",
    damaged: shared_options.Damaged = "refuse",
    preset: Annotated[
        str | None,
        typer.Option(help="one-column (89 mm) or two-column (183 mm), with text of 7 points."),
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Width with its unit: mm, cm or in, such as 89mm or 3.5in.")
    ] = None,
    height: Annotated[
        str | None, typer.Option(help="Height with its unit; default: what the panels need.")
    ] = None,
    font_size: Annotated[
        float | None, typer.Option(help="Size of text in points, 5 or more; default: 12.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title above the picture.")] = None,
    no_caption: Annotated[
        bool, typer.Option("--no-caption", help="Print the caption, but leave it out of the file.")
    ] = False,
) -> None:
    """Draw learning curves, or final accuracy by a hyperparameter, for papers and slides."""
    from nnlc.analysis.ranking import select_top
    from nnlc.collection.selection import select_networks
    from nnlc.plotting.look import Look, Preset
    from nnlc.plotting.plot import Kind, Value, check_plot, plot_comparison, plot_tables

    look: Look = {"preset": cast(Preset | None, preset), "width": width, "height": height}
    look |= {"font_size": font_size, "title": title, "caption": not no_caption}
    check_plot(output, kind, value, look)
    if len(paths) == 1 and paths[0].suffix.lower() == ".csv":
        from nnlc.analysis.comparison_file import read_comparison

        names = ("kind", "value", "top", "by", "lowest", "val_loss", "damaged")
        _refuse(context, names, f"{paths[0]} is a comparison")
        compared = read_comparison(paths[0])
        compared = compared[select_networks(compared, dataset or ())]
        say(f"{plot_comparison(compared, output, **look)}\n{output}")
        return
    if any(path.suffix.lower() == ".csv" for path in paths):
        from nnlc.errors import NnlcError

        raise NnlcError("give a CSV file of 'nnlc compare' alone, without tables")
    tables = shared_options.load(paths, damaged, val_loss)
    if dataset:
        chosen = select_networks(tables.networks, dataset)
        tables = tables.select(tables.networks.loc[chosen, "id"])
    tables = select_top(tables, top, by, lowest=lowest)
    words = plot_tables(tables, output, kind=cast(Kind, kind), value=cast(Value, value), **look)
    say(f"{words}\n{output}")


def _refuse(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that have no effect."""
    from nnlc.errors import NnlcError

    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise NnlcError(f"{option} has no effect, since {why}; leave {option} out")


@app.command()
def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A results folder, or tables.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="An .html file.")],
    comparison: Annotated[
        Path | None,
        typer.Option("--compare", help="Also show this CSV file of 'nnlc compare'."),
    ] = None,
    val_loss: shared_options.ValLoss = "as-published",
) -> None:
    """Write one HTML page with all networks, curves and layers; it works offline."""
    from nnlc.analysis.comparison_file import read_comparison
    from nnlc.reporting.report import write_report
    from nnlc.results.folder import ResultsFolder
    from nnlc.tables.frames import ValLoss

    if ResultsFolder(folder).has_campaign:
        _refuse(context, ("val_loss",), f"{folder} is a campaign of nnlc, whose losses are correct")
    done = write_report(
        folder,
        output,
        comparison=None if comparison is None else read_comparison(comparison),
        val_loss=cast(ValLoss, val_loss),
    )
    for line in first_few(done.notes, write=lambda note: f"note: {note}"):
        say_aside(line)
    say(f"{counted(done.networks, 'network')}, {done.bytes / 1e6:.1f} MB: {output}")


@app.command()
def serve(
    results: shared_options.Results,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any free one.")] = 8765,
) -> None:
    """Show a results folder in a browser on this machine, live and read-only."""
    from nnlc.reporting.live import LiveCampaign
    from nnlc.reporting.server import PageServer

    with PageServer(LiveCampaign(results), port) as server:
        say(f"open {server.address}")
        say("Ctrl-C ends it")
        flush_output()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("\nended")
