"""Changed code of a family: whether a folder may go on with it, and the user's word that it may."""

from collections.abc import Iterator

from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError
from nnlc.families.registry import check_version
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import remove_other_costs
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.results.open_jobs import running_jobs
from nnlc.system.files import why_unread
from nnlc.wording import counted


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
    yield from note_acceptance(results, campaign, recorded)


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


def note_acceptance(
    results: ResultsFolder, campaign: Campaign, recorded: Campaign
) -> Iterator[str]:
    """Write to the journal that other code was accepted, and yield lines for the user.

    Networks that failed are cleared, as the new code may build them; costs that were counted with
    the old code are removed, as the next job counts again.
    """
    now, before = campaign.family, recorded.family
    if now is None or before is None:
        raise ValueError("the article's family has no code of its own")
    journal = Journal(results.journal_folder, results.ready)
    history = read_history(results.journal_folder)
    if failed := list(history.failures):
        journal.write("retry", ids=failed, after=history.last_time)
    journal.write("code", family=now.label, before=before.code, now=now.code)
    yield (
        f"family {now.label}: its code has digest {now.code} now, and had {before.code}: accepted; "
        "tables stay, and networks under way start again"
    )
    if journal.trouble:
        yield f"warning: {journal.trouble}"
    elif failed:
        yield failed_words(len(failed))
    try:
        remove_other_costs(results, now)
    except OSError as problem:
        yield f"warning: {results.costs_file}: {why_unread(problem, 'removed')}"


def failed_words(failed: int) -> str:
    """Return a line on failed networks that the next start tries again with other code."""
    return f"{counted(failed, 'failed network is', 'failed networks are')} tried again"
