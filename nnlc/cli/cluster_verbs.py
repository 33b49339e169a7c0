"""The verbs that speak of sites and schedulers."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nnlc.console import say, say_aside, say_whole
from nnlc.wording import first_few

app = typer.Typer()

CampaignArgument = Annotated[str, typer.Argument(help="A shipped campaign or a .toml file.")]
ImagesOption = Annotated[
    Path, typer.Option("--images", "--root", envvar="NNLC_IMAGES", help="Where images are kept.")
]
SiteOption = Annotated[str, typer.Option(help="A shipped site or a .toml file.")]
NodesOption = Annotated[int | None, typer.Option(help="Nodes; default the site's.")]
MinutesOption = Annotated[int | None, typer.Option(help="Walltime; default the site's.")]
ElementsOption = Annotated[int, typer.Option(help="Of a job array; they share the campaign.")]
AccountOption = Annotated[str | None, typer.Option(help="Whose allocation pays.")]
PythonOption = Annotated[str, typer.Option(help="The Python to run on the nodes.")]


@app.command()
def plan(
    campaign: CampaignArgument,
    site: SiteOption,
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
    from nnlc.launching.plan_text import plan_lines

    request = plan_request(nodes, hours, elements)
    for line in plan_lines(plan_campaign(campaign, site, results, request)):
        say(line)


@app.command()
def calibrate(
    results: Annotated[Path, typer.Argument(help="A results folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> None:
    """Fit predictions to what its journal has measured; jobs that begin later and plan use them."""
    import json

    from nnlc.calibration.calibrate import calibrate as fit
    from nnlc.calibration.calibrate import calibration_lines
    from nnlc.results.paths import ResultsFolder

    folder = ResultsFolder(results)
    found = fit(folder)
    if as_json:
        say(json.dumps([calibration.to_json() for calibration in found], indent=2))
    else:
        for line in calibration_lines(found, folder):
            say(line)


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
    from nnlc.launching.prepare import check_script
    from nnlc.launching.render import Request, render_script
    from nnlc.schedulers.site import load_site
    from nnlc.system.output_file import SCRIPT, write_output

    chosen = load_site(site, account=account)
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
    script = render_script(request, chosen)
    for note in check_script(output or Path("job.sh"), script, chosen):
        say_aside(note)
    if output is None:
        say_whole(script)
    else:
        write_output(output, script.encode(), mark=b"nnlc.worker", endings=SCRIPT)


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
    from nnlc.campaign.campaign import load_campaign
    from nnlc.launching.prepare import find_python, prepare
    from nnlc.launching.render import Request
    from nnlc.launching.submit import submit as put_into_queue
    from nnlc.results.paths import ResultsFolder
    from nnlc.schedulers.commands import removed_wishes
    from nnlc.schedulers.site import load_site, queue_of
    from nnlc.training.loaded_images import check_images

    loaded, chosen = load_campaign(campaign), load_site(site, account=account)
    folder = ResultsFolder((results or Path("results") / loaded.name).absolute())
    loaded = folder.resolve(loaded)
    request = Request(
        campaign=campaign,
        nodes=nodes,
        walltime_minutes=minutes,
        elements=elements,
        results=str(folder.path),
        images=str(images.absolute()),
        python=find_python(python, chosen),
    )
    submission = prepare(request, chosen, folder, loaded)
    scheduler = None if dry_run else queue_of(chosen)
    for name, image_set in loaded.image_sets().items():
        check_images(image_set, loaded.datasets[name], images)
    folder.open(loaded)
    for note in (*submission.notes, *removed_wishes(os.environ)):
        say_aside(note)
    if scheduler is None:
        for path, text in submission.scripts:
            say_whole(f"# {path}\n{text}")
        return
    for record in put_into_queue(submission, chosen, scheduler, folder):
        say(f"job {record.job}: {record.script}")
    say(f"nnlc status {shlex.quote(str(folder.path))} follows it")


@app.command()
def cancel(results: Annotated[Path, typer.Argument(help="A results folder.")]) -> None:
    """End a results folder's jobs; what is under way is saved."""
    from nnlc.launching.submit import cancel as cancel_all
    from nnlc.launching.submit import scheduler_of_folder
    from nnlc.results.paths import ResultsFolder

    folder = ResultsFolder(results)
    folder.campaign()
    scheduler = scheduler_of_folder(folder)
    ended = cancel_all(folder, scheduler) if scheduler else []
    say(f"cancelled {', '.join(ended)}" if ended else f"{results}: no job is in the queue")


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
    site: SiteOption,
) -> None:
    """Check a job script against the rules of its scheduler and its site."""
    from nnlc.schedulers.lint import lint_file
    from nnlc.schedulers.site import load_site

    chosen = load_site(site)
    findings = sorted(lint_file(script, chosen), key=lambda finding: finding.note)
    for line in first_few(findings, write=lambda finding: f"{script}:{finding}"):
        say(line)
    if not all(finding.note for finding in findings):
        raise typer.Exit(1)
    say(f"{script}: fine for {chosen.name}")
