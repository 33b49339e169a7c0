"""Commands that predict learning curves and compare predictors."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from nnlc.cli import shared_options
from nnlc.console import say
from nnlc.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from nnlc.analysis.contexts import LearnFrom
    from nnlc.tables.frames import Tables

app = typer.Typer()

MANY = 40
"""Most networks that `predict` prints one by one."""


def _list_methods(asked: bool) -> None:
    if asked:
        from nnlc.analysis.predictors.registry import describe_methods

        for line in describe_methods():
            say(line)
        raise typer.Exit


ListOption = Annotated[
    bool,
    typer.Option("--list", callback=_list_methods, is_eager=True, help="List all methods."),
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Number of processes; default: one per core.")
]
LearnOption = Annotated[
    str,
    typer.Option(
        help="Networks from which a method such as gp learns: those of the 'same' dataset, of all "
        "'others', of 'all', or of another folder of tables."
    ),
]


@app.command()
def predict(
    paths: shared_options.Tables,
    method: Annotated[
        str, typer.Option(help="Method with its settings, such as penguin:points=3:tolerance=1.")
    ] = "penguin",
    target: Annotated[
        float | None,
        typer.Option(
            help="Epoch to predict; default: that in the method's settings, or the campaign's last."
        ),
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(help="Last epoch shown to a method that does not choose one itself."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write one row per network to this file.")
    ] = None,
    sample: shared_options.Sample = None,
    seed: shared_options.Seed = None,
    learn_from: LearnOption = "same",
    processes: ProcessesOption = None,
    damaged: shared_options.Damaged = "refuse",
    _cache: shared_options.Cache = False,
    _list: ListOption = False,
) -> None:
    """Predict each network's accuracy from the start of its curve, and score the prediction."""
    from nnlc.analysis.prediction import PREDICTION_COLUMNS, network_lines, prediction_lines
    from nnlc.analysis.prediction import predict as foretell
    from nnlc.system.output_file import CSV, check_output

    # Files of older versions have no column `target_epoch`; they may be replaced too.
    mark = f"{','.join(PREDICTION_COLUMNS[-5:])}\n".encode()
    if csv is not None:
        check_output(csv, mark=mark, endings=CSV)
    tables, only = _load(paths, damaged, sample, seed)
    found = foretell(
        tables,
        method=method,
        target=target,
        cutoff=cutoff,
        only=only,
        learn_from=_read_source(learn_from, damaged),
        processes=processes or _processors(),
    )
    if csv is not None:
        _write(found, csv, mark)
    elif len(found) <= MANY:
        for line in network_lines(found):
            say(line)
    else:
        say(f"{counted(len(found), 'network')}: --csv FILE writes a row for each")
    for line in prediction_lines(found):
        say(line)


@app.command()
def compare(
    paths: shared_options.Tables,
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated methods with settings; default: all.")
    ] = None,
    cutoffs: Annotated[
        str | None,
        typer.Option(help="Comma-separated last epochs shown; default: five before the target."),
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Epoch to predict; default: the campaign's last.")
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Show only how many epochs each method saves at a mean error of at most so many "
            "percentage points; by default, at one of 19 cutoffs.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the result to this CSV file too.")
    ] = None,
    sample: shared_options.Sample = None,
    seed: shared_options.Seed = None,
    learn_from: LearnOption = "same",
    processes: ProcessesOption = None,
    damaged: shared_options.Damaged = "refuse",
    _cache: shared_options.Cache = False,
    _list: ListOption = False,
) -> None:
    """Compare prediction methods: error, epochs saved, failures and run time."""
    from nnlc.analysis.comparison import COMPARISON_COLUMNS
    from nnlc.analysis.comparison import compare as measure
    from nnlc.analysis.comparison_text import comparison_lines
    from nnlc.analysis.predictors.registry import ALL_METHODS
    from nnlc.analysis.savings import SAVINGS_COLUMNS, savings, savings_lines
    from nnlc.system.output_file import CSV, check_output

    # Files of older versions have no column `dataset`; they may be replaced too.
    columns = COMPARISON_COLUMNS[1:] if error is None else SAVINGS_COLUMNS
    mark = f"{','.join(columns)}\n".encode()
    if output is not None:
        check_output(output, mark=mark, endings=CSV)
    chosen = ALL_METHODS if methods is None else tuple(one.strip() for one in methods.split(","))
    usual: Literal["fine"] | None = None if error is None else "fine"
    ends = usual if cutoffs is None else [_read_epoch(text) for text in cutoffs.split(",")]
    tables, only = _load(paths, damaged, sample, seed)
    found = measure(
        tables,
        chosen,
        cutoffs=ends,
        target=target,
        only=only,
        learn_from=_read_source(learn_from, damaged),
        processes=processes or _processors(),
    )
    shown = found if error is None else savings(found, error)
    if output is not None:
        _write(shown, output, mark)
    for line in comparison_lines(found) if error is None else savings_lines(shown):
        say(line)
    for line in [*found.attrs["learned"], *found.attrs["left_out"]]:
        say(line)


def _load(
    paths: list[Path], damaged: str, sample: int | None, seed: int | None
) -> "tuple[Tables, list[str] | None]":
    from nnlc.collection.selection import draw_sample, seed_of

    chosen_seed = seed_of(sample, seed)
    tables = shared_options.load(paths, damaged)
    only = None if sample is None else draw_sample(tables.networks["id"], sample, chosen_seed)
    return tables, only


def _read_source(text: str, damaged: str) -> "LearnFrom":
    from nnlc.analysis.contexts import CHOICES
    from nnlc.errors import NnlcError

    if text in CHOICES:
        return cast("LearnFrom", text)
    if not Path(text).exists():
        raise NnlcError(f"--learn-from: {text[:40]!r} is no folder, and not {', '.join(CHOICES)}")
    return shared_options.load([Path(text)], damaged)


def _write(found: "pd.DataFrame", path: Path, mark: bytes) -> None:
    from nnlc.system.output_file import CSV, write_output

    # The mark ends the first line, so a file with columns that the user appended is not replaced.
    text = found.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    write_output(path, text.encode(), mark=mark, endings=CSV)
    say(f"{counted(len(found), 'row')}: {path}")


def _read_epoch(text: str) -> float:
    from nnlc.errors import NnlcError

    try:
        return float(text)
    except ValueError:
        raise NnlcError(f"--cutoffs: {text[:40]!r} is not an epoch, such as 2.5") from None


def _processors() -> int:
    return len(os.sched_getaffinity(0))
