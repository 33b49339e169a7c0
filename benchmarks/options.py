"""Options that several benchmarks have."""

import argparse

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError


def options_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option --campaign, described by a module's first line."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument(
        "--campaign", type=known_campaign, default="paper", metavar="NAME", help="(%(default)s)"
    )
    return parser


def known_campaign(name: str) -> str:
    """Return the name of a campaign if there is one."""
    try:
        load_campaign(name)
    except NnlcError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return name


def positive(text: str) -> int:
    """Return a number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number of at least 1")
    return int(text)
