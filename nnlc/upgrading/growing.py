"""`nnlc grow`: give a results folder a larger campaign, whose first networks are those it has."""

import shlex
from collections import Counter
from collections.abc import Iterator

from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError
from nnlc.families.registry import OtherCodeError, check_same_code, naming_folder
from nnlc.results.accepted_code import has_other_code, note_acceptance
from nnlc.results.campaign_file import (
    FORMAT,
    FORMATS,
    changes_beyond_growth,
    differences,
    in_words,
    why_fixed_epochs,
)
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.results.history import read_history
from nnlc.results.inventory import inventory, not_whole_lines
from nnlc.upgrading.queued import Standard, judge_queue
from nnlc.upgrading.upgrade import why_not_now
from nnlc.wording import counted


def grow(
    results: ResultsFolder,
    campaign: Campaign,
    source: str,
    *,
    dry_run: bool = False,
    accept_code: bool = False,
) -> Iterator[str]:
    """Write a larger campaign or new `[run]` into a results folder, and yield lines on its jobs.

    Tables, weights and checkpoints are not touched. A network with fewer epochs than the campaign
    now has goes on in the next job; its table is there until the longer one replaces it.

    Args:
        results: the folder.
        campaign: the larger campaign, or one that differs in `[run]`; nothing else may differ.
        source: its name or file, for the command that continues.
        dry_run: True to write nothing.
        accept_code: True if the code of the campaign's family may have changed.

    Raises:
        ResultsError: this is no results folder; the campaign differs in more than a growth, or does
            not grow; a job runs in the folder, or a queued job would no longer fit it.
        FamilyError: the code of the campaign's family has changed.
    """
    written = results.written()
    recorded, path = written.campaign, shlex.quote(str(results.path))
    asked = results.resolve(campaign, recorded)
    if other := changes_beyond_growth(asked, recorded):
        fixed = why_fixed_epochs(recorded) if "epochs" in other else None
        why = f", and {fixed}" if fixed else ""
        raise ResultsError(
            f"{results.path}: can't grow to this campaign: {in_words(other)}{why}; only epochs, "
            f"{', '.join(asked.group_words)} and datasets can grow, and only [run] may change"
        )
    refusal = ""
    try:
        with naming_folder(results.path):
            check_same_code(recorded.family, asked.family)
    except OtherCodeError as problem:
        if not (accept_code or dry_run):
            raise
        refusal = "" if accept_code else str(problem)
    other_code = has_other_code(asked, recorded)
    grows, runs = asked.generation != recorded.generation, dict(recorded.run)
    if not grows and asked.run == recorded.run and not other_code:
        raise ResultsError(
            f"{results.path}: has all epochs, networks and [run] settings of this campaign already"
        )
    generations = (*(recorded.grown_from or ()), *([recorded.generation] if grows else []))
    grown = asked.model_copy(update={"grown_from": generations or None})
    how = "grows" if grows else "changes in [run]" if asked.run != recorded.run else "goes on"
    yield f"{results.path}: campaign {grown.name} {how}:"
    for key, value in asked.run:
        if value != runs[key]:
            yield f"  run.{key}: {runs[key]} becomes {value}"
    for key, (now, before) in differences(asked, recorded).items():
        if now is not None and key != "order of datasets":
            yield f"  {key}: {'none' if before is None else before} becomes {now}"
    yield from _lines(results, grown, recorded.network_count)
    now = Standard(results, recorded, FORMATS[written.format])
    queued = judge_queue(now, Standard(results, grown, FORMATS[FORMAT]))
    yield from queued.lines() if queued.verdicts else ()
    obstacle = refusal or why_not_now(results, written, queued, "grow")
    if dry_run:
        yield f"not now: {obstacle}" if obstacle else "nothing was changed (--dry-run)"
        return
    if obstacle:
        raise ResultsError(f"{results.path}: {obstacle}. Nothing was changed")
    results.rewrite(grown)
    if other_code:
        yield from note_acceptance(results, grown, recorded)
    yield "campaign.toml has this campaign now; its jobs go on with"
    yield f"python -m nnlc.worker {shlex.quote(source)} --results {path}"


def _lines(results: ResultsFolder, grown: Campaign, old: int) -> Iterator[str]:
    """Yield lines on the networks that go on, start again, and are new.

    Args:
        results: the folder.
        grown: the larger campaign.
        old: number of networks that the campaign had before.
    """
    networks = list(grown.networks())
    history = read_history(results.journal_folder)
    found = inventory(results, grown, networks[:old], history.finishes)
    failed = found.to_train & history.failures.keys()
    begun = checkpoints_in(results.checkpoints_folder)
    if done := len(found.with_tables):
        yield counted(done, "table stays as it is", "tables stay as they are")
    if saved := len(found.to_train & begun.keys() - failed):
        yield f"{counted(saved, 'network goes', 'networks go')} on from a checkpoint"
    short = {i: entry for i, entry in found.short.items() if i not in begun.keys() | failed}
    kept = Counter(entry.kept for entry in short.values())
    for half_epochs, number in sorted(kept.items(), reverse=True):
        if half_epochs:
            goes = counted(number, "network goes", "networks go")
            yield f"{goes} on from epoch {half_epochs / 2:g} with kept weights"
        else:
            advice = '; run.keep = "final" keeps them from now on'
            yield (
                f"{counted(number, 'network starts', 'networks start')} again, since the weights "
                "were not kept: the same table, in more time"
                + (advice if grown.run.keep != "final" else "")
            )
    if failed:
        yield (
            f"{counted(len(failed), 'network has', 'networks have')} failed: 'nnlc retry "
            f"{shlex.quote(str(results.path))}' lets the next job train them"
        )
    if len(networks) > old:
        yield f"new networks: {len(networks) - old}, behind the {old} of before"
    yield from not_whole_lines(found.not_whole.values(), results.path)
