"""OpenPBS: qsub, qstat, qdel and mpirun, from their manual pages."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnlc.schedulers.options import COUNT, MPIRUN, OptionTable
from nnlc.schedulers.scheduler import Queue, number_of


class Pbs(Queue):
    """OpenPBS. A job that is unfinished submits its script again; elements of arrays don't."""

    name, title = "pbs", "PBS"
    sentinel, launcher, submit_commands = "#PBS", "mpirun", ("qsub",)
    launcher_options = MPIRUN
    directive_options = OptionTable(
        "a A c C e j J k l m M N o p P q r R S u v W",
        "f h I V X z",
        values=[("select ncpus ngpus mpiprocs", COUNT, "a number"), ("j", "oe|eo|n", "oe")],
        dashes="-",
        list_option="l",
    )
    account_option, nodes_option, walltime_option = "A", "select", "walltime"
    array_option, index_variable = "J", "PBS_ARRAY_INDEX"
    index_expression = '"$PBS_ARRAY_INDEX"'
    submits_successor = True
    removed_variables = re.compile("PBS_")
    kept_variables = frozenset(["PBS_CONF_FILE", "PBS_DEFAULT", "PBS_EXEC", "PBS_SERVER"])
    over = frozenset(["F", "X", "M"])
    ending = frozenset(["E"])

    def minutes(self, walltime: str) -> float | None:
        """Return the minutes of [[HH:]MM:]SS."""
        found = re.fullmatch(r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9})", walltime, re.ASCII)
        if found is None:
            return None
        return 60 * int(found[1] or 0) + int(found[2] or 0) + math.ceil(int(found[3]) / 60)

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return PBS_ARRAY_INDEX: arrays begin at 0, as rendered."""
        if self.index_variable not in environment:
            return None
        return number_of(environment, self.index_variable)

    def submit(self, script: Path, mark: str, command: str) -> str:
        variables = f"{self._directive(script, 'v')},NNLC_MARK={mark}".strip(",")
        said = self._run(command, "-v", variables, str(script))
        return self._one_job(said, self.submitted_jobs(said), mark, script)

    def submitted_jobs(self, said: str) -> list[str]:
        return re.findall(r"^\d+(?:\[\])?\.[\w.-]+$", said, re.MULTILINE)

    def find(self, mark: str, script: Path) -> str | None:
        del script
        for job, about in self._qstat().items():
            if about.get("Variable_List", {}).get("NNLC_MARK") == mark:
                return re.sub(r"\[\d+\]", "[]", job)
        return None

    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {job: [] for job in jobs}
        told = self._qstat("-x", *jobs) if jobs else {}
        for name, about in told.items():
            job = re.sub(r"\[\d+\]", "[]", name)  # an element's: 7[3].server
            is_whole_array = name == job and job.replace("[]", "[0]") in told
            if job in found and about["job_state"] not in self.over and not is_whole_array:
                found[job].append(about["job_state"])
        return found

    def cancel(self, job: str) -> None:
        self._run("qdel", job, gone_is_fine=["Unknown Job Id", "Job has finished"])

    def _qstat(self, *words: str) -> dict[str, dict]:
        """Return what is known of each job and each element of an array."""
        gone = ["Unknown Job Id", "Job has finished"]
        said = self._run("qstat", "-t", "-f", "-F", "json", *words, gone_is_fine=gone)
        begin = said.find("{")
        return json.JSONDecoder().raw_decode(said, begin)[0].get("Jobs", {}) if begin >= 0 else {}


SCHEDULER = Pbs()
