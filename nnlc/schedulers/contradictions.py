"""Where two parts of a job script speak of the same thing, and one of them was edited."""

import math
import re
from collections.abc import Iterator

from nnlc.schedulers.options import Option
from nnlc.schedulers.rules import Finding, whole
from nnlc.schedulers.scheduler import Scheduler
from nnlc.schedulers.script import Script
from nnlc.schedulers.site import Site

_INDEX = {"slurm": '"$SLURM_ARRAY_TASK_ID"', "lsf": '"$((LSB_JOBINDEX - 1))"'}
_ELEMENT = re.compile(
    r"\$(?:\(\()?\s*(?:(\d{1,9})\s*\+\s*)?\$?\{?(?:SLURM_ARRAY_TASK_ID|LSB_JOBINDEX)\}?"
    r"\s*(-\s*1)?\s*(?:\)\))?"
)
"""An --element: what is added to the array's index, and whether 1 is taken away."""


def too_long(
    script: Script, site: Site, limit: Option, minutes: float, nodes: Option | None
) -> Iterator[Finding]:
    """Compare a walltime with what the site gives so many nodes, and with --time-left."""
    count = whole(nodes.value) if nodes else None
    try:
        longest = site.longest_minutes(count) if count else None
    except ValueError as impossible:
        yield Finding(nodes.line if nodes else 1, str(impossible), "choose others")
        return
    if longest is None or minutes <= longest:
        yield from _countdown(script, limit, minutes)
        return
    problem = f"{limit} is {limit.value}, but {site.name} allows {count} nodes {longest} minutes"
    yield Finding(limit.line, problem, f"at most {script.scheduler.walltime(longest)}")


def _countdown(script: Script, limit: Option, minutes: float) -> Iterator[Finding]:
    """Compare --time-left, by which ranks leave, with the job's walltime."""
    left = script.worker and script.worker.argument("time-left")
    if not left or not left.value or left.must_be:
        return
    found = re.match(r"\$(?:\(\()?\s*\$?\{?(\w+)\}?\s*(?:-|\)\)|$)", left.value)
    name = found[1] if found else left.value
    set_to = next((v for v in reversed(script.variables) if v.name == name), None)
    text, line = (set_to.value, set_to.line) if set_to else (name, left.line)
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or float(text) == minutes:
        return
    given = "no limit" if math.isinf(minutes) else f"{minutes:g}"
    yield Finding(
        line,
        f"--time-left counts down from {text} minutes where line {limit.line} gives the job "
        f"{given}",
        "make both the same",
        note=float(text) < minutes and (not found or math.isinf(minutes)),  # a margin of one's own
    )


def too_short(
    scheduler: Scheduler, limit: Option | None, minutes: float | None, notice: Option, before: float
) -> Iterator[Finding]:
    """Refuse a warning that comes before the job has done anything."""
    least = scheduler.shortest_minutes(math.ceil(before))
    if limit and minutes and minutes < least:
        problem = f"the warning of line {notice.line} may come before the job has done anything"
        yield Finding(limit.line, problem, f"it must last at least {least} minutes")


def check_array(
    script: Script, site: Site, option: Option, found: tuple[int, int, int], elements: int
) -> Iterator[Finding]:
    """Compare an array that needs so many places with the site and with --elements."""
    if elements > site.max_array_elements:
        takes = f"{site.name} takes {site.max_array_elements} elements"
        problem = f"the array is {option.value}, but {takes}"
        yield Finding(option.line, problem, "split the array; nnlc submit --elements does")
    else:
        yield from shared_out(script, option.line, found)


def shared_out(script: Script, line: int, found: tuple[int, int, int] | None) -> Iterator[Finding]:
    """Compare an array's number of elements, lowest and highest index with --elements."""
    worker = script.worker
    told = worker and worker.argument("elements")
    elements = whole(told.value) if told else None
    if worker is None or told is None or elements is None:
        return
    element = worker.argument("element")
    if found is None:
        if elements > 1 and element is None:
            problem = f"--elements is {elements}, and there is no array"
            yield Finding(told.line, problem, "add --element I, or leave it out")
        return
    count, _, high = found
    said = (element and element.value) or ""
    if element and count > 1 and whole(said) is not None:
        yield Finding(
            element.line,
            f"each job of the array trains element {said}",
            f"write {_INDEX[script.scheduler.name]}",
        )
        return
    form = _ELEMENT.fullmatch(said)
    last = int(form[1] or 0) + high - bool(form[2]) if form else count - 1
    if last >= elements:
        problem = f"the array's last element is {last}, but --elements {elements} ends before it"
        yield Finding(line, problem, "make the two agree")
