"""Refusal of plans and jobs that would have no network to train."""

import shlex

from nnlc.campaign.campaign import Campaign
from nnlc.errors import SiteError
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.inventory import inventory
from nnlc.wording import all_of, counted


def check_something_left(campaign: Campaign, results: ResultsFolder) -> None:
    """Check that a job would have a network to train: it would end after a second.

    Args:
        campaign: the campaign, as the folder has it.
        results: its folder, which may be missing.

    Raises:
        SiteError: every network has its table, or has failed.
    """
    if not results.has_campaign:
        return
    history = read_history(results.journal_folder)
    tables = inventory(results, campaign, list(campaign.networks()), history.finishes)
    failed = tables.to_train & history.failures.keys()
    if failed == tables.to_train:
        done, not_whole = len(tables.with_tables), len(tables.not_whole)
        folder = shlex.quote(str(results.path))
        raise nothing_left(campaign.name, "submit", done, len(failed), not_whole, folder)


def nothing_left(
    campaign: str, verb: str, done: int, failed: int, not_whole: int, results: str = "RESULTS"
) -> SiteError:
    """Return the error for a campaign that has nothing left to train.

    Args:
        campaign: its name.
        verb: what was asked for, such as plan.
        done: number of tables.
        failed: number of networks that failed.
        not_whole: number of unusable files in the place of tables.
        results: the folder, quoted for a shell.
    """
    there = f"{all_of(done, 'table')} there; "
    if failed or not_whole:
        there = (
            f"{counted(done, 'table exists', 'tables exist')}, {counted(failed, 'network')} failed"
            f"{unusable_words(not_whole)}; 'nnlc retry {results}' lets the next start try these "
            "again, and "
        )
    return SiteError(
        f"campaign {campaign}: nothing to {verb}: {there}--results with a new folder {verb}s the "
        "whole campaign"
    )


def unusable_words(not_whole: int) -> str:
    """Return text on unusable tables, to append to the number of failed networks."""
    return f", {counted(not_whole, 'unusable table')}" if not_whole else ""
