"""The worker: one rank of a job. `python -m nnlc.worker`, alone or under mpirun, srun or jsrun.

Rank 0 reads the campaign, hands out networks and writes tables; every rank trains, rank 0 too.
"""

import argparse
import sys
import traceback
from pathlib import Path

from rich.console import Console

from nnlc.campaign import load_campaign
from nnlc.errors import ExitStatus, LaunchError, NnlcError
from nnlc.journal import Journal
from nnlc.ranks.agent import Agent
from nnlc.ranks.backlog import unfinished
from nnlc.ranks.gatherer import Gatherer
from nnlc.ranks.mpi import Link, connect
from nnlc.ranks.options import parse_options, refuse
from nnlc.ranks.progress import Progress
from nnlc.results import ResultsFolder


def main(arguments: list[str] | None = None) -> int:
    """Run one rank; returns its exit status, the same on every rank."""
    options = parse_options(arguments)
    try:
        link = connect()
    except LaunchError as problem:
        return refuse(str(problem), ExitStatus.ERROR)
    try:
        agent = Agent(link, options.trainers)
        if link.rank == 0:
            _lead(agent, link, options)
        status = agent.run()
        link.leave()
    except BaseException:  # whatever it is, no other rank may wait for this one
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
        agent.stop_all(refuse(str(problem), ExitStatus.ERROR))


if __name__ == "__main__":
    sys.exit(main())
