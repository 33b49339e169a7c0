"""PBS Professional and OpenPBS: qsub, qstat, qdel and mpiexec, from their manual pages.

The pages are doc/man1 of github.com/openpbs/openpbs.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlc.schedulers.answers import State, check_unread, unread_queue
from nnlc.schedulers.options import COUNT, OptionTable
from nnlc.schedulers.scheduler import Queue, number_of

if TYPE_CHECKING:
    from nnlc.schedulers.accounting import AccountedRun
    from nnlc.schedulers.job_rules import JobRules
    from nnlc.schedulers.site import Site

_QSUB = OptionTable(
    "a A c C e j J k l m M N o p P q r R S u v W",
    "f G h I V X z",
    values=[
        ("ncpus ngpus mpiprocs", COUNT, "a number"),
        ("mem", r"\d{1,12}([kmgtKMGT]?[bBwW])?", "as 200gb"),
        ("j", "oe|eo|n", "oe, eo or n"),
        ("k", "n|[doe]{1,3}", "letters of doe, or n"),
        ("r", "[yn]", "y or n"),
        ("N", r"[A-Za-z0-9]\S{0,229}", "at most 230 characters, the first a letter or digit"),
    ],
    dashes="-",
    repeatable="W",
    list_option="l",
)
# Of HPE's PALS; MPICH's and Intel's mpiexec have the first ones, and others.
_MPIEXEC = OptionTable(
    "np ppn depth cpu-bind gpu-bind mem-bind hostfile hosts env envlist wdir pmi",
    "label no-label line-buffer abort-on-failure no-abort-on-failure envall genvall",
    "n:np d:depth f:hostfile l:label",
    values=[("np ppn depth", COUNT, "a number")],
    is_open=True,
    any_dashes=True,
)
_JOB = re.compile(r"^\d+(?:\[\])?\.[\w.-]+$", re.MULTILINE)
_MARK = "NNLC_MARK"
_GONE = ("Unknown Job Id", "Job has finished")
_QSTAT = "qstat -f -F json"
_HEAD = ("timestamp", "pbs_version", "pbs_server")
"""Keys with which qstat's JSON begins, also if there is no job (src/cmds/qstat.c of OpenPBS)."""


class Pbs(Queue):
    """PBS. A job that is unfinished submits its script as the next job of a chain."""

    name, title = "pbs", "PBS"
    sentinel, launcher, submit_commands = "#PBS", "mpiexec", ("qsub",)
    directive_options, launcher_options = _QSUB, _MPIEXEC
    account_option, nodes_option, walltime_option = "A", "select", "walltime"
    queue_options = ("q",)
    version_command = ("qstat", "--version")
    accounting_gaps = (
        "PBS forgets a job some days after its end, and all runs but the last of one that ran "
        "again; it may have no figures yet of a job that runs"
    )
    walltime_forms = "it must be [[HH:]MM:]SS"
    memory_directive = ":mem={}gb"  # within select, by the template
    exclusive_directives = ("-l place=scatter:exclhost",)
    array_option, array_forms = "J", "it must be as 0-9 or 0-9:3, with at least two elements"
    index_variable, index_expression = "PBS_ARRAY_INDEX", '"$PBS_ARRAY_INDEX"'
    not_in_logs = f"{Queue.not_in_logs}:"  # qsub(1B), -o: HOST:PATH
    submits_successor = starts_after = has_spare = True
    over = frozenset(["F", "X", "M"])
    ending = frozenset(["E"])
    waiting = frozenset(["Q", "H", "W", "T"])
    removed_variables = re.compile("PBS_")
    kept_variables = frozenset(["PBS_CONF_FILE", "PBS_DEFAULT", "PBS_EXEC", "PBS_SERVER"])
    wishes = re.compile(r"PBS_ACCOUNT(_\w+)?$")  # NCAR's default project
    no_answer = re.compile(
        r"timed out|time out|not responding|Connection refused|cannot connect to server|"
        r"End of File",
        re.IGNORECASE,
    )

    def minutes(self, walltime: str) -> float | None:
        found = re.fullmatch(
            r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})(?:\.\d+)?", walltime, re.ASCII
        )
        if found is None:
            return None
        return 60 * int(found[1] or 0) + int(found[2] or 0) + math.ceil(int(found[3]) / 60)

    def rules(self) -> "type[JobRules]":
        from nnlc.schedulers.pbs_rules import PbsRules

        return PbsRules

    def node_directives(self, site: "Site") -> tuple[str, ...]:
        """Return the directive for nodes of which each has one chunk, unless the site has its own.

        Memory is in select.
        """
        read = self.directive_options.read_line
        if any(read(directive)[0].get("place") for directive in site.directives):
            return ()
        return self.exclusive_directives if site.exclusive else ("-l place=scatter",)

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return PBS_ARRAY_INDEX: arrays begin at 0, as rendered; None outside any array."""
        if self.index_variable not in environment:
            return None
        index = number_of(environment, self.index_variable)
        if index >= elements:
            raise ValueError(
                f"this array has an index {index}, but --elements is {elements}: begin at 0, or "
                "give --element"
            )
        return index

    def submit(self, script: Path, mark: str, command: str) -> str:
        return self._submit(script, mark, command)

    def submit_after(self, job: str, script: Path, mark: str, command: str) -> str:
        return self._submit(script, mark, command, "-W", f"depend=afterany:{job}")

    def _submit(self, script: Path, mark: str, command: str, *words: str) -> str:
        variables = f"{self._directive(script, 'v')},{_MARK}={mark}".strip(",")
        said = self._run(command, *words, "-v", variables, str(script))
        return self._one_job(said, self.submitted_jobs(said), mark, script)

    def submitted_jobs(self, said: str) -> list[str]:
        return _JOB.findall(said)

    def find(self, mark: str, script: Path) -> str | None:
        del script  # the mark suffices
        for job, about in self._qstat([mark]):
            variables = about.get("Variable_List")
            if isinstance(variables, dict) and variables.get(_MARK) == mark:
                return job
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        told = dict(self._qstat(jobs, "-t", *jobs)) if jobs else {}
        arrays = {_whole(name) for name in told if name != _whole(name)}
        for name, about in told.items():
            job, state = _whole(name), about.get("job_state")
            if job not in found or (name == job and name in arrays):  # its elements tell
                continue
            if not isinstance(state, str):
                raise unread_queue(_QSTAT, f"{name} without job_state")
            if state not in self.over:
                # An element that waits may have no comment of its own.
                comment = about.get("comment") or told.get(job, {}).get("comment")
                found[job].append(State(state, str(comment or "") if state in self.waiting else ""))
        return found

    def cancel(self, job: str) -> None:
        self._run("qdel", job, gone_is_fine=_GONE)

    def accounting(self, jobs: Sequence[str]) -> "list[AccountedRun]":
        from nnlc.schedulers.accounting import qstat_run

        told = self._qstat(jobs, "-x", "-t", *jobs)
        runs = (qstat_run(job, about) for job, about in told if "[]" not in job)
        return [run for run in runs if run is not None]

    def _qstat(self, wanted: Sequence[str], *words: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each job that is in the queue, or element of an array, with its attributes.

        Raises:
            SchedulerError: the answer has another form than the JSON that qstat(1B) describes, or
                it speaks in one of the jobs or marks that are wanted.
        """
        said = self._run("qstat", "-f", "-F", "json", *words, gone_is_fine=_GONE)
        answer, rest = _json_answer(said)
        jobs = answer.get("Jobs", {})
        if not isinstance(jobs, dict) or not all(isinstance(each, dict) for each in jobs.values()):
            raise unread_queue(_QSTAT, said)
        check_unread(_QSTAT, rest if jobs else said, wanted, _GONE)
        if not answer and not _all_gone(said, wanted):
            raise unread_queue(_QSTAT, said)
        yield from jobs.items()


def _json_answer(said: str) -> tuple[dict[str, Any], str]:
    """Return qstat's JSON, empty if there is none, and the text around it."""
    decoder = json.JSONDecoder(strict=False)  # a job's variables may have any characters
    for begin in re.finditer(r"^[ \t]*(?=\{)", said, re.MULTILINE):
        try:
            found, end = decoder.raw_decode(said, begin.end())
        except (ValueError, RecursionError):
            continue
        if found.get("Jobs") or any(key in found for key in _HEAD):
            return found, f"{said[: begin.end()]}\n{said[end:]}"
    return {}, said


def _all_gone(said: str, jobs: Sequence[str]) -> bool:
    """Return True if text says of each of some jobs that it is not in the queue."""
    gone = [line for line in said.splitlines() if any(word in line for word in _GONE)]
    named = [re.compile(rf"(?<![\w.]){re.escape(job)}(?!\w)") for job in jobs]
    return bool(jobs) and all(any(map(each.search, gone)) for each in named)


def _whole(name: str) -> str:
    """Return the array of an element, such as 7[].server of 7[3].server; else the job itself."""
    return re.sub(r"\[\d+\]", "[]", name)


SCHEDULER = Pbs()
