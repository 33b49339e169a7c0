"""Changed code of a family: whether a folder may go on with it, and the user's word that it may."""

from collections.abc import Iterator

from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError
from nnlc.families.registry import check_version
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.results.open_jobs import running_jobs


def accept_code(results: ResultsFolder, campaign: Campaign) -> Iterator[str]:
    """Write the code of a campaign's family into its results folder, if that has other code.

    Args:
        results: the folder, which may be new.
        campaign: the campaign with the code that there is now.

    Yields:
        A line on what was accepted, if there was anything.

    Raises:
        FamilyError: the family is of another version.
        ResultsError: a job is at work in the folder, or a file can't be written.
    """
    recorded = results.campaign() if results.has_campaign else campaign
    if not has_other_code(campaign, recorded):
        return
    for job in running_jobs(results.journal_folder, read_history(results.journal_folder).open_jobs):
        raise ResultsError(
            f"{results.path}: {job.words} is at work there with the code of before; let it end, "
            "then accept the new code"
        )
    results.rewrite(recorded.model_copy(update={"family": campaign.family}))
    yield note_acceptance(results, campaign, recorded)


def has_other_code(campaign: Campaign, recorded: Campaign) -> bool:
    """Return True if two campaigns of one family have other code.

    Raises:
        FamilyError: the family is of another version.
    """
    now, before = campaign.family, recorded.family
    if now is None or before is None or now.name != before.name:
        return False
    check_version(before, now.label)
    return now.code != before.code


def note_acceptance(results: ResultsFolder, campaign: Campaign, recorded: Campaign) -> str:
    """Write to the journal that other code was accepted, and return a line for the user."""
    now, before = campaign.family, recorded.family
    if now is None or before is None:
        raise ValueError("the article's family has no code of its own")
    journal = Journal(results.journal_folder, results.ready)
    journal.write("code", family=now.label, before=before.code, now=now.code)
    return (
        f"family {now.label}: its code has digest {now.code} now, and had {before.code}: accepted; "
        "tables stay, and networks under way start again"
    )
