"""The worker, one rank of a job: `python -m nnlc.worker`, alone or under mpirun, srun or jsrun.

Rank 0 reads the campaign, hands out networks and writes tables. All ranks train, rank 0 too.
"""

import sys
import time

from nnlc.console import prepare_output
from nnlc.errors import ExitStatus, LaunchError, NnlcError
from nnlc.ranks.notices import Notices


def main(arguments: list[str] | None = None) -> int:
    """Run one rank; return its exit status, which is the same on every rank."""
    since, notices = time.monotonic(), Notices()
    prepare_output()
    # Imported after `Notices`: loading may take minutes when many ranks share a disk, and a stop
    # signal may come meanwhile.
    from nnlc.ranks.agent import Agent
    from nnlc.ranks.mpi import connect
    from nnlc.ranks.mps import control_daemon
    from nnlc.ranks.worker_options import parse_options, refuse

    options = parse_options(arguments)
    options.since = since
    try:
        link = connect()
    except LaunchError as problem:
        return refuse(str(problem), ExitStatus.ERROR)
    try:
        wanted = options.mps and options.device != "cpu"
        with control_daemon(wanted=wanted, local_rank=link.local_rank) as without_mps:
            agent = Agent(link, options.trainers, notices, without_mps, options.device)
            ending = None
            if link.rank == 0:
                from nnlc.ranks.lead import lead  # loaded while trainers start

                try:
                    ending = lead(agent, link.ranks, options)
                except NnlcError as problem:
                    agent.stop_all(refuse(str(problem), ExitStatus.ERROR))
            status = agent.run()
        link.leave(status)
        if ending is not None:
            ending.finish(status)
    except BaseException:  # otherwise the other ranks would wait for this rank
        sys.excepthook(*sys.exc_info())
        link.abort(ExitStatus.ERROR)
        raise
    return status


if __name__ == "__main__":
    sys.exit(main())
