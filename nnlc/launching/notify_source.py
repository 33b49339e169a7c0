"""The notify command of a results folder."""

from nnlc.campaign.campaign import Campaign
from nnlc.launching.submit import records
from nnlc.results.folder import ResultsFolder


def notify_command(results: ResultsFolder, campaign: Campaign | None) -> str | None:
    """Return the campaign's notify command, else that of the site it was last submitted to.

    Raises:
        SchedulerError: a record of a job can't be read.
    """
    if campaign is not None and campaign.run.notify is not None:
        return campaign.run.notify
    return next((each.notify for each in reversed(records(results))), None)
