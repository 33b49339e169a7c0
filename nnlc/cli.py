"""The `nnlc` command. Each verb is a few lines over the room that does the work.

Rooms are imported inside the verbs, so that `--help` is instant and needs neither torch nor MPI.
"""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Learning curves of random convolutional networks. To train: python -m nnlc.worker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CampaignArgument = Annotated[str, typer.Argument(help="A shipped campaign or a .toml file.")]
ImagesOption = Annotated[
    Path, typer.Option("--root", envvar="NNLC_IMAGES", help="Where images are kept.")
]


def main() -> None:
    """Run the command; a user's mistake is one message, no traceback."""
    from nnlc.errors import ExitStatus, NnlcError

    try:
        app()
    except NnlcError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(ExitStatus.ERROR)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stderr.close()
        sys.exit(ExitStatus.ERROR)
    except OSError as problem:
        print(f"error: {problem.filename}: {problem.strerror}", file=sys.stderr)
        sys.exit(ExitStatus.ERROR)


def _version(asked: bool) -> None:
    if asked:
        from nnlc import __version__

        print(f"nnlc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def campaigns() -> None:
    """List the shipped campaigns."""
    from nnlc.campaign import load_campaign
    from nnlc.shipped import shipped_names

    for name, path in shipped_names("jobs", ".toml").items():
        campaign = load_campaign(name)
        networks = sum(1 for _ in campaign.networks())
        images = ", ".join(campaign.image_sets())
        print(f"{name:<16}{networks:>6} networks, {campaign.epochs} epochs on {images}")
        print(f"{'':<16}{path}")


@app.command()
def specs(
    campaign: CampaignArgument,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write every network to this file; - for stdout.")
    ] = None,
) -> None:
    """Show the networks of a campaign: a summary, or every one of them as CSV.

    train_GPU is the value that a table has when it is trained on a GPU.
    """
    from nnlc.campaign import load_campaign
    from nnlc.listing import summarise, write_csv

    loaded = load_campaign(campaign)
    if csv is None:
        for line in summarise(loaded):
            print(line)
    elif str(csv) == "-":
        write_csv(loaded, sys.stdout)
    else:
        with _writing(csv), csv.open("w", newline="", encoding="utf-8") as file:
            write_csv(loaded, file)


@app.command()
def stage(
    campaign: CampaignArgument,
    root: ImagesOption = Path("images"),
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder that has the files already: no download."),
    ] = None,
) -> None:
    """Bring a campaign's images to where the worker looks for them, and verify them."""
    from nnlc.campaign import load_campaign
    from nnlc.training.stage import stage_images

    stage_images(load_campaign(campaign), root, source)


@app.command()
def describe(file: Annotated[Path, typer.Argument(help="Images of your own, as .npz.")]) -> None:
    """Print what a campaign file must say of images of your own."""
    from nnlc.training.ownimages import describe_npz

    print(describe_npz(file), end="")


@app.command()
def status(results: Annotated[Path, typer.Argument(help="A results folder.")]) -> None:
    """Show how far a results folder is; safe while a job runs."""
    from rich.console import Console
    from rich.table import Table

    from nnlc.results import ResultsFolder
    from nnlc.status import read_status

    found = read_status(ResultsFolder(results))
    grid = Table(title=f"campaign {found.campaign}", title_justify="left")
    grid.add_column("dataset")
    for name in ("done", "under way", "waiting", "failed", "rows"):
        grid.add_column(name, justify="right")
    for name, counts in found.datasets.items():
        of_all = sum((counts.done, counts.under_way, counts.waiting, counts.failed))
        rows = f"{counts.rows} of {of_all * found.half_epochs}"
        numbers = (counts.done, counts.under_way, counts.waiting, counts.failed)
        grid.add_row(name, *map(str, numbers), rows)
    console = Console()
    console.print(grid)
    for id_, failure in found.failures.items():
        _say(f"{id_} {failure}")
    if found.failures:
        _say(f"nnlc retry {shlex.quote(str(results))} clears failures")
    if len(found.makers) > 1:
        print(f"warning: tables come from {len(found.makers)} devices or versions:")
        for words, count in found.makers:
            _say(f"{count:>6} from {words}")
    if found.trouble:
        _say(f"last trouble of what is under way: {found.trouble}")


@app.command()
def retry(
    results: Annotated[Path, typer.Argument(help="A results folder.")],
    ids: Annotated[list[str] | None, typer.Argument(help="Failed networks; default all.")] = None,
) -> None:
    """Clear failures, so that the next start trains these networks again."""
    from nnlc.history import clear_failures
    from nnlc.results import ResultsFolder

    cleared = clear_failures(ResultsFolder(results), ids or [])
    for id_ in cleared:
        print(f"{id_} is no longer failed")
    if cleared:
        print("the next start of the campaign trains them again")
    else:
        print(f"{results}: no network has failed")


@app.command()
def show(table: Annotated[Path, typer.Argument(help="A table, ours or a published one.")]) -> None:
    """Draw a table's network and its learning curve as text."""
    from nnlc.analysis.drawing import draw_table
    from nnlc.networks import image_set_of_table, walk_network
    from nnlc.tables import read_table

    found = read_table(table)
    images = image_set_of_table(found.spec.dataset)
    walk = walk_network(found.spec, images) if images else None
    for line in draw_table(found.spec, found.rows, walk):
        print(line)


@app.command()
def render(
    campaign: CampaignArgument,
    site: Annotated[str, typer.Option(help="A shipped site or a .toml file.")],
    nodes: Annotated[int | None, typer.Option(help="Nodes; default the site's.")] = None,
    minutes: Annotated[int | None, typer.Option(help="Walltime; default the site's.")] = None,
    account: Annotated[str | None, typer.Option(help="Whose allocation pays.")] = None,
    results: Annotated[str | None, typer.Option(help="Results folder.")] = None,
    python: Annotated[str, typer.Option(help="The Python to run on the nodes.")] = "python",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Default stdout.")] = None,
) -> None:
    """Write the job script that runs a campaign at a site, one rank a GPU."""
    from nnlc.launching.render import render_script
    from nnlc.launching.site import load_site

    chosen = load_site(site)
    if account is not None:
        chosen = chosen.model_copy(update={"account": account})
    script = render_script(
        campaign, chosen, nodes=nodes, walltime_minutes=minutes, results=results, python=python
    )
    if output is None:
        print(script, end="")
    else:
        with _writing(output):
            output.write_text(script, encoding="utf-8")


def _say(text: str) -> None:
    """Print a line; a character that the terminal's encoding lacks becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the file system refuses becomes one message that names the file."""
    from nnlc.errors import NnlcError

    try:
        yield
    except OSError as problem:
        raise NnlcError(f"{path}: can't be written: {problem.strerror}") from None


if __name__ == "__main__":
    main()
