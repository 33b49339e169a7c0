"""The worker: one rank of a job. `python -m nnlc.worker`, alone or under mpirun, srun or jsrun.

Rank 0 reads the campaign, hands out networks and writes tables; every rank trains, rank 0 too.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from nnlc.campaign import load_campaign
from nnlc.errors import ExitStatus, LaunchError, NnlcError
from nnlc.journal import Journal
from nnlc.ranks.agent import Agent
from nnlc.ranks.backlog import unfinished
from nnlc.ranks.gatherer import Gatherer
from nnlc.ranks.mpi import Link, connect, launcher_rank
from nnlc.ranks.progress import Progress
from nnlc.results import ResultsFolder


def main(arguments: list[str] | None = None) -> int:
    """Run one rank; returns its exit status, the same on every rank."""
    options = _parse(arguments)
    try:
        link = connect()
    except LaunchError as problem:
        return _refuse(str(problem), ExitStatus.ERROR)
    try:
        agent = Agent(link, options.trainers)
        if link.rank == 0:
            _lead(agent, link, options)
        status = agent.run()
        link.leave()
    except Exception:
        traceback.print_exc()
        link.abort(ExitStatus.ERROR)
        raise
    return status


def _lead(agent: Agent, link: Link, options: argparse.Namespace) -> None:
    """On rank 0: give the agent a gatherer, or have all ranks stop."""
    console = Console(soft_wrap=True)
    try:
        campaign = load_campaign(options.campaign)
        results = ResultsFolder(options.results or Path("results") / campaign.name)
        results.open(campaign)
        networks, done = unfinished(campaign, results)
        if not networks:
            console.print(f"campaign {campaign.name}: all {done} tables stand in {results.path}")
            agent.stop_all(ExitStatus.DONE)
            return
        agent.gatherer = Gatherer(
            campaign,
            networks,
            done,
            options.campaign,
            results,
            images_root=options.images,
            device=options.device,
            ranks=link.ranks,
            journal=Journal(results.journal_folder),
            watcher=Progress(campaign, console),
        )
    except NnlcError as problem:
        agent.stop_all(_refuse(str(problem), ExitStatus.ERROR))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m nnlc.worker", description=__doc__.splitlines()[0])
    environment = os.environ
    parser.add_argument(
        "campaign",
        nargs="?",
        metavar="CAMPAIGN",
        default=environment.get("NNLC_CAMPAIGN", "smoke"),
        help="a shipped name or a .toml file; default $NNLC_CAMPAIGN, else smoke",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        default=environment.get("NNLC_RESULTS"),
        help="default $NNLC_RESULTS, else results/<campaign>",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        default=Path(environment.get("NNLC_IMAGES", "images")),
        help="where 'nnlc stage' put the images; default $NNLC_IMAGES, else images",
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default auto"
    )
    parser.add_argument(
        "--trainers", type=_count, default=1, metavar="N", help="trainer processes a rank"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 64")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """Complains on one rank only: every rank has the same command line."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_refuse(f"{message}; see python -m nnlc.worker --help", ExitStatus.USAGE))


def _refuse(message: str, status: ExitStatus) -> ExitStatus:
    told = launcher_rank(dict(os.environ))
    if told is None or told[1] == 0:
        print(f"error: {message}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
