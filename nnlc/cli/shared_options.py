"""Arguments and options that several commands share, and the reading of tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nnlc.console import say_aside

if TYPE_CHECKING:
    from nnlc.tables import frames

Campaign = Annotated[str, typer.Argument(help="A shipped campaign, or a .toml file.")]
Results = Annotated[Path, typer.Argument(help="A results folder.")]
ResultsOrDefault = Annotated[
    Path | None, typer.Option(help="Results folder; default: results/<campaign>.")
]
Costs = Annotated[
    Path | None,
    typer.Option(
        "--costs", help="Counted costs, by 'nnlc specs'; default: costs.json of the results folder."
    ),
]
Tables = Annotated[list[Path], typer.Argument(help="Tables, or folders of tables.")]
Folders = Annotated[list[Path], typer.Argument(help="Folders of tables.")]
Table = Annotated[Path, typer.Argument(help="A table.")]
NewFolder = Annotated[Path, typer.Option("-o", "--output", help="A new folder.")]
Images = Annotated[
    Path, typer.Option("--images", "--root", envvar="NNLC_IMAGES", help="Image folder.")
]
Damaged = Annotated[str, typer.Option(help="What to do with damaged tables: refuse or skip.")]
OnClash = Annotated[
    str,
    typer.Option(
        help="What to do if two different tables have the same ID: refuse, or skip the second."
    ),
]
Link = Annotated[bool, typer.Option("--link", help="Create hard links instead of copies.")]
ValLoss = Annotated[
    str, typer.Option(help="valLoss of published tables: as-published, or corrected.")
]
Sample = Annotated[int | None, typer.Option(min=1, help="Number of networks to draw at random.")]
Seed = Annotated[int | None, typer.Option(help="Seed of --sample; default: 0.")]
Top = Annotated[
    int | None,
    typer.Option(min=1, help="Only the N networks with the highest --by, of all given together."),
]
By = Annotated[
    str | None,
    typer.Option(
        help="Column of metrics or of networks that --top goes by; default: "
        "val_accuracy_percent_final."
    ),
]
Lowest = Annotated[bool, typer.Option("--lowest", help="--top takes the lowest values.")]
AcceptCode = Annotated[
    bool,
    typer.Option(
        "--accept-code", help="Go on although the code of the campaign's family has changed."
    ),
]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", hidden=True)]
"""Option without effect, accepted until 0.3.0."""


def columns_of(text: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return comma-separated columns of networks; their names in tables are accepted too."""
    from nnlc.families.layouts import article_layout

    fields = {column.name: column.field for column in article_layout().columns}
    given = default if text is None else filter(None, map(str.strip, text.split(",")))
    return tuple(fields.get(name) or name.partition(":")[0] for name in given)


def load(paths: list[Path], damaged: str, val_loss: str = "as-published") -> "frames.Tables":
    """Return tables, and print a line for each file and folder that was skipped."""
    from nnlc.collection.loading import load_tables
    from nnlc.tables.frames import Damaged, ValLoss
    from nnlc.tables.table_folders import skipped_lines

    tables = load_tables(paths, val_loss=cast(ValLoss, val_loss), damaged=cast(Damaged, damaged))
    for line in skipped_lines(tables.skipped):
        say_aside(line)
    return tables
