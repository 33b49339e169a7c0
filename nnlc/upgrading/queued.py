"""Queued scripts: whether their jobs still fit the results folder."""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.errors import NnlcError, SchedulerError
from nnlc.launching.interpreter import nnlc_of
from nnlc.launching.submit import Record, in_queue, records, scheduler_of_folder
from nnlc.results.campaign_file import differences, in_words
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.scheduler_registry import queue_named
from nnlc.schedulers.script import Launch, Script
from nnlc.system.files import read_regular, why_unread
from nnlc.system.newer_format import is_newer
from nnlc.wording import counted


class _UnseenError(Exception):
    """Script from which nnlc can't tell what its job does; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Campaign.toml that a job must fit, as it is or as the upgrade will write it."""

    results: ResultsFolder
    campaign: Campaign
    oldest: str
    """Oldest nnlc that can use the file."""


@dataclass(frozen=True, slots=True)
class QueuedScripts:
    """Jobs that are or may be in the queue, and whether each still fits the folder."""

    heading: str
    verdicts: tuple[tuple[str, str], ...]
    """Pairs of texts: the job with its script, and whether it still fits."""
    hindered: tuple[str, ...]
    """Lines on queued jobs that no longer fit once campaign.toml is rewritten, and why."""

    def lines(self) -> Iterator[str]:
        """Yield the heading, and a line per job."""
        yield f"queued scripts: {self.heading}"
        yield from (f"  {job}: {verdict}" for job, verdict in self.verdicts)


def judge_queue(now: Standard, then: Standard) -> QueuedScripts:
    """Return for each job in the queue whether its script still fits the folder.

    Args:
        now: campaign.toml as it is.
        then: campaign.toml as it will be rewritten; `now` if it is not rewritten.
    """
    results = now.results
    try:
        scheduler = scheduler_of_folder(results)
        waiting = in_queue(results, scheduler) if scheduler else []
        heading, is_known = f"{counted(len(waiting), 'job')} in the queue", True
    except SchedulerError as refusal:
        waiting = [
            (record.job if record.id else "not known", record) for record in records(results)
        ]
        why = str(refusal).split("\n")[0]
        heading = f"{counted(len(waiting), 'job')} submitted, and the queue is unknown: {why}"
        is_known = False
    verdicts, hindered = [], []
    for job, record in waiting:
        script = results.jobs_folder / Path(record.script).name
        try:
            if problem := _problem(script, record, now, is_known=is_known):
                verdict = f"no longer fits, cancel and submit again: {problem}"
            elif problem := _problem(script, record, then, is_known=is_known):
                verdict = f"fits until campaign.toml is rewritten: {problem}"
                hindered += [f"job {job}: {problem}"] if is_known else []
            else:
                verdict = "still fits"
        except _UnseenError as unseen:
            verdict = f"can't be told: {unseen}"
        verdicts.append((f"job {job}: {script}", verdict))
    return QueuedScripts(heading, tuple(verdicts), tuple(hindered))


def _problem(path: Path, record: Record, wanted: Standard, *, is_known: bool) -> str:
    """Return why a script's job would be refused; "" if it would not.

    Args:
        path: path of the script.
        record: record of the job.
        wanted: campaign.toml that the job must fit.
        is_known: True if the scheduler lists this job as the user's. Otherwise the script may be
            somebody else's, and no program that it names is started.

    Raises:
        _UnseenError: the script does not show what its job does.
    """
    try:
        text = read_regular(path).decode("utf-8-sig", errors="replace")
    except OSError as problem:
        raise _UnseenError(f"{why_unread(problem)}; the scheduler has a copy") from None
    try:
        worker = Script(text, queue_named(record.scheduler)).worker
    except SchedulerError as problem:
        raise _UnseenError(str(problem)) from None
    if worker is None:
        raise _UnseenError("the script does not show how it starts nnlc.worker")
    if unknown := [option.name for option in worker.arguments if not option.known]:
        return f"nnlc.worker has no option {', '.join(unknown)}"
    return (
        _problem_of_folder(worker, wanted.results)
        or _problem_of_python(worker, wanted, is_known=is_known)
        or _problem_of_campaign(worker, path.parent, wanted)
    )


def _problem_of_folder(worker: Launch, results: ResultsFolder) -> str:
    folder = worker.arguments.get("results")
    if folder is None or folder.value is None or "$" in folder.value:
        raise _UnseenError("the script does not show its --results")
    if os.path.realpath(folder.value) == os.path.realpath(results.path):
        return ""
    if ResultsFolder(Path(folder.value)).has_campaign:
        again = f"'nnlc upgrade {shlex.quote(folder.value)}'"
        raise _UnseenError(f"it works in another folder; check that with {again}")
    return f"its folder {folder.value} is gone"


def _problem_of_python(worker: Launch, wanted: Standard, *, is_known: bool) -> str:
    """Return why the script's Python is unfit; "" if it is fit or a container starts it."""
    python, *rest = [word.text for word in worker.started]
    if rest[:2] != ["-m", "nnlc.worker"] or "/" not in python or python == sys.executable:
        return ""
    if "$" in python:
        raise _UnseenError(f"its Python is {python}")
    if not os.access(python, os.X_OK):
        return f"its Python {python} is not here"
    if not is_known:
        raise _UnseenError(f"its Python {python} is asked for its nnlc only if the job is seen")
    try:
        nnlc, _ = nnlc_of(python)
    except ValueError as problem:
        raise _UnseenError(f"its Python {python} {problem}") from None
    if nnlc is None:
        return f"its Python {python} has no nnlc"
    if is_newer(wanted.oldest, than=nnlc):
        return f"its Python {python} has nnlc {nnlc} where {wanted.oldest} is needed"
    return ""


def _problem_of_campaign(worker: Launch, folder: Path, wanted: Standard) -> str:
    words = [word.text for word in worker.started]
    campaign = words[words.index("nnlc.worker") + 1 :][:1]
    if not campaign or campaign[0].startswith("-") or "$" in campaign[0]:
        raise _UnseenError("the script does not show its campaign")
    try:
        asked = wanted.results.resolve(load_campaign(folder / campaign[0]), wanted.campaign)
    except NnlcError as problem:
        return str(problem)
    different = differences(asked, wanted.campaign)
    return f"its campaign is another: {in_words(different)}" if different else ""
