"""Rules of `nnlc lint` for job scripts of all schedulers."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from nnlc.schedulers.script import BYTE_ORDER_MARK, WORKER_MODULE, Script
from nnlc.schedulers.site import Site
from nnlc.system.environment import DETERMINISM

BASH_SECONDS = 20
"""Time limit of `bash -n`."""
_LEFT_ALONE = {
    "CUDA_VISIBLE_DEVICES": "overrides the launcher, which gives each rank its own GPU",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "takes multiprocessors away, so tables differ",
    "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "takes memory away, so libraries choose other "
    "algorithms and tables differ",
}
"""Variables that a script must not set, and what each does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a script: its line, the problem and the remedy."""

    line: int
    problem: str
    remedy: str
    note: bool = False
    """True if the script may be right all the same."""

    def __str__(self) -> str:
        return f"{self.line}: {'note: ' if self.note else ''}{self.problem}; {self.remedy}"


Findings = Iterator[Finding]


class Rules:
    """Rules for every script: each method whose name begins with `check_` is a rule.

    Args:
        script: the script.
        site: site on which it will run.
    """

    def __init__(self, script: Script, site: Site) -> None:
        self.script, self.site, self.scheduler = script, site, script.scheduler
        self.worker = script.worker
        self.launcher = self.scheduler.launcher
        self.directives = script.directives

    def findings(self) -> set[Finding]:
        """Return the findings of all rules."""
        rules = [getattr(self, name) for name in dir(self) if name.startswith("check_")]
        return {finding for rule in rules for finding in rule()}

    def check_first_line(self) -> Findings:
        """Check that the script begins with #! and bash (sbatch(1))."""
        if self.script.text.startswith(BYTE_ORDER_MARK):
            yield Finding(1, "a byte-order mark comes before #!", "save it as UTF-8 without one")
        if not re.match(r"#!\s*\S*\b(env\s+)?bash\b", self.script.lines[0]):
            yield Finding(1, "the first line does not name bash", "it must be #!/bin/bash")

    def check_line_ends(self) -> Findings:
        """Check line ends: Slurm refuses DOS line ends, and bash reads them as parts of words."""
        for number, line in enumerate(self.script.lines, 1):
            if line.endswith("\r"):
                remedy = "convert the file with sed 's/\\r$//'"
                yield Finding(number, "the line has a DOS line end", remedy)
                return

    def check_syntax(self) -> Findings:
        """Check the syntax with `bash -n`, which reads commands and does not run them."""
        bash = shutil.which("bash")
        if bash is None:
            return
        text = "\n".join(self.script.lines).encode("utf-8", "replace")
        try:
            done = subprocess.run(  # noqa: S603  nothing of the script runs
                [bash, "-n"], input=text, capture_output=True, timeout=BASH_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            found = re.search(r"line ([0-9]{1,9}): (.*)", said[0] if said else "")
            line, why = (int(found[1]), found[2]) if found else (1, "syntax error")
            # For some texts that end too early, bash names lines after the last.
            line = min(line, len(self.script.lines))
            yield Finding(line, f"bash can't read the script: {why}", "see bash -n FILE")

    def check_launched(self) -> Findings:
        """Check that the scheduler's launcher starts the ranks: else all run on one node."""
        for command in self.script.commands:
            if command.has(WORKER_MODULE) and command.program != self.launcher:
                problem = f"{command.program or 'the script'} starts nnlc.worker without "
                remedy = f"start it with {self.launcher}, one rank per GPU"
                yield Finding(command.line, problem + self.launcher, remedy)
                return
        if self.worker is None:
            remedy = f"start it with {self.launcher}"
            yield Finding(len(self.script.lines), "nothing starts nnlc.worker", remedy)

    def check_waited_for(self) -> Findings:
        """Check that the script waits for its ranks: the job ends with it (bash(1))."""
        worker = self.worker
        if worker is None or not worker.command.background:
            return
        if not any(c.program == "wait" and c.line >= worker.line for c in self.script.commands):
            problem = f"nothing waits for {self.launcher}: the job ends at once"
            yield Finding(worker.line, problem, "write wait below it")

    def check_replaced(self) -> Findings:
        """Check that exec does not replace the script: its traps would not run (bash(1), exec)."""
        end = self.worker.line if self.worker else len(self.script.lines)
        for number, line in enumerate(self.script.lines[: end - 1], 1):
            if found := re.match(r"\s*exec\s+([^\s<>&{0-9-]\S*)", line):
                problem = f"the script ends here: exec replaces it by {found[1]}"
                yield Finding(number, problem, "leave exec out")

    def check_determinism(self) -> Findings:
        """Check the variables without which tables differ (nnlc.system.environment)."""
        if self.worker is None:
            return
        line, alone = self.worker.line, self.worker.variables
        before = [each for each in self.script.variables if each.line <= line]
        exported = {each.name for each in (*before, *alone) if each.exported or each in alone}
        last = {each.name: each for each in (*before, *alone)}
        for name, value in DETERMINISM.items():
            if name not in exported:
                problem = f"{name} is not exported before {self.launcher}"
                yield Finding(line, problem, f"write export {name}={value} above it")
            elif last[name].value != value:
                problem = f"{name} is {last[name].value!r}: tables would differ from others"
                yield Finding(last[name].line, problem, f"it must be {value!r}")

    def check_devices(self) -> Findings:
        """Check that only the launcher chooses the GPU that a rank sees (srun(1), jsrun(1)).

        docs.nvidia.com/deploy/mps: clients with a part of a GPU see only that part.
        """
        for_one = [v for c in self.script.commands if c.words for v in c.variables]
        for_ranks = self.worker.variables if self.worker else []
        for variable in (*self.script.variables, *for_one, *for_ranks):
            if variable.name in _LEFT_ALONE:
                problem = f"{variable.name} {_LEFT_ALONE[variable.name]}"
                yield Finding(variable.line, problem, "leave it out")
                return

    def check_shared_gpus(self) -> Findings:
        """Check for NVIDIA's MPS, without which processes on a GPU take turns."""
        trainers = self.worker and self.worker.arguments.get("trainers")
        if self.site.device == "cpu" or not self.worker or not trainers:
            return
        if (trainers.number or 0) > 1 and not self.worker.arguments.get("mps"):
            problem = f"{trainers.value} trainers take turns on each GPU"
            remedy = "add --mps, if the GPU is NVIDIA's and the site allows it"
            yield Finding(trainers.line, problem, remedy, note=True)
