"""Checks of options that several benchmarks have."""

import argparse

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError

CAMPAIGN = "shipped campaign, or a campaign file (%(default)s)"
"""Help of the option that `known_campaign` checks."""


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
