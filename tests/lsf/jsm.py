"""What jsrun takes and what it refuses on Summit's nodes; the tasks run on this machine.

An MPI program, which is any Python, is started with the mpich wheel's mpirun; anything else once a
task, one after another. Nodes are pretended: a rank of an MPI program has the name of its node as
host name, if this user may give it one.
"""

import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "standins"))
from standin_folder import hand_on, mpirun, named, parent, processes

CORES, GPUS = 42, 6
"""Of a node."""
LETTERS = {
    "n": "nrs",
    "a": "tasks_per_rs",
    "c": "cpu_per_rs",
    "g": "gpu_per_rs",
    "r": "rs_per_host",
    "b": "bind",
    "d": "launch_distribution",
    "l": "latency_priority",
    "E": "env",
    "M": "smpiargs",
    "p": "np",
    "e": "stdio_mode",
    "o": "stdio_stdout",
    "k": "stdio_stderr",
    "X": "exit_on_error",
    "x": "exclude_hosts",
}
NAMES = set(LETTERS.values())
FORMS = {
    "bind": r"none|rs|packed:\d+",
    "launch_distribution": r"packed|cyclic|plane:\d+",
    "latency_priority": r"(?i:gpu-cpu|cpu-cpu|cpu-mem|gpu-gpu)(,(?i:gpu-cpu|cpu-cpu|cpu-mem))*",
    "stdio_mode": "individual|collected|prepended",
}
PASSED_ON = ("INT", "TERM", "USR1", "USR2", "URG", "HUP")


class RefusalError(Exception):
    """jsrun says this and starts nothing."""


@dataclass
class Step:
    """What to start, and where."""

    tasks: int
    per_host: int
    hosts: list[str]
    """Nodes that may have tasks."""
    command: list[str]
    variables: dict[str, str]
    options: dict[str, str]


def main(words: list[str]) -> int:
    try:
        step = read(words)
    except RefusalError as refusal:
        print(f"Error: {refusal}", file=sys.stderr)
        return 1
    if Path(step.command[0]).name.startswith("python"):
        return run_ranks(step)
    return run_tasks(step)


def read(words: list[str]) -> Step:
    """The step that a command line describes, if the job's nodes have room for it."""
    if "LSB_JOBID" not in os.environ:
        raise RefusalError("jsrun must be started within a job")
    options, variables, at = {}, {}, 0
    while at < len(words) and words[at].startswith("-"):
        name, value = _split(words[at])
        at += 1
        if value is None:
            if at == len(words):
                raise RefusalError(f"option {name} needs a value")
            value, at = words[at], at + 1
        if name == "env":
            key, equals, text = value.partition("=")
            variables[key] = text if equals else os.environ.get(key, "")
        elif name in options:
            raise RefusalError(f"option {name} is given twice")
        options[name] = value
    if at == len(words):
        raise RefusalError("no program is given")
    for name, form in FORMS.items():
        if name in options and not re.fullmatch(form, options[name]):
            raise RefusalError(f"invalid value for {name}: {options[name]}")
    hosts = _hosts(options)
    tasks, per_host = _room(options, words[at:], len(hosts))
    return Step(tasks, per_host, hosts, words[at:], variables, options)


def _hosts(options: dict[str, str]) -> list[str]:
    """The job's nodes without those of --exclude_hosts=NAME,NAME, as LLNL's SCR gives them.

    github.com/LLNL/scr, scripts/LSF/scr_jsrun.in, tried on a machine with nodes switched off.
    † What jsrun says of a name that the job does not have was found nowhere: it is refused here.
    """
    hosts = Path(os.environ["LSB_DJOB_HOSTFILE"]).read_text().split()
    nodes = list(dict.fromkeys(hosts[1:]))  # the first is the launch node
    without = options["exclude_hosts"].split(",") if "exclude_hosts" in options else []
    if wrong := set(without) - set(nodes):
        raise RefusalError(f"no host of this job: {', '.join(sorted(wrong))}")
    return [node for node in nodes if node not in without]


def _split(word: str) -> tuple[str, str | None]:
    """An option's long name, and its value if it stands in the same word."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if name not in NAMES:
            raise RefusalError(f"unrecognized option '{word}'")
        return name, value if equals else None
    if word[1:2] not in LETTERS:
        raise RefusalError(f"invalid option -- '{word[1:2]}'")
    value = word[2:]
    if value.startswith("="):
        raise RefusalError(f"invalid value for {LETTERS[word[1]]}: {value}")
    return LETTERS[word[1]], value or None


def _number(options: dict[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdigit():
        raise RefusalError(f"invalid value for {name}: {text}")
    return int(text)


def _room(options: dict[str, str], command: list[str], nodes: int) -> tuple[int, int]:
    """Tasks altogether and on a node.

    Raises:
        RefusalError: the resource sets don't fit onto the job's nodes.
    """
    cores, gpus = _number(options, "cpu_per_rs", 1), _number(options, "gpu_per_rs", 0)
    tasks = _number(options, "tasks_per_rs", 1)
    if cores < 1 or tasks < 1:
        raise RefusalError("a resource set needs at least one core and one task")
    if "nnlc.worker" in command and gpus < 1:
        raise RefusalError("no GPU for a program that wants one: -g 0 is the default, write -g 1")
    fit = min(CORES // cores, GPUS // gpus if gpus else CORES)
    per_host = _number(options, "rs_per_host", fit)
    sets = _number(options, "nrs", per_host * nodes)
    if not 0 < per_host <= fit or not 0 < sets <= per_host * nodes:
        raise RefusalError(
            f"It is not possible to create {sets} resource sets, {per_host} on a host, with "
            f"{cores} cores and {gpus} gpus each: {nodes} hosts have {CORES} cores and {GPUS} gpus"
        )
    return sets * tasks, min(per_host, sets) * tasks


def run_ranks(step: Step) -> int:
    """Start an MPI program, and pass on to its ranks what this process is told.

    mpirun itself would take LSF's variables for a cluster to log into, ignores SIGURG and dies of
    SIGUSR2; so it never sees any of them.
    """
    mark = f"LSF_STANDIN_STEP={secrets.token_hex(8)}"
    of_lsf = {k: v for k, v in os.environ.items() if k.startswith(("LSB_", "LS_"))}
    environment = {k: v for k, v in os.environ.items() if k not in of_lsf} | step.variables
    shown = [f"{key}={value}" for key, value in of_lsf.items()]
    command = [mpirun()]
    for task in range(step.tasks):
        node = named(step.hosts[task // step.per_host])  # -d packed
        command += [*([":"] if task else []), "-n", "1", "env", mark, *shown, *node, *step.command]
    out, err = (_file(step, name) for name in ("stdio_stdout", "stdio_stderr"))
    hand_on(PASSED_ON, lambda: rank_ids(mark))  # before any rank tells a test that it is there
    ranks = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )
    status = ranks.wait()
    return 128 - status if status < 0 else status


def _file(step: Step, name: str):
    path = step.options.get(name)
    return Path(path).open("ab") if path else None


def rank_ids(mark: str) -> list[int]:
    """Process ids of a step's ranks, without whatever they have started."""
    return [pid for pid in processes(mark) if name(parent(pid)).startswith("hydra_pmi")]


def name(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "comm").read_text()
    except OSError:
        return ""


def run_tasks(step: Step) -> int:
    """Start any other program, once a task, one after another."""
    worst = 0
    for task in range(step.tasks):
        places = {
            "JSM_NAMESPACE_RANK": str(task),
            "JSM_NAMESPACE_SIZE": str(step.tasks),
            "JSM_NAMESPACE_LOCAL_RANK": str(task % step.per_host),
        }
        status = subprocess.call(step.command, env={**os.environ, **step.variables, **places})
        worst = worst or (128 - status if status < 0 else status)
    return worst
