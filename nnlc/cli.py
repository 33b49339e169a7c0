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
def plan(
    campaign: CampaignArgument,
    site: Annotated[str, typer.Option(help="A shipped site or a .toml file.")],
    nodes: Annotated[int | None, typer.Option(help="Nodes of a job; default chosen.")] = None,
    hours: Annotated[float | None, typer.Option(help="Walltime; default chosen.")] = None,
    elements: Annotated[int | None, typer.Option(help="Of a job array; default chosen.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Results folder; default results/<campaign>.")
    ] = None,
) -> None:
    """Predict what a campaign costs at a site, and choose nodes, walltime and array elements."""
    from nnlc.launching.limits import plan_request
    from nnlc.launching.plan import plan_campaign
    from nnlc.launching.plantext import plan_lines

    request = plan_request(nodes, hours, elements)
    for line in plan_lines(plan_campaign(campaign, site, results, request)):
        _say(line)


SiteOption = Annotated[str, typer.Option(help="A shipped site or a .toml file.")]
NodesOption = Annotated[int | None, typer.Option(help="Nodes; default the site's.")]
MinutesOption = Annotated[int | None, typer.Option(help="Walltime; default the site's.")]
ElementsOption = Annotated[int, typer.Option(help="Of a job array; they share the campaign.")]
AccountOption = Annotated[str | None, typer.Option(help="Whose allocation pays.")]
PythonOption = Annotated[str, typer.Option(help="The Python to run on the nodes.")]


@app.command()
def render(
    campaign: CampaignArgument,
    site: SiteOption,
    nodes: NodesOption = None,
    minutes: MinutesOption = None,
    elements: ElementsOption = 1,
    account: AccountOption = None,
    results: Annotated[str | None, typer.Option(help="Results folder.")] = None,
    images: Annotated[str | None, typer.Option(help="Where the images were staged.")] = None,
    python: PythonOption = "python",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Default stdout.")] = None,
) -> None:
    """Write the job script that runs a campaign at a site, one rank a GPU."""
    from nnlc.launching.render import Request, render_script
    from nnlc.launching.site import load_site

    request = Request(
        campaign=campaign,
        nodes=nodes,
        walltime_minutes=minutes,
        elements=elements,
        results=results,
        images=images,
        python=python,
        script=None if output is None else str(output.absolute()),
    )
    script = render_script(request, load_site(site, account=account))
    if output is None:
        print(script, end="")
    else:
        with _writing(output):
            output.write_text(script, encoding="utf-8")


@app.command()
def submit(
    campaign: CampaignArgument,
    site: SiteOption,
    nodes: NodesOption = None,
    minutes: MinutesOption = None,
    elements: ElementsOption = 1,
    account: AccountOption = None,
    results: Annotated[
        Path | None, typer.Option(help="Results folder; default results/<campaign>.")
    ] = None,
    images: ImagesOption = Path("images"),
    python: PythonOption = sys.executable,
    dry_run: Annotated[bool, typer.Option(help="Do all but ask the scheduler.")] = False,
) -> None:
    """Check everything, and put a campaign into the queue."""
    from nnlc.campaign import load_campaign
    from nnlc.launching.render import Request
    from nnlc.launching.scheduler import scheduler_of
    from nnlc.launching.site import load_site
    from nnlc.launching.submit import prepare
    from nnlc.launching.submit import submit as put_into_queue
    from nnlc.results import ResultsFolder
    from nnlc.training.images import check_images

    loaded, chosen = load_campaign(campaign), load_site(site, account=account)
    folder = ResultsFolder((results or Path("results") / loaded.name).absolute())
    request = Request(
        campaign=campaign,
        nodes=nodes,
        walltime_minutes=minutes,
        elements=elements,
        results=str(folder.path),
        images=str(images.absolute()),
        python=python,
    )
    scripts = prepare(request, chosen, folder)
    for name, image_set in loaded.image_sets().items():
        check_images(image_set, loaded.datasets[name], images)
    folder.open(loaded)
    if dry_run:
        for path, text in scripts:
            print(f"# {path}\n{text}", end="")
        return
    for record in put_into_queue(scripts, chosen, scheduler_of(chosen), folder):
        print(f"job {record.id}: {record.script}")
    print(f"nnlc status {shlex.quote(str(folder.path))} follows it")


@app.command()
def cancel(results: Annotated[Path, typer.Argument(help="A results folder.")]) -> None:
    """End a results folder's jobs; what is under way is saved."""
    from nnlc.launching.submit import cancel as cancel_all
    from nnlc.launching.submit import scheduler_of_folder
    from nnlc.results import ResultsFolder

    folder = ResultsFolder(results)
    folder.campaign()
    scheduler = scheduler_of_folder(folder)
    ended = cancel_all(folder, scheduler) if scheduler else []
    print(f"cancelled {', '.join(ended)}" if ended else f"{results}: no job is in the queue")


@app.command()
def doctor(
    campaign: CampaignArgument = "smoke",
    results: Annotated[Path | None, typer.Option(help="Results folder.")] = None,
    images: ImagesOption = Path("images"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """See that ranks, devices, images and folder are well; start it as you would the worker."""
    from nnlc.worker import main as worker

    words = [campaign, "--images", str(images), "--device", device, "--preflight"]
    sys.exit(worker([*words, *(["--results", str(results)] if results else [])]))


@app.command()
def lint(
    script: Annotated[Path, typer.Argument(help="A job script, ours or one of your own.")],
    site: Annotated[str, typer.Option(help="A shipped site or a .toml file.")],
) -> None:
    """Check a job script against the rules of its scheduler and its site."""
    from nnlc.launching.lint import lint_file
    from nnlc.launching.site import load_site

    chosen = load_site(site)
    findings = lint_file(script, chosen)
    for finding in findings:
        _say(f"{script}:{finding}")
    if not all(finding.note for finding in findings):
        raise typer.Exit(1)
    _say(f"{script}: fine for {chosen.name}")


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
