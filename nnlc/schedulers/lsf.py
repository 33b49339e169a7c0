"""LSF: bsub, bjobs, bkill and jsrun, from IBM's manual pages and Summit's user guide."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.schedulers.answers import check_answered, check_unread
from nnlc.schedulers.options import COUNT, OptionTable
from nnlc.schedulers.scheduler import Queue, number_of

if TYPE_CHECKING:
    from nnlc.schedulers.accounting import AccountedRun
    from nnlc.schedulers.job_rules import JobRules
    from nnlc.schedulers.site import Site

_HEADER = re.compile(r"\s*JOBID(\s+STAT|\|JOB_DESCRIPTION)\s*$")
_SUBMITTED = re.compile(r"Job <(\d+)(?:\[[^]>]*\])?> is submitted")

_BSUB = OptionTable(
    "a alloc_flags app b C c clusters cn_cu cn_mem core_isolation csm cwd D data datagrp E Ep e "
    "env eo eptl ext F f freq G g gpu hostfile i is J Jd jobaff jsdl jsdl_strict jsm json k L Lp "
    "ln_mem ln_slots M m mig n nnodes network notify o oo outdir P p ptl Q q R rcacct S s sla smt "
    "sp stage step_cgroup T t U u v W We w wa wt yaml Zs",
    "ar B datachk H hl I Ip IS ISp ISs Is IX K N Ne pack r rn rnc ti tty ul V h x XF",
    dashes="-",
    repeatable="o e oo eo R",
)
_AMOUNTS = "nrs rs_per_host rs_per_socket tasks_per_rs cpu_per_rs gpu_per_rs memory_per_rs"
_JSRUN = OptionTable(
    f"{_AMOUNTS} allocate_only appfile bind chdir env env_eval env_no_propagate erf_input "
    "erf_output exclude_hosts exit_on_error latency_priority launch_distribution launch_node_task "
    "np pre_post_exec print_placement progress save_resources smpiargs stdin_rank stdio_input "
    "stdio_mode stdio_stderr stdio_stdout use_reservation use_resources use_spindle",
    "immediate help usage version",
    "A:allocate_only f:appfile b:bind h:chdir c:cpu_per_rs E:env F:env_eval D:env_no_propagate "
    "x:exclude_hosts X:exit_on_error g:gpu_per_rs l:latency_priority d:launch_distribution "
    "H:launch_node_task m:memory_per_rs p:np n:nrs P:pre_post_exec Z:progress r:rs_per_host "
    "K:rs_per_socket S:save_resources M:smpiargs I:stdin_rank t:stdio_input e:stdio_mode "
    "k:stdio_stderr o:stdio_stdout a:tasks_per_rs J:use_reservation U:use_resources "
    "L:use_spindle i:immediate ?:help V:version",
    [(_AMOUNTS, r"\d{1,9}|ALL_\w+", "a number or ALL_..."), ("np", COUNT, "a number")],
)


class Lsf(Queue):
    """LSF with jsrun. A job that is unfinished submits its script as the next job of a chain."""

    name, title = "lsf", "LSF"
    sentinel, launcher, submit_commands = "#BSUB", "jsrun", ("bsub", "bsub <")
    directive_options, launcher_options = _BSUB, _JSRUN
    reads_all_directives = True
    account_option, nodes_option, walltime_option = "P", "nnodes", "W"
    queue_options = ("q",)
    version_command = ("bsub", "-V")
    accounting_gaps = "bacct has jobs that ended, as far back as LSF's newest accounting file goes"
    walltime_forms = "it must be [hours:]minutes: LSF has no seconds"
    exclusive_directives = ("-x",)
    array_option, first_index, array_forms = "J", 1, "it must be as NAME[1-9], from 1 on"
    index_variable, index_expression = "LSB_JOBINDEX", '"$((LSB_JOBINDEX - 1))"'
    logs, log_index, log_example = ("o", "e"), "%I", "%J and %I"
    submits_successor = has_spare = True
    runs_mps = True
    over = frozenset(["DONE", "EXIT", "POST_DONE", "POST_ERR"])
    removed_variables = re.compile(
        r"(BSUB|BJOBS|BKILL|LSB)_"
        r"|LSF_(NIOS_|JOB_STARTER|INTERACTIVE_STDERR|(DEBUG|TIME)_CMD|CMD_LOG)"
    )
    kept_variables = frozenset(["LSB_CONFDIR", "LSB_SHAREDIR"])  # all other LSF_ variables pass
    wishes = re.compile(r"\w+_DEFAULT(_?PROJECT|_?QUEUE|_USERGROUP)$")
    no_answer = re.compile(r"timed out|time out|LSF is down|not responding", re.IGNORECASE)

    def walltime(self, minutes: int) -> str:
        """Return [hours:]minutes: LSF has no seconds."""
        return f"{minutes // 60}:{minutes % 60:02}"

    def minutes(self, walltime: str) -> int | None:
        found = re.fullmatch(r"(?:([0-9]{1,6}):)?([0-9]{1,9})(?:/\S+)?", walltime)
        return None if found is None else 60 * int(found[1] or 0) + int(found[2])

    def array_list(self, option: str) -> str | None:
        return re.sub(r"^[^\[]*\[(.*)\]", r"\1", option) if "[" in option else None

    def rules(self) -> "type[JobRules]":
        from nnlc.schedulers.lsf_rules import LsfRules

        return LsfRules

    def directives(self, site: "Site") -> tuple[str, ...]:
        """Return the site's directives, with gpumps in one -alloc_flags if the site has MPS."""
        lines = list(super().directives(site))
        if not site.mps:
            return tuple(lines)
        for at, line in enumerate(lines):
            options, _ = _BSUB.read_line(line)
            if (found := options.get("alloc_flags")) is None:
                continue
            flags = (found.value or "").split()
            if "gpumps" not in map(str.lower, flags):
                others = (
                    _BSUB.written(each.name, each.value and shlex.quote(each.value))
                    for each in options
                    if each is not found
                )
                lines[at] = " ".join([f'-alloc_flags "{" ".join([*flags, "gpumps"])}"', *others])
            return tuple(lines)
        return (*lines, "-alloc_flags gpumps")

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return LSB_JOBINDEX less 1, since LSF's arrays begin at 1; None outside any array."""
        index = number_of(environment, "LSB_JOBINDEX", 0)
        if index < 1:  # a job outside any array
            return None
        last = max(index, number_of(environment, "LSB_JOBINDEX_END", index))
        if last > elements:
            raise ValueError(
                f"this array has an index {last}, but --elements is {elements}: give the same "
                "number"
            )
        return index - 1

    def submit(self, script: Path, mark: str, command: str) -> str:
        program, *reads_input = command.split()
        about = f"{self._directive(script, 'Jd')} {mark}".strip()
        if reads_input:
            said = self._run(program, "-Jd", about, script=script)
        else:
            said = self._run(program, "-Jd", about, str(script))
        return self._one_job(said, self.submitted_jobs(said), mark, script)

    def submitted_jobs(self, said: str) -> list[str]:
        return _SUBMITTED.findall(said)

    def find(self, mark: str, script: Path) -> str | None:
        del script  # the mark suffices
        for number, about in self._bjobs([mark], "jobid job_description delimiter='|'", "|"):
            if mark in about:
                return number
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        for number, state in self._bjobs(jobs, "jobid stat", " ", "-a", *jobs) if jobs else ():
            if number in found and state not in self.over:
                found[number].append(state)
        return found

    def cancel(self, job: str) -> None:
        gone = ["is not found", "already finished", "No matching job found"]
        self._run("bkill", job, gone_is_fine=gone)

    def accounting(self, jobs: Sequence[str]) -> "list[AccountedRun]":
        from nnlc.schedulers.accounting import bacct_runs

        # Without -f bacct reads only the newest of its files: older jobs are missing.
        gone = ["No matching job found", "is not found"]
        numbers = dict.fromkeys(re.sub(r"\[.*", "", job) for job in jobs)
        return list(bacct_runs(self._run("bacct", "-UF", "-l", *numbers, gone_is_fine=gone)))

    def _bjobs(
        self, about: Sequence[str], form: str, separator: str, *words: str
    ) -> Iterator[tuple[str, str]]:
        """Yield each job of bjobs: its ID without an array index, and its other fields.

        Raises:
            SchedulerError: what it says of the jobs or marks in `about` has another form.
        """
        gone = ["No unfinished job", "No job found", "is not found"]
        said = self._run("bjobs", *words[:1], "-o", form, *words[1:], gone_is_fine=gone)
        check_answered("bjobs", said, _HEADER, gone)
        for line in said.splitlines():
            name, _, rest = line.strip().partition(separator)
            if number := re.match(r"\d+", name):
                yield number[0], rest.strip()
            else:
                check_unread("bjobs", line, about, gone)


SCHEDULER = Lsf()
