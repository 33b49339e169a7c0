"""The notify command of a results folder."""

from nnlc.campaign.campaign import Campaign
from nnlc.launching.submit import records
from nnlc.results.folder import ResultsFolder


def notify_command(
    results: ResultsFolder, campaign: Campaign | None, given: str | None = None
) -> str | None:
    """Return the campaign's notify command, else the given one, else that of its last submission.

    Raises:
        SchedulerError: a record of a job can't be read.
    """
    if campaign is not None and campaign.run.notify is not None:
        return campaign.run.notify
    kept = [] if given is not None else records(results)
    return kept[-1].notify if kept else given
