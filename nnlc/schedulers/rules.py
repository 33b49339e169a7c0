"""What a job script must keep to on every scheduler, and what the rules of each share.

A rule is a function of the script and the site that yields what it finds; its docstring says where
it comes from.
"""

import difflib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nnlc.schedulers.options import WORKER, Option
from nnlc.schedulers.registry import SCHEDULERS
from nnlc.schedulers.script import Launch, Script
from nnlc.schedulers.shell import Variable
from nnlc.schedulers.site import Site
from nnlc.system.environment import DETERMINISM

BASH_SECONDS = 20
"""For `bash -n`, which only reads."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a script that is not as it should be."""

    line: int
    problem: str
    remedy: str
    note: bool = False
    """Whether the script can stay as it is."""

    def __str__(self) -> str:
        return f"{self.line}: {'note: ' if self.note else ''}{self.problem}; {self.remedy}"


Rule = Callable[[Script, Site], Iterator[Finding]]


def whole(text: str | None) -> int | None:
    """The number that a text says, if it is a whole one that makes sense."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


def unknowable(option: Option | None) -> bool:
    """Whether only the shell will know this value."""
    return option is not None and "$" in (option.value or "")


def head(script: Script) -> int:
    """The line to name where a directive is missing: that of the first one."""
    return script.directives[0].line if script.directives else 1


def indices(text: str) -> tuple[int, int, int] | None:
    """How many elements an array such as `0-9:3,12` has, its lowest and its highest index."""
    count, low, high = 0, 10**9, 0
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", part.strip())
        if not found:
            return None
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if last < first or step < 1:
            return None
        count += (last - first) // step + 1
        low, high = min(low, first), max(high, last)
    return count, low, high


def shebang(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1): a script must begin with #!; ours is written for bash."""
    if not re.match(r"#!\s*\S*\b(env\s+)?bash\b", script.lines[0]):
        yield Finding(1, "the first line does not name bash", "it must be #!/bin/bash")


def line_ends(script: Script, _site: Site) -> Iterator[Finding]:
    """Slurm: `Batch script contains DOS line breaks`; bash takes the \\r for a part of a word."""
    for number, line in enumerate(script.lines, 1):
        if line.endswith("\r"):
            yield Finding(number, "the line ends as on DOS", "convert the file with sed 's/\\r$//'")
            return


def syntax(script: Script, _site: Site) -> Iterator[Finding]:
    """bash(1), -n: reads the commands and does not run them."""
    bash = shutil.which("bash")
    if bash is None:
        return
    text = script.text.encode("utf-8", "replace")  # letters of another encoding do no harm
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
        yield Finding(line, f"bash can't read the script: {why}", "see bash -n FILE")


def known_directives(script: Script, _site: Site) -> Iterator[Finding]:
    """bsub(1), sbatch(1): what is not one of their options is refused, or not even read."""
    sentinel = script.scheduler.sentinel or None
    for option in script.directives:
        if not option.known:
            yield _unknown(script, option, script.directive_names, f"{sentinel} does not know")
    for number, line in enumerate(script.lines, 1):
        if sentinel and re.match(rf"{sentinel}\s+{sentinel}\b", line):
            yield Finding(number, f"nothing behind the second {sentinel} is read", "write it once")
        found = re.match(r"#([A-Za-z]{3,9})\s+-", line)
        if found and (right := _misspelt(f"#{found[1]}", sentinel)):
            problem = f"#{found[1]} is only a comment to {script.scheduler.name}"
            yield Finding(number, problem, right)


def _misspelt(word: str, sentinel: str | None) -> str | None:
    sentinels = [each.sentinel for each in SCHEDULERS.values() if each.sentinel]
    near = difflib.get_close_matches(word.upper(), sentinels, 1, 0.75)
    if not near or word == sentinel:
        return None
    return f"write {sentinel}" if sentinel else "on a site without a scheduler nobody reads it"


def known_options(script: Script, _site: Site) -> Iterator[Finding]:
    """jsrun(1), srun(1): an option that they don't know ends the job before it began."""
    for launch in script.launches:
        for option in launch.options:
            if not option.known and script.scheduler.has_queue:
                program = launch.command.program
                yield _unknown(script, option, script.launcher_names, f"{program} does not know")
    for option in script.worker.arguments if script.worker else []:
        if not option.known:
            near = difflib.get_close_matches(f"--{option.name}", WORKER.names(), 1, 0.5)
            problem = f"nnlc.worker does not know the option {option.name!r}"
            right = f"did you mean {near[0]}?" if near else f"valid: {', '.join(WORKER.names())}"
            yield Finding(option.line, problem, right)


def values(script: Script, _site: Site) -> Iterator[Finding]:
    """The manual pages named in nnlc.schedulers.options, and the worker's own help."""
    found = [*script.directives, *(option for each in script.launches for option in each.options)]
    for option in [*found, *(script.worker.arguments if script.worker else [])]:
        if option.known and (right := option.must_be):
            problem = f"{option} is {option.value!r}" if option.value else f"{option} is empty"
            yield Finding(option.line, problem, f"it must be {right}")


_MAY_REPEAT = {"output", "error", "o", "e", "oo", "eo", "R"}
"""Directives: logs that a site moves, what LSF adds up, and what has a rule of its own."""
_EXCLUSIVE = {
    "no-requeue": "requeue",
    "mem-per-cpu": "mem",
    "mem-per-gpu": "mem",
    "cpus-per-gpu": "cpus-per-task",
    "oversubscribe": "exclusive",
}
"""sbatch(1): which options exclude another one."""


def repeated(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1), bsub(1): of an option that is given twice only one counts."""
    first: dict[str, Option] = {}
    for option in script.directives:
        before = first.setdefault(_EXCLUSIVE.get(option.name, option.name), option)
        differs = (before.name, before.value) != (option.name, option.value)
        if option.known and differs and option.name not in _MAY_REPEAT:
            problem = f"{option} contradicts {before} of line {before.line}"
            yield Finding(option.line, problem, "leave one of the two out, or write both in one")


def _unknown(script: Script, option: Option, names: list[str], problem: str) -> Finding:
    """Slurm's plugins, of which each site has its own, may add options that look like no other."""
    problem = f"{problem} the option {option.name!r}"
    near = difflib.get_close_matches(option.name, [name.lstrip("-") for name in names], 1, 0.75)
    if near:
        right = next(name for name in names if name.lstrip("-") == near[0])
        return Finding(option.line, problem, f"did you mean {right}?")
    if script.scheduler.name == "slurm":
        return Finding(option.line, problem, "right, if a plugin of the site does", note=True)
    return Finding(option.line, problem, "see its manual page")


def worker_is_launched(script: Script, _site: Site) -> Iterator[Finding]:
    """Our own: ranks come from the scheduler's launcher, or all work is on one shared node."""
    launcher = script.scheduler.launcher
    for command in script.commands:
        if command.has("nnlc.worker") and command.program != launcher:
            problem = f"{command.program or 'the script'} starts nnlc.worker without {launcher}"
            yield Finding(command.line, problem, f"start it with {launcher}, one rank a GPU")
            return
    if script.worker is None:
        yield Finding(len(script.lines), "nothing starts nnlc.worker", f"start it with {launcher}")


def determinism(script: Script, _site: Site) -> Iterator[Finding]:
    """nnlc.system.environment: the same network gives the same table only with these variables."""
    worker = script.worker
    if worker is None:
        return
    before = [v for v in script.variables if v.line <= worker.line]
    last = {v.name: v for v in (*before, *_set_by_launcher(worker))}
    exported = {v.name for v in before if v.exported} | {v.name for v in _set_by_launcher(worker)}
    for name, value in DETERMINISM.items():
        if name not in exported:
            problem = f"{name} is not exported before {worker.command.program}"
            yield Finding(worker.line, problem, f"write export {name}={value} above it")
        elif last[name].value != value:
            problem = f"{name} is {last[name].value!r}: tables would differ from those elsewhere"
            yield Finding(last[name].line, problem, f"it must be {value!r}")


def _set_by_launcher(worker: Launch) -> list[Variable]:
    """Variables that are set for the ranks alone: in front of the launcher, or by jsrun's -E."""
    found = list(worker.command.variables)
    for option in worker.options:
        name, equals, value = (option.value or "").partition("=")
        if option.name == "env" and equals:
            found.append(Variable(name, value, option.line))
    return found


_LEFT_ALONE = {
    "CUDA_VISIBLE_DEVICES": "is set over the launcher's, which gives each rank its own GPU",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "takes multiprocessors away, and tables differ",
    "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "takes memory away, other algorithms are chosen, and "
    "tables differ",
}
"""Variables that a script must not set, and what each does."""


def devices(script: Script, _site: Site) -> Iterator[Finding]:
    """srun(1), --gpus-per-task, and jsrun(1): the launcher says which GPU a rank sees.

    docs.nvidia.com/deploy/mps: clients that are given a part of a GPU see no more than that.
    """
    found = [*script.variables, *(v for c in script.commands for v in c.variables if c.words)]
    if script.worker:
        found += _set_by_launcher(script.worker)
    for variable in found:
        if variable.name in _LEFT_ALONE:
            problem = f"{variable.name} {_LEFT_ALONE[variable.name]}"
            yield Finding(variable.line, problem, "leave it out")
            return


def shared_gpus(script: Script, site: Site) -> Iterator[Finding]:
    """docs.nvidia.com/deploy/mps: without the service, processes on a GPU take turns."""
    trainers = script.worker and script.worker.argument("trainers")
    if script.scheduler.runs_mps or site.device == "cpu" or not script.worker or not trainers:
        return
    if (whole(trainers.value) or 0) > 1 and not script.worker.argument("mps"):
        problem = f"{trainers.value} trainers take turns on each GPU"
        right = "add --mps, if it is NVIDIA's and the site lets you"
        yield Finding(trainers.line, problem, right, note=True)


def replaced(script: Script, _site: Site) -> Iterator[Finding]:
    """bash(1), exec: what it starts takes the script's place, and no trap of the script runs."""
    end = script.worker.line if script.worker else len(script.lines)
    for number, line in enumerate(script.lines[: end - 1], 1):
        if found := re.match(r"\s*exec\s+([^\s<>&{0-9-]\S*)", line):
            problem = f"the script ends here, since exec puts {found[1]} in its place"
            yield Finding(number, problem, "leave exec out")


def waited_for(script: Script, _site: Site) -> Iterator[Finding]:
    """bash(1): a script ends without its background commands, and the job with the script."""
    worker = script.worker
    if worker is None or not worker.command.background:
        return
    if not any(c.program == "wait" and c.line >= worker.line for c in script.commands):
        program = worker.command.program
        yield Finding(
            worker.line, f"nothing waits for {program}: the job ends at once", "write wait below it"
        )


def heard(script: Script, signal: str, line: int) -> Iterator[Finding]:
    """bash(1), "Signals": a trap runs when the command in the foreground has ended, not before."""
    if signal not in script.traps:
        yield Finding(line, f"no trap hears {signal}", f"write trap COMMAND {signal}")
    worker = script.worker
    if worker and not worker.command.background:
        program = worker.command.program
        yield Finding(
            worker.line,
            f"{program} runs in the foreground: bash hears {signal} only after it",
            "end the command with & and write wait below it",
        )


COMMON: tuple[Rule, ...] = (
    *(shebang, line_ends, syntax, known_directives, known_options, worker_is_launched),
    *(values, repeated, determinism, devices, shared_gpus, replaced, waited_for),
)
