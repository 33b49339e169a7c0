"""The verbs that draw tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from nnlc.console import flush_output, say, say_aside
from nnlc.wording import counted, first_few

app = typer.Typer()


@app.command()
def plot(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Tables, or folders of tables; or what 'nnlc compare -o' wrote."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .png, .svg or .pdf.")],
    kind: Annotated[
        str,
        typer.Option(
            help="curves, saw-tooth, or final accuracy by learning-rate, batch-size, depth or "
            "layer-types. A comparison has one picture."
        ),
    ] = "curves",
    value: Annotated[
        str, typer.Option(help="Of curves: accuracy, val-loss or train-loss.")
    ] = "accuracy",
    val_loss: Annotated[
        str, typer.Option(help="as-published, or corrected for the published tables' slip.")
    ] = "as-published",
    damaged: Annotated[str, typer.Option(help="refuse, or skip damaged tables.")] = "refuse",
) -> None:
    """Draw tables into a file for papers and slides: curves, or accuracy by a setting."""
    from nnlc.plotting.plot import Kind, Value, check_plot, plot_comparison, plot_tables
    from nnlc.tables.frames import Damaged, ValLoss, load_tables
    from nnlc.tables.table_folders import skipped_lines

    check_plot(output, kind, value)
    if len(paths) == 1 and paths[0].suffix.lower() == ".csv":
        from nnlc.analysis.comparison_file import read_comparison

        _refuse(context, ("kind", "value", "val_loss", "damaged"), f"{paths[0]} is a comparison")
        say(f"{plot_comparison(read_comparison(paths[0]), output)}\n{output}")
        return
    if any(path.suffix.lower() == ".csv" for path in paths):
        from nnlc.errors import NnlcError

        raise NnlcError("a comparison, a .csv, has a picture of its own: give it alone")
    tables = load_tables(paths, val_loss=cast(ValLoss, val_loss), damaged=cast(Damaged, damaged))
    for line in skipped_lines(tables.skipped):
        say_aside(line)
    words = plot_tables(tables, output, kind=cast(Kind, kind), value=cast(Value, value))
    say(f"{words}\n{output}")


def _refuse(context: typer.Context, names: Sequence[str], why: str) -> None:
    """See that no option is given that means nothing here."""
    from nnlc.errors import NnlcError

    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise NnlcError(f"{option} changes tables, but {why}; leave {option} out")


@app.command()
def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A results folder, or tables.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="An .html file.")],
    comparison: Annotated[
        Path | None,
        typer.Option("--compare", help="What 'nnlc compare -o' wrote, to be shown too."),
    ] = None,
    val_loss: Annotated[
        str, typer.Option(help="as-published, or corrected; of tables without a campaign.")
    ] = "as-published",
) -> None:
    """Write one page that shows all networks, their curves and layers; it needs no network."""
    from nnlc.analysis.comparison_file import read_comparison
    from nnlc.reporting.report import write_report
    from nnlc.results.paths import ResultsFolder
    from nnlc.tables.frames import ValLoss

    if ResultsFolder(folder).has_campaign:
        _refuse(context, ("val_loss",), f"{folder} is a campaign of nnlc, whose losses are right")
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
    results: Annotated[Path, typer.Argument(help="A results folder.")],
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0: any that is free.")] = 8765,
) -> None:
    """Show a results folder in a browser on this machine, live while jobs run; it only reads."""
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
