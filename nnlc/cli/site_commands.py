"""Commands for sites: which there are, and what one finds on a machine."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nnlc.cli import shared_options
from nnlc.console import say

app = typer.Typer()


@app.command()
def sites(
    plan: Annotated[
        str | None, typer.Option(metavar="CAMPAIGN", help="Show a campaign's plan on each instead.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Results folder of that campaign; a new one: plan it whole.")
    ] = None,
) -> None:
    """List the shipped sites, and whether nnlc was ever run there."""
    from nnlc.errors import NnlcError
    from nnlc.launching.site_list import plan_rows, site_lines

    if plan is None and results is not None:
        raise NnlcError("--results is for --plan CAMPAIGN: give both, or none")
    for line in site_lines() if plan is None else plan_rows(plan, results):
        say(line)


@app.command()
def doctor(
    campaign: shared_options.Campaign = "smoke",
    site: Annotated[
        str | None, typer.Option(help="Site to name in the report, shipped or a .toml file.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Results folder.")] = None,
    images: shared_options.Images = Path("images"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; cpu at a site of CPUs.")] = "auto",
) -> None:
    """Check ranks, devices, images and results folder; start it as you start the worker."""
    from nnlc.cli.doctor_text import end_line, report_lines
    from nnlc.ranks.mpi import launcher_rank
    from nnlc.schedulers.site import load_site
    from nnlc.worker import main as worker

    chosen = None if site is None else load_site(site)
    launched = launcher_rank(dict(os.environ))
    tells = launched is None or launched[1] == 0
    for line in report_lines(chosen) if tells else ():
        say(line)
    if device == "auto" and chosen is not None and chosen.device == "cpu":
        device = chosen.device
    words = [campaign, "--images", str(images), "--device", device, "--preflight"]
    try:
        status = worker([*words, *(["--results", str(results)] if results else [])])
    except SystemExit as ended:  # a wrong option
        status = ended.code if isinstance(ended.code, int) else 1
    if tells:
        say(end_line(status))
    sys.exit(status)
