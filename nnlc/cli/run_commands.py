"""Commands for a campaign, its images and its results folder."""

import math
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

from nnlc.cli import shared_options
from nnlc.console import flush_output, say, say_aside, say_whole, standard_output
from nnlc.wording import counted

app = typer.Typer()

WATCH_SECONDS = 10.0


@app.command()
def campaigns() -> None:
    """List the shipped campaigns."""
    from nnlc.campaign.campaign import load_campaign
    from nnlc.system.shipped import shipped_names

    for name, path in shipped_names("jobs", ".toml").items():
        campaign = load_campaign(name)
        networks = sum(1 for _ in campaign.networks())
        images = ", ".join(campaign.image_sets())
        say(f"{name:<16}{networks:>6} networks, {counted(campaign.epochs, 'epoch')} on {images}")
        say(f"{'':<16}{path}")


@app.command()
def keys(
    file: Annotated[
        str,
        typer.Argument(
            help="The file, campaign or site; or a family, for its settings.",
            metavar="campaign|site|FAMILY",
        ),
    ] = "campaign",
) -> None:
    """Explain every key of a campaign file or a site file: type, default and meaning."""
    from nnlc.cli.keys_text import keys_text

    if file == "site":
        from nnlc.schedulers.site import Site

        model: type = Site
    elif file == "campaign":
        from nnlc.campaign.campaign import Campaign

        model = Campaign
    else:
        from nnlc.families.registry import settings_class

        model = settings_class(file)
    is_file = file in ("campaign", "site")
    title = f"{file.title()} file (TOML)" if is_file else f"[space] of family {file}"
    for line in keys_text(model, title):
        say(line)


@app.command()
def specs(
    campaign: shared_options.Campaign,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write every network to this file; - is stdout.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, help="A GPU's memory in gigabytes: list the networks that don't fit."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            "--costs",
            help="Costs of the networks of a family of your own: read from this file, and counted "
            "and written if the file lacks some; default: costs.json of results/<campaign>.",
        ),
    ] = None,
) -> None:
    """Summarise the networks of a campaign, or write all of them as CSV.

    The column train_GPU has the value of a training on a GPU.
    """
    from nnlc.campaign.campaign import load_campaign
    from nnlc.campaign.network_list import CSV_BEGINS, summarise, write_csv
    from nnlc.errors import NnlcError
    from nnlc.results.folder_costs import check_counted, read_folder_costs
    from nnlc.results.paths import ResultsPaths, results_path
    from nnlc.system.output_file import CSV, check_output, write_output
    from nnlc.training.loaded_images import warn_of_own_images

    loaded = load_campaign(campaign)
    warn_of_own_images(loaded)
    if memory is not None and (csv is not None or math.isnan(memory)):
        raise NnlcError(
            "--memory needs a number of gigabytes, and no --csv, which has each network's memory"
        )
    if csv is not None and str(csv) != "-":
        check_output(csv, mark=CSV_BEGINS.encode(), endings=CSV)
    networks = list(loaded.networks())
    if costs is not None:
        from nnlc.training.complete_costs import complete_costs

        for line in complete_costs(costs, networks):
            say_aside(line)
    else:
        folder = ResultsPaths(results_path(None, loaded.name))
        check_counted(networks, read_folder_costs(folder, networks))
    if csv is None:
        for line in summarise(loaded, memory):
            say(line)
    elif str(csv) == "-":
        write_csv(loaded, standard_output())
    else:
        text = StringIO(newline="")
        write_csv(loaded, text)
        write_output(csv, text.getvalue().encode(), mark=CSV_BEGINS.encode(), endings=CSV)


@app.command()
def stage(
    campaign: shared_options.Campaign,
    root: shared_options.Images = Path("images"),
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Copy the files from this folder instead of downloading them."),
    ] = None,
) -> None:
    """Download a campaign's images into the image folder, and verify them."""
    from nnlc.campaign.campaign import load_campaign
    from nnlc.training.loaded_images import staged_by
    from nnlc.training.stage import stage_images

    with staged_by(campaign):
        stage_images(load_campaign(campaign), root, source)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(help="An .npz file with your images.")],
    networks: Annotated[int, typer.Option(min=1, help="Number of networks of each depth.")] = 1,
    depths: Annotated[
        str | None,
        typer.Option(
            "--depths",
            "--groups",
            help="Numbers of convolutions, such as 1-3; default: 1-10. Of other families groups; "
            "default: all.",
        ),
    ] = None,
    family: Annotated[str, typer.Option(help="Family of the campaign's networks.")] = "article",
) -> None:
    """Print the section of a campaign file for images of your own; it names them by full path."""
    from nnlc.campaign.family_section import group_keys
    from nnlc.collection.selection import read_depths
    from nnlc.errors import NnlcError
    from nnlc.families.layouts import ARTICLE_NAME
    from nnlc.families.registry import groups_of
    from nnlc.training.own_images import describe_npz

    least, most = groups_of(family)
    low, high = read_depths("--depths", depths) or (least, most)
    if not least <= low <= high <= most:
        raise NnlcError(f"--depths {depths!r}: must be within {least}-{most}, such as 1-10")
    number, groups = group_keys(is_article=family == ARTICLE_NAME)
    chosen = {number: networks} | ({} if depths is None else {groups: [int(low), int(high)]})
    say_whole(describe_npz(file, chosen))


@app.command()
def status(
    results: shared_options.Results,
    watch: Annotated[
        bool, typer.Option(help="Refresh every ten seconds until nothing is left to train.")
    ] = False,
) -> None:
    """Show the progress of a results folder and its jobs in the queue; safe while a job runs."""
    from nnlc.cli.status_text import show_status, watch_status

    if watch:
        raise typer.Exit(watch_status(results, WATCH_SECONDS))
    show_status(results)


@app.command()
def spent(results: shared_options.Results) -> None:
    """Show the hours that jobs took, for what, and what is left at this price."""
    from nnlc.cli.spent_text import spent_lines

    for line in spent_lines(results):
        say(line)


@app.command()
def notify(
    results: shared_options.Results,
    command: Annotated[
        str | None,
        typer.Option(help="The command, if the campaign has none; default: the site's."),
    ] = None,
    failed: Annotated[str | None, typer.Option(hidden=True)] = None,
    job: Annotated[str | None, typer.Option(hidden=True)] = None,
    id: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Try the notify command of a results folder, with a test event; see 'nnlc keys site'."""
    from nnlc.errors import NnlcError
    from nnlc.launching.notify_source import notify_command
    from nnlc.results.event_sender import EventSender
    from nnlc.results.folder import ResultsFolder

    def say_now(line: str) -> None:
        say(line)
        flush_output()  # before the command prints

    folder = ResultsFolder(results)
    try:
        campaign = folder.campaign()
    except NnlcError:
        if failed is None:
            raise
        campaign = None  # the job may have failed for this reason
    chosen = notify_command(folder, campaign, command)
    if chosen is None:
        raise NnlcError(
            f"{results}: no notify command: write one into the campaign's [run] or into the site "
            "file, or give --command"
        )
    sender = EventSender(chosen, folder, results.name if campaign is None else campaign.name)
    if failed is not None:  # an error would let the script run the command again
        if problem := sender.tell_of_failure(job or failed, failed, id):
            say_aside(f"warning: {problem}")
        return
    text = f"'nnlc notify {results}' tries the notify command"
    if problem := sender.try_out(text, say_now):
        raise NnlcError(problem)
    say(f"told: {chosen}")


@app.command()
def retry(
    results: shared_options.Results,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="IDs of networks that failed, or have damaged tables; default: all."),
    ] = None,
) -> None:
    """Clear failures and move damaged tables to aside/; the next start trains these networks."""
    from nnlc.results.folder import ResultsFolder
    from nnlc.results.retry import retry as retry_networks

    for line in retry_networks(ResultsFolder(results), ids or []):
        say(line)


@app.command()
def grow(
    results: shared_options.Results,
    campaign: shared_options.Campaign,
    dry_run: Annotated[bool, typer.Option(help="Only report; change no file.")] = False,
    accept_code: shared_options.AcceptCode = False,
) -> None:
    """Give a folder more epochs, networks per depth, depths or datasets, or other run settings."""
    from nnlc.campaign.campaign import load_campaign
    from nnlc.results.folder import ResultsFolder
    from nnlc.upgrading.growing import grow as grow_folder

    larger = load_campaign(campaign, accept_code=accept_code or dry_run)
    for line in grow_folder(
        ResultsFolder(results), larger, campaign, dry_run=dry_run, accept_code=accept_code
    ):
        say(line)


@app.command()
def upgrade(
    results: shared_options.Results,
    dry_run: Annotated[bool, typer.Option(help="Only report; change no file.")] = False,
    new_arithmetic: Annotated[
        bool,
        typer.Option(
            "--new-arithmetic", help="Give up settings that keep the bits of older versions."
        ),
    ] = False,
    accept_code: shared_options.AcceptCode = False,
) -> None:
    """Prepare a results folder for this nnlc: show what stays valid, continues or is lost."""
    from nnlc.results.folder import ResultsFolder
    from nnlc.upgrading.upgrade import upgrade as upgrade_folder

    for line in upgrade_folder(
        ResultsFolder(results),
        dry_run=dry_run,
        new_arithmetic=new_arithmetic,
        accept_code=accept_code,
    ):
        say(line)
