"""Scripts that were submitted before: whether their jobs still fit the results folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from nnlc.campaign import load_campaign
from nnlc.errors import NnlcError, SchedulerError
from nnlc.files import read_regular, why_unread
from nnlc.launching.script import Script
from nnlc.launching.submit import Record, queue, records, scheduler_of_folder
from nnlc.results import ResultsFolder
from nnlc.wording import counted


def queued_lines(results: ResultsFolder) -> Iterator[str]:
    """Yield whether the script still fits of each job that is, or may be, in the queue."""
    kept = [record for record in records(results) if record.id is not None]
    try:
        scheduler = scheduler_of_folder(results)
        states = queue(results, scheduler) if scheduler else {}
        waiting = [record for record in kept if states.get(record.job)]
        heading = f"{counted(len(waiting), 'job')} in the queue"
    except SchedulerError as refusal:
        waiting, why = kept, str(refusal).split("\n")[0]
        heading = f"{counted(len(kept), 'job')} submitted, and the queue is unknown: {why}"
    yield f"queued scripts: {heading}"
    for record in waiting:
        problem = _problem(record, results)
        verdict = f"no longer fits, submit again: {problem}" if problem else "still fits"
        yield f"  job {record.job}: {record.script}: {verdict}"


def _problem(record: Record, results: ResultsFolder) -> str:
    """Return why a script's job would be refused; "" where it would not."""
    try:
        text = read_regular(record.script).decode("utf-8-sig", errors="replace")
    except OSError as problem:
        return why_unread(problem)
    worker = Script(text, record.scheduler).worker
    if worker is None:
        return "it starts no nnlc.worker"
    if unknown := [option.name for option in worker.arguments if not option.known]:
        return f"nnlc.worker has no option {', '.join(unknown)}"
    python = worker.started[0].text
    if "/" in python and not os.access(python, os.X_OK):
        return f"its Python {python} is not here"
    words = [word.text for word in worker.started]
    campaign = words[words.index("nnlc.worker") + 1 :][:1]
    try:
        asked = results.resolve(load_campaign(Path(record.script).parent / campaign[0]))
        results.check_same(asked)
    except (NnlcError, IndexError) as problem:
        return str(problem) or "it names no campaign"
    return ""
