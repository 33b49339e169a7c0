"""The worker's command line, and refusing it on one rank only."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from nnlc.errors import ExitStatus
from nnlc.ranks.mpi import launcher_rank

MAX_TRAINERS = 64


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """campaign, results, images, device, trainers, order and time_left.

    From arguments, or the first three from the environment.

    Raises:
        SystemExit: the arguments are wrong, or ask for help.
    """
    parser = _Parser(
        prog="python -m nnlc.worker",
        description="One rank of a job: alone, or under mpirun, srun or jsrun.",
    )
    environment = os.environ
    parser.add_argument(
        "campaign",
        nargs="?",
        metavar="CAMPAIGN",
        default=environment.get("NNLC_CAMPAIGN") or "smoke",
        help="a shipped name or a .toml file; default $NNLC_CAMPAIGN, else smoke",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        default=environment.get("NNLC_RESULTS") or None,
        help="default $NNLC_RESULTS, else results/<campaign>",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        default=Path(environment.get("NNLC_IMAGES") or "images"),
        help="where 'nnlc stage' put the images; default $NNLC_IMAGES, else images",
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default auto"
    )
    parser.add_argument(
        "--trainers", type=_count, default=1, metavar="N", help="trainer processes a rank"
    )
    parser.add_argument(
        "--order",
        choices=["longest", "shortest"],
        default="longest",
        help="which networks go first, by predicted cost; default longest: no rank waits at the "
        "end",
    )
    parser.add_argument(
        "--time-left",
        type=_minutes,
        metavar="MINUTES",
        help="until this job is ended: it saves and leaves before; default what Slurm says",
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_TRAINERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_TRAINERS}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes, such as 120")
    return minutes


class _Parser(argparse.ArgumentParser):
    """Complains on one rank only: every rank has the same command line."""

    def error(self, message: str) -> NoReturn:
        sys.exit(refuse(f"{message}; see python -m nnlc.worker --help", ExitStatus.USAGE))


def refuse(message: str, status: ExitStatus) -> ExitStatus:
    """Print an error on the launcher's rank 0, where all ranks meet the same one."""
    told = launcher_rank(dict(os.environ))
    if told is None or told[1] == 0:
        print(f"error: {message}", file=sys.stderr, flush=True)
    return status
