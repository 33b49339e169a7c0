"""Commands that plan and run jobs on a cluster."""

import contextlib
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from nnlc.cli import shared_options
from nnlc.console import say, say_aside, say_whole
from nnlc.wording import first_few

app = typer.Typer()

SiteOption = Annotated[str, typer.Option(help="A shipped site, or a .toml file.")]
NodesOption = Annotated[
    int | None, typer.Option(help="Nodes per job; default: from the site file; plan chooses.")
]
MinutesOption = Annotated[
    int | None, typer.Option(help="Walltime in minutes; default: from the site file; plan chooses.")
]
HoursOption = Annotated[float | None, typer.Option("--hours", hidden=True)]
"""Walltime in hours, in place of --minutes."""
ElementsOption = Annotated[
    int | None,
    typer.Option(
        help="Elements of a job array, which split the campaign; default: 1; plan chooses."
    ),
]
AccountOption = Annotated[str | None, typer.Option(help="Account or project to charge.")]
QueueOption = Annotated[
    list[str] | None,
    typer.Option("--queue", "--partition", help="Queue or partition; default: from the site file."),
]
PythonOption = Annotated[
    str | None,
    typer.Option(help="The Python to run on the nodes; default: the site file's, else this one."),
]


@app.command()
def plan(
    campaign: shared_options.Campaign,
    site: Annotated[
        str | None, typer.Option(help="A shipped site, or a .toml file; default: this machine.")
    ] = None,
    nodes: NodesOption = None,
    minutes: MinutesOption = None,
    hours: HoursOption = None,
    elements: ElementsOption = None,
    account: AccountOption = None,
    queue: QueueOption = None,
    results: shared_options.ResultsOrDefault = None,
    images: Annotated[
        Path | None, typer.Option(help="Image folder, for the proposed command.")
    ] = None,
    python: PythonOption = None,
    costs: shared_options.Costs = None,
    ranks: Annotated[
        int | None,
        typer.Option(min=1, help="Ranks on this machine; default: one for each GPU or core."),
    ] = None,
) -> None:
    """Predict a campaign's cost on this machine; or at a site, and propose nodes and walltime.

    The other options are those of 'nnlc submit'.
    """
    from nnlc.campaign.campaign import load_campaign
    from nnlc.errors import SiteError
    from nnlc.launching.limits import PlanRequest, asked_minutes
    from nnlc.launching.machine_plan import machine_plan_lines, plan_machine, plans_this_machine
    from nnlc.launching.plan_text import plan_lines
    from nnlc.launching.queue_choice import plan_campaign
    from nnlc.results.folder_costs import read_costs_of
    from nnlc.schedulers.site import THIS_MACHINE, load_site
    from nnlc.training.loaded_images import warn_of_own_images

    loaded = load_campaign(campaign, accept_code=True)
    warn_of_own_images(loaded)
    if costs is not None:
        read_costs_of(list(loaded.networks()), costs)
    name = site or THIS_MACHINE
    chosen = load_site(name, account=account, queue=queue)
    minutes = asked_minutes(minutes, hours)
    request = PlanRequest(nodes=nodes, minutes=minutes, elements=elements)
    if plans_this_machine(chosen):
        ranks = ranks or (chosen.gpus_per_node if site else None)
        folders = {"results": results, "images": images}
        here = plan_machine(campaign, chosen, request, ranks=ranks, python=python, **folders)
        for line in machine_plan_lines(here):
            say(line)
        return
    if ranks is not None:
        raise SiteError(f"--ranks: {chosen.name} starts a rank on each GPU; use --nodes")
    others = {"costs": costs, "account": account, "images": images, "python": python}
    words = [word for key, value in others.items() if value for word in (f"--{key}", str(value))]
    any_queue = not queue
    found = plan_campaign(campaign, name, chosen, results, request, words, any_queue=any_queue)
    for line in plan_lines(found):
        say(line)


@app.command()
def calibrate(
    results: shared_options.Results,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Fit predicted times to the measured ones; later jobs and 'nnlc plan' use the result."""
    import json

    from nnlc.calibration.calibrate import calibrate as fit
    from nnlc.calibration.calibrate import calibration_lines
    from nnlc.calibration.machines import keep_machines
    from nnlc.results.folder import ResultsFolder

    folder = ResultsFolder(results)
    found = fit(folder)
    say_aside(keep_machines([calibration.fitted for calibration in found]))
    if as_json:
        say(json.dumps([calibration.to_json() for calibration in found], indent=2))
    else:
        for line in calibration_lines(found, folder):
            say(line)


@app.command()
def render(
    campaign: shared_options.Campaign,
    site: SiteOption,
    nodes: NodesOption = None,
    minutes: MinutesOption = None,
    hours: HoursOption = None,
    elements: ElementsOption = None,
    account: AccountOption = None,
    queue: QueueOption = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Results folder; default: results/<campaign>.", envvar="NNLC_RESULTS"),
    ] = None,
    images: Annotated[str | None, typer.Option(help="Folder of the staged images.")] = None,
    python: PythonOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: stdout.")
    ] = None,
) -> None:
    """Write the job script that runs a campaign at a site, with one rank per GPU."""
    from nnlc.campaign.campaign import load_campaign
    from nnlc.launching.interpreter import python_in_script
    from nnlc.launching.limits import asked_minutes
    from nnlc.launching.prepare import check_script
    from nnlc.launching.render import Request, render_script
    from nnlc.results.paths import results_path
    from nnlc.schedulers.site import load_site
    from nnlc.system.output_file import SCRIPT, write_output

    loaded, chosen = load_campaign(campaign), load_site(site, account=account, queue=queue)
    request = Request(
        campaign=campaign,
        nodes=nodes,
        walltime_minutes=asked_minutes(minutes, hours),
        elements=1 if elements is None else elements,
        results=str(results_path(results, loaded.name).absolute()),
        images=images,
        python=python_in_script(python, chosen),
        script=None if output is None else str(output.absolute()),
    )
    script = render_script(request, chosen, loaded)
    for note in check_script(output or Path("job.sh"), script, chosen):
        say_aside(note)
    if output is None:
        say_whole(script)
    else:
        write_output(output, script.encode(), mark=b"nnlc.worker", endings=SCRIPT)


@app.command()
def submit(
    campaign: shared_options.Campaign,
    site: SiteOption,
    nodes: NodesOption = None,
    minutes: MinutesOption = None,
    hours: HoursOption = None,
    elements: ElementsOption = None,
    account: AccountOption = None,
    queue: QueueOption = None,
    results: shared_options.ResultsOrDefault = None,
    images: shared_options.Images = Path("images"),
    python: PythonOption = None,
    costs: shared_options.Costs = None,
    dry_run: Annotated[
        bool, typer.Option(help="Check everything, print a script, and write and submit nothing.")
    ] = False,
) -> None:
    """Check script, images and results folder, and submit the campaign."""
    from nnlc.campaign.campaign import load_campaign
    from nnlc.campaign.shared_ids import shared_ids
    from nnlc.launching.interpreter import check_container, find_python
    from nnlc.launching.limits import asked_minutes, short_walltime_notes
    from nnlc.launching.nothing_left import check_something_left
    from nnlc.launching.prepare import plain_script, plain_script_note, prepare
    from nnlc.launching.render import Request, folders_of
    from nnlc.launching.spare_node import spare_node_notes
    from nnlc.launching.submit import submit as put_into_queue
    from nnlc.launching.unneeded_nodes import unneeded_nodes_notes
    from nnlc.results.bad_nodes import hosts_to_leave_out, read_bad_nodes, write_for_scripts
    from nnlc.results.folder import ResultsFolder
    from nnlc.results.folder_costs import read_costs_of, write_folder_costs
    from nnlc.results.paths import results_path
    from nnlc.schedulers.commands import removed_wishes
    from nnlc.schedulers.site import load_site, queue_of
    from nnlc.training.loaded_images import check_images, staged_by

    loaded, chosen = load_campaign(campaign), load_site(site, account=account, queue=queue)
    folder = ResultsFolder(results_path(results, loaded.name).absolute())
    loaded = folder.resolve(loaded)
    bad_nodes = read_bad_nodes(folder.journal_folder)
    ranks = (nodes or chosen.nodes) * chosen.gpus_per_node
    request = Request(
        campaign=campaign,
        nodes=nodes,
        walltime_minutes=asked_minutes(minutes, hours),
        elements=1 if elements is None else elements,
        results=str(folder.path),
        images=str(images.absolute()),
        python=find_python(python, chosen, ranks),
        leave_out=hosts_to_leave_out(bad_nodes, loaded.run, chosen.name),
    )
    check_container(chosen, request.python, ranks, folders_of(request, loaded))
    submission = prepare(request, chosen, folder, loaded)
    scheduler = queue_of(chosen)
    networks = [] if costs is None else list(loaded.networks())
    if costs is not None:
        read_costs_of(networks, costs)
    with staged_by(campaign):
        for name, image_set in loaded.image_sets().items():
            check_images(image_set, loaded.datasets[name], images)
    first = () if folder.has_campaign else shared_ids(campaign, loaded)
    unneeded = unneeded_nodes_notes(loaded, chosen, folder, request)
    spare = spare_node_notes(chosen, request)
    short = short_walltime_notes(request.walltime_minutes, chosen)
    notes = (*first, *submission.notes, *removed_wishes(os.environ), *short, *unneeded, *spare)

    def tell_notes() -> None:
        for note in notes:
            say_aside(note)

    folder.check_usable(loaded)
    check_something_left(loaded, folder)
    if dry_run:
        tell_notes()
        say_whole(plain_script(request, chosen, loaded))
        say_aside(plain_script_note(submission, chosen, folder))
        if submission.scripts[1:]:
            say_aside(f"note: the script is the first of {len(submission.scripts)}")
        for path, _ in submission.scripts:
            say_aside(f"nnlc submit would run: {chosen.submit} {shlex.quote(str(path))}")
        return
    folder.open(loaded)
    with contextlib.suppress(OSError):  # the job's own start tries again
        write_for_scripts(folder.journal_folder, bad_nodes, loaded.run)
    if networks:
        write_folder_costs(folder, networks)
    for record in put_into_queue(submission, chosen, scheduler, folder, tell_notes):
        say(f"job {record.job}: {record.script}")
    say(f"nnlc status {shlex.quote(str(folder.path))} shows its progress and its log")


@app.command()
def cancel(results: shared_options.Results) -> None:
    """Cancel the jobs of a results folder; they save their networks first."""
    from nnlc.launching.submit import cancel as cancel_all
    from nnlc.launching.submit import scheduler_of_folder
    from nnlc.results.folder import ResultsFolder

    folder = ResultsFolder(results)
    folder.campaign()
    scheduler = scheduler_of_folder(folder)
    ended = cancel_all(folder, scheduler) if scheduler else []
    say(f"cancelled {', '.join(ended)}" if ended else f"{results}: no job is in the queue")


@app.command()
def lint(
    script: Annotated[Path, typer.Argument(help="A job script, rendered by nnlc or your own.")],
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
