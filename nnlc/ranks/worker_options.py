"""The worker's command line, and refusing it on one rank only."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nnlc.console import say_aside
from nnlc.errors import ExitStatus
from nnlc.ranks.mpi import launcher_rank

MAX_TRAINERS = 64
MAX_ELEMENTS = 1_000_000


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """campaign, results, images, device, trainers (None: automatic), mps, order and time_left.

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
        "--trainers",
        type=_trainers,
        metavar="N|auto",
        help="trainer processes a rank; default auto: 1, or under MPS as many as suit its GPU and "
        "its cores",
    )
    parser.add_argument(
        "--mps",
        action="store_true",
        help="start NVIDIA's Multi-Process Service for each rank's GPU, so that small networks "
        "share it",
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
    parser.add_argument(
        "--elements",
        type=_whole(1, MAX_ELEMENTS),
        default=1,
        metavar="N",
        help="of a job array, which share the campaign by predicted cost; default 1",
    )
    parser.add_argument(
        "--element",
        type=_whole(0, MAX_ELEMENTS - 1),
        metavar="I",
        help="which of them this is, from 0; default what Slurm or LSF says",
    )
    parser.add_argument(
        "--preflight",
        action="store_true",
        help="see that ranks, devices, images and folder are well, and leave",
    )
    options = parser.parse_args(arguments)
    if options.element is None:
        from nnlc.schedulers.registry import element_of  # rendered scripts say --element

        try:
            options.element = (
                element_of(environment, options.elements) if options.elements > 1 else 0
            )
        except ValueError as problem:
            parser.error(str(problem))
    if options.element >= options.elements:
        parser.error(f"--element {options.element} is none of 0 to {options.elements - 1}")
    return options


def _trainers(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return _whole(1, MAX_TRAINERS)(text)
    except argparse.ArgumentTypeError as problem:
        raise argparse.ArgumentTypeError(f"{problem}, nor auto") from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return read


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
        say_aside(f"error: {message}")
    return status
