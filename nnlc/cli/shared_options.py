"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Campaign = Annotated[str, typer.Argument(help="A shipped campaign, or a .toml file.")]
Results = Annotated[Path, typer.Argument(help="A results folder.")]
ResultsOrDefault = Annotated[
    Path | None, typer.Option(help="Results folder; default: results/<campaign>.")
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
Cache = Annotated[bool, typer.Option("--cache/--no-cache", hidden=True)]
"""Option without effect, accepted until 0.3.0."""
