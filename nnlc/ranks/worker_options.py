"""The worker's command line; errors in it are printed by one rank only."""

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
    """Return the options of the command line; defaults may come from environment variables.

    Args:
        arguments: command-line arguments; default those of this process.

    Raises:
        SystemExit: the arguments are wrong or ask for help.
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
        help="name of a shipped campaign, or a .toml file; default $NNLC_CAMPAIGN, else smoke",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        default=environment.get("NNLC_RESULTS") or None,
        help="results folder; default $NNLC_RESULTS, else results/<campaign>",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        default=Path(environment.get("NNLC_IMAGES") or "images"),
        help="folder with the images from 'nnlc stage'; default $NNLC_IMAGES, else images",
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="default auto: cuda if every rank has a GPU",
    )
    parser.add_argument(
        "--gpu",
        metavar="JSON",
        help="table [gpu] of a site file, by which times on GPUs of this model are predicted until "
        "'nnlc calibrate' has measured them; job scripts set it",
    )
    parser.add_argument(
        "--trainers",
        type=_trainers,
        metavar="N|auto",
        help="trainer processes per rank; default auto: 1, or with --mps as many as suit the "
        "rank's GPU and cores",
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
        help="networks to train first, by predicted time; default longest, which keeps all ranks "
        "busy to the end",
    )
    parser.add_argument(
        "--time-left",
        type=_minutes,
        metavar="MINUTES",
        help="minutes until the scheduler ends this job; it saves before; default: ask Slurm",
    )
    parser.add_argument(
        "--elements",
        type=_whole(1, MAX_ELEMENTS),
        default=1,
        metavar="N",
        help="number of elements of a job array, among which the campaign is divided; default 1",
    )
    parser.add_argument(
        "--element",
        type=_whole(0, MAX_ELEMENTS - 1),
        metavar="I",
        help="number of this element, from 0; default from Slurm, LSF or PBS",
    )
    parser.add_argument(
        "--site",
        type=_word,
        default="",
        metavar="NAME",
        help="site of the job script, which starts the next job without nodes that ended this one; "
        "job scripts set it, and the next three",
    )
    parser.add_argument(
        "--job", type=_word, default="", metavar="ID", help="ID of the scheduler's job"
    )
    parser.add_argument(
        "--begun",
        type=_whole(0, 1 << 40),
        metavar="SECONDS",
        help="time when the job script began, in seconds since 1970",
    )
    parser.add_argument(
        "--nodes", type=_whole(1, 1 << 30), metavar="N", help="number of the job's nodes"
    )
    parser.add_argument(
        "--notify",
        metavar="COMMAND",
        help="shell command that is told when the campaign ends or fails, unless the campaign has "
        "its own, run.notify; job scripts set it, and the next",
    )
    parser.add_argument("--notify-as", metavar="WORD", help="name of this job in its script")
    parser.add_argument(
        "--accept-code",
        action="store_true",
        help="go on although the code of the campaign's family has changed; networks under way "
        "start again",
    )
    parser.add_argument(
        "--preflight",
        action="store_true",
        help="check ranks, devices, images and results folder, then end",
    )
    options = parser.parse_args(arguments)
    if options.element is None:
        from nnlc.schedulers.scheduler_registry import element_of  # rendered scripts set --element

        try:
            options.element = (
                element_of(environment, options.elements) if options.elements > 1 else 0
            )
        except ValueError as problem:
            parser.error(str(problem))
    if options.element >= options.elements:
        parser.error(f"--element {options.element} is not between 0 and {options.elements - 1}")
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
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return read


def _word(text: str) -> str:
    if not (text.isascii() and text.isprintable() and len(text) < 256) or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a word")
    return text


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes, such as 120")
    return minutes


class _Parser(argparse.ArgumentParser):
    """Parser that prints errors on one rank only, since every rank has the same command line."""

    def error(self, message: str) -> NoReturn:
        sys.exit(refuse(f"{message}; see python -m nnlc.worker --help", ExitStatus.USAGE))


def refuse(message: str, status: ExitStatus) -> ExitStatus:
    """Print an error on the launcher's rank 0, and return the status."""
    told = launcher_rank(dict(os.environ))
    if told is None or told[1] == 0:
        say_aside(f"error: {message}")
    return status
