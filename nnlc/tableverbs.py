"""The verbs of the `nnlc` command that read many tables; a few lines each.

Rooms are imported inside the verbs, as in `nnlc.cli`, which these belong to.
"""

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from nnlc.console import say

app = typer.Typer()


@app.command()
def metrics(
    paths: Annotated[list[Path], typer.Argument(help="Tables, or folders of tables.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write CSV here; default stdout.")
    ] = None,
    epochs: Annotated[
        tuple[float, float], typer.Option(help="The first and the last epoch that count.")
    ] = (0.0, float("inf")),
    columns: Annotated[
        str | None, typer.Option(help="Of networks, comma-separated, in place of the usual ones.")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option(help="Write all curves here too, a row a half epoch.")
    ] = None,
    val_loss: Annotated[
        str, typer.Option(help="as-published, or corrected for the published tables' slip.")
    ] = "as-published",
    damaged: Annotated[str, typer.Option(help="refuse, or skip damaged tables.")] = "refuse",
    cache: Annotated[bool, typer.Option(help="Keep what was read, for the next time.")] = True,
) -> None:
    """Tell each network's curve in a few numbers: best, final, area, diverged and more, as CSV."""
    from nnlc.analysis.csvfiles import aggregate_csv, csv_ready, write_csv
    from nnlc.analysis.metrics import COLUMNS_OF_INTEREST
    from nnlc.analysis.metrics import metrics as measure
    from nnlc.tables.frames import Damaged, ValLoss, load_tables

    chosen = COLUMNS_OF_INTEREST if columns is None else tuple(filter(None, columns.split(",")))
    tables = load_tables(
        paths, val_loss=cast(ValLoss, val_loss), damaged=cast(Damaged, damaged), cache=cache
    )
    for one in tables.skipped:
        print(f"skipped: {one}", file=sys.stderr)
    found = measure(tables, epochs=epochs, columns=chosen)
    if curves is not None:
        aggregate_csv(tables, curves, columns=() if columns is None else chosen)
    if output is None:
        csv_ready(found).to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        write_csv(found, output)
        say(f"{len(found)} networks: {output}")
