"""Commands that read tables."""

from pathlib import Path
from typing import Annotated

import typer

from nnlc.cli import shared_options
from nnlc.console import say, say_aside, say_whole
from nnlc.wording import counted

app = typer.Typer()


@app.command()
def metrics(
    paths: shared_options.Tables,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV file to write; default: stdout.")
    ] = None,
    epochs: Annotated[tuple[float, float], typer.Option(help="First and last epoch to use.")] = (
        0.0,
        float("inf"),
    ),
    columns: Annotated[
        str | None,
        typer.Option(help="Comma-separated columns of networks, instead of the usual ones."),
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(help="Also write all curves to this file, one row per half epoch."),
    ] = None,
    top: shared_options.Top = None,
    by: shared_options.By = None,
    lowest: shared_options.Lowest = False,
    val_loss: shared_options.ValLoss = "as-published",
    damaged: shared_options.Damaged = "refuse",
    _cache: shared_options.Cache = False,
) -> None:
    """Write a few numbers for each learning curve as CSV: best, final, area, diverged and more."""
    from nnlc.analysis.aggregate_csv import (
        CURVES_MARK,
        METRICS_MARK,
        aggregate_csv,
        csv_ready,
        write_csv,
    )
    from nnlc.analysis.metrics import metrics as measure
    from nnlc.analysis.ranking import select_top, top_lines
    from nnlc.errors import NnlcError
    from nnlc.system.output_file import CSV, check_output

    if output is not None and curves is not None and output.resolve() == curves.resolve():
        raise NnlcError(f"{output}: is given for metrics and curves; give each its own file")
    for path, mark in ((output, METRICS_MARK), (curves, CURVES_MARK)):
        if path is not None:
            check_output(path, mark=mark, endings=CSV)
    chosen = None if columns is None else shared_options.columns_of(columns, ())
    tables = shared_options.load(paths, damaged, val_loss)
    tables = select_top(tables, top, by, lowest=lowest, epochs=epochs)
    found = measure(tables, epochs=epochs, columns=chosen)
    if curves is not None:
        aggregate_csv(tables, curves, columns=chosen or ())
    if output is None:
        say_whole(csv_ready(found).to_csv(index=False, lineterminator="\n"))
    else:
        write_csv(found, output, mark=METRICS_MARK)
        for line in top_lines(tables, by, epochs=epochs) if top is not None else ():
            say(line)
        say(f"{counted(len(found), 'network')}: {output}")


@app.command()
def importance(
    paths: shared_options.Tables,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the result to this CSV file too.")
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(help="Comma-separated columns of networks, instead of the usual ones."),
    ] = None,
    of: Annotated[
        str, typer.Option(help="Column of metrics or networks whose variance is explained.")
    ] = "val_accuracy_percent_final",
    damaged: shared_options.Damaged = "refuse",
) -> None:
    """Show the share of the accuracy's variance that each setting explains, by ranks.

    The settings relu_share, pooling_share and dropout_share are shares of a network's convolutions:
    those followed by such a layer.
    """
    from nnlc.analysis.aggregate_csv import write_csv
    from nnlc.analysis.importance import IMPORTANCE_COLUMNS, SETTINGS, importance_lines
    from nnlc.analysis.importance import importance as explain
    from nnlc.system.output_file import CSV, check_output

    mark = f"{','.join(IMPORTANCE_COLUMNS)}\n".encode()
    if output is not None:
        check_output(output, mark=mark, endings=CSV)
    tables = shared_options.load(paths, damaged)
    chosen = SETTINGS if settings is None else shared_options.columns_of(settings, ())
    found = explain(tables, chosen, of=of)
    for line in importance_lines(found):
        say(line)
    if output is not None:
        write_csv(found, output, mark=mark)
        say(f"{counted(len(found), 'row')}: {output}")


@app.command()
def audit(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Tables, or folders of tables.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
    show_all: Annotated[
        bool,
        typer.Option("--all", help="Print every finding, not only the first few of each rule."),
    ] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules.")] = False,
) -> None:
    """Check tables against the format, the article and their campaign; name file, line and column.

    The exit status is 0 for notes only, 3 for warnings, 4 for errors.
    """
    from nnlc.auditing.audit_text import audit_json, audit_lines, rule_lines

    if rules:
        for line in rule_lines():
            say(line)
        return
    if not paths:
        raise typer.BadParameter("name tables, or folders of tables", param_hint="PATHS")
    from nnlc.auditing.audit import audit as audit_tables

    found = audit_tables(paths)
    if as_json:
        say_whole(audit_json(found) + "\n")
    else:
        for line in audit_lines(found, show_all=show_all):
            say(line)
    raise typer.Exit(found.exit_status)


CampaignOption = Annotated[
    str | None,
    typer.Option(
        help="The table's campaign, if it is not beside the table: a name, file or results folder."
    ),
]


@app.command()
def rebuild(
    table: shared_options.Table,
    python: Annotated[
        bool,
        typer.Option(
            "--python", help="Print a program that builds the network; it needs only PyTorch."
        ),
    ] = False,
    campaign: CampaignOption = None,
) -> None:
    """Show a table's PyTorch network: layers, sizes, operations, optimizer; or its source.

    In Python, nnlc.rebuild(TABLE) returns the module.
    """
    from nnlc.tables import read_table
    from nnlc.training.network_text import describe_network, python_source
    from nnlc.training.origin import campaign_of, origin_of

    spec = read_table(table).spec
    origin = origin_of(spec, campaign_of(table, campaign))
    if python:
        say_whole(python_source(spec, origin))
        return
    for line in describe_network(spec, origin):
        say(line)


@app.command()
def verify(
    tables: shared_options.Tables,
    half_epochs: Annotated[
        int | None, typer.Option(min=1, help="Half epochs to train per network; default: all.")
    ] = None,
    images: shared_options.Images = Path("images"),
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of seeds to train for each published table.")
    ] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; default: as recorded.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: as recorded.")] = None,
    campaign: CampaignOption = None,
) -> None:
    """Train networks again from their tables, and report every difference.

    The exit status is 0 if all of nnlc's tables are identical, 3 if any differs.
    """
    from nnlc.errors import ExitStatus
    from nnlc.verification.verify_text import summary, verdict_lines
    from nnlc.verification.verifying import verify as verify_tables

    said: set[str] = set()
    verdicts = verify_tables(
        tables,
        half_epochs=half_epochs,
        images=images,
        seeds=seeds,
        threads=threads,
        device=device,
        campaign=campaign,
        on_verdict=lambda verdict: say("\n".join(verdict_lines(verdict, said))),
        tell=say_aside,
    )
    say(summary(verdicts))
    if any(verdict.differs for verdict in verdicts):
        raise typer.Exit(ExitStatus.DONE_WITH_FAILURES)


@app.command()
def show(table: shared_options.Table) -> None:
    """Draw a table's network and its learning curve as text."""
    from nnlc.analysis.text_drawing import draw_table
    from nnlc.tables import read_table
    from nnlc.training.network_text import network_lines

    found = read_table(table)
    for line in draw_table(found.spec, found.rows, network_lines(found.spec, table)):
        say(line)
