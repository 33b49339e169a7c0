"""What LSF and jsrun demand of a job script, as Summit's guide and IBM's manual pages say."""

import re
from collections.abc import Iterator
from itertools import pairwise

from nnlc.schedulers.contradictions import check_array, shared_out, too_long, too_short
from nnlc.schedulers.options import BSUB, Option, Word
from nnlc.schedulers.rules import Finding, Rule, head, heard, indices, whole
from nnlc.schedulers.script import Launch, Script, signal_name
from nnlc.schedulers.shell import Command
from nnlc.schedulers.site import Site

NOTICE = "URG"
"""Whatever does not know of it ignores it; LSF sends it to every process of the job."""


def account(script: Script, site: Site) -> Iterator[Finding]:
    """Summit User Guide, "Batch Scripts": -P is required."""
    if site.account_required and script.option("P") is None:
        problem = f"{site.name} starts no job without -P"
        yield Finding(head(script), problem, "write #BSUB -P YOUR_PROJECT")


def nodes(script: Script, _site: Site) -> Iterator[Finding]:
    """Summit User Guide, "Batch Scripts": -nnodes is required."""
    option = script.option("nnodes")
    if option is None:
        yield Finding(head(script), "no -nnodes", "write #BSUB -nnodes N")
    elif not whole(option.value):
        yield Finding(option.line, f"-nnodes is {option.value!r}", "it must be a number from 1")


def _nodes(script: Script) -> int | None:
    option = script.option("nnodes")
    return whole(option.value) or None if option else None


def walltime(script: Script, site: Site) -> Iterator[Finding]:
    """bsub(1), -W, [hours:]minutes; Summit User Guide, "Scheduling Policy": the bins."""
    option = script.option("W")
    if option is None:
        yield Finding(head(script), "no -W", "write #BSUB -W HOURS:MINUTES")
        return
    minutes = script.scheduler.minutes(option.value or "")
    if not minutes:
        right = "it must be [hours:]minutes: LSF has no seconds"
        yield Finding(option.line, f"-W is {option.value!r}", right)
        return
    yield from too_long(script, site, option, minutes, script.option("nnodes"))


def easy_mode(script: Script, _site: Site) -> Iterator[Finding]:
    """Summit User Guide, "Easy Mode vs. Expert Mode": -n and -R are refused beside -nnodes."""
    expert = script.option("csm")
    for option in script.directives:
        if option.known and option.name in ("n", "R") and not (expert and expert.value == "y"):
            problem = f"-{option.name} is refused beside -nnodes"
            yield Finding(option.line, problem, "leave it out: -nnodes gives whole nodes")


def _flags(script: Script) -> list[str]:
    """The words of -alloc_flags, in lower case."""
    option = script.option("alloc_flags")
    return (option.value or "").lower().split() if option else []


def notice(script: Script, _site: Site) -> Iterator[Finding]:
    """bsub(1), -wa and -wt: each needs the other. AMReX's workflow notes: why URG."""
    action, minutes = script.option("wa"), script.option("wt")
    if action is None or minutes is None:
        for option, other in ((action, "-wt MINUTES"), (minutes, f"-wa {NOTICE}")):
            if option:
                yield Finding(option.line, f"-{option.name} has no effect alone", f"add {other}")
        return
    signal = signal_name(action.value or "")
    if signal != NOTICE:
        problem = f"-wa {signal} reaches every process and ends those that don't know it"
        yield Finding(action.line, problem, f"write -wa {NOTICE}, which they ignore")
    before, limit = script.scheduler.minutes(minutes.value or ""), script.option("W")
    if not before:
        yield Finding(minutes.line, f"-wt is {minutes.value!r}", "it must be [hours:]minutes")
    else:
        length = script.scheduler.minutes((limit and limit.value) or "")
        yield from too_short(script.scheduler, limit, length, minutes, before)
    yield from heard(script, signal, action.line)


def tmpdir(script: Script, _site: Site) -> Iterator[Finding]:
    """Summit User Guide: a job never exports it; jsrun fails then."""
    for variable in script.variables:
        if variable.name == "TMPDIR":
            yield Finding(variable.line, "TMPDIR is set", "leave it to the system")
    for option in script.directives:
        if option.name == "env" and "TMPDIR" in (option.value or ""):
            yield Finding(option.line, "TMPDIR is set", "leave it to the system")


def array(script: Script, site: Site) -> Iterator[Finding]:
    """bsub(1), -J: indices from 1, so many as MAX_JOB_ARRAY_SIZE; %I tells their logs apart."""
    option = script.option("J")
    found = re.fullmatch(r"[^\[\]]*\[(.*)\](?:%([0-9]+))?", (option and option.value) or "")
    if option is None or (found is None and "[" not in (option.value or "")):
        yield from shared_out(script, head(script), None)
        return
    listed = indices(found[1]) if found else None
    if listed is None or listed[1] < 1:
        yield Finding(option.line, f"-J is {option.value!r}", "it must be as NAME[1-9], from 1 on")
        return
    yield from check_array(script, site, option, listed, max(listed[0], listed[2]))
    for name in ("o", "e"):
        log = script.option(name)
        if log and listed[0] > 1 and "%I" not in (log.value or ""):
            yield Finding(log.line, "all elements write to one file", "name it with %J and %I")


def chain(script: Script, site: Site) -> Iterator[Finding]:
    """bsub(1), -w: done() never comes true after a timeout; and the site's way to submit."""
    for command in script.commands:
        if command.program != "bsub":
            continue
        options, rest = BSUB.parse(command.words[1:])
        after = next((option for option in options if option.name == "w"), None)
        if after and "ended(" not in (after.value or "").replace(" ", ""):
            problem = f"-w {after.value!r} does not come true after a timeout"
            yield Finding(after.line, problem, 'write -w "ended(ID)"')
        reads = any(word.operator and word.text == "<" for word in rest)
        if reads != site.submit.endswith("<"):
            yield Finding(command.line, f"{site.name} wants {site.submit} FILE", "write it so")


def resource_sets(script: Script, site: Site) -> Iterator[Finding]:
    """jsrun(1): by default a resource set has one core and no GPU."""
    worker = script.worker
    if worker is None:
        return
    said = {"nrs": "-n", "rs_per_host": "-r", "tasks_per_rs": "-a"}
    said |= {"cpu_per_rs": "-c", "gpu_per_rs": "-g"}
    missing = [letter for name, letter in said.items() if worker.option(name) is None]
    if missing:
        right = f"-r {site.gpus_per_node} -a 1 -c {site.cores_per_rank} -g 1"
        problem = f"jsrun without {' '.join(missing)}"
        yield Finding(worker.line, problem, f"write jsrun -n RANKS {right}")
    gpus = worker.option("gpu_per_rs")
    if gpus and whole(gpus.value) == 0 and site.device != "cpu":
        yield Finding(gpus.line, "-g 0 gives ranks no GPU", "write -g 1")
    yield from _layout(script, worker, site)


def _layout(script: Script, worker: Launch, site: Site) -> Iterator[Finding]:
    """One rank a GPU, and no more cores than a node has."""
    sets, each, tasks, cores = (
        _number(worker.option(name))
        for name in ("nrs", "rs_per_host", "tasks_per_rs", "cpu_per_rs")
    )
    count, all_cores = _nodes(script), site.gpus_per_node * site.cores_per_rank
    if sets and tasks and count and sets * tasks != count * site.gpus_per_node:
        ranks = count * site.gpus_per_node
        problem = f"jsrun starts {sets * tasks} ranks"
        yield Finding(_line(worker, "nrs"), problem, f"it must be {ranks}: a rank a GPU")
    if each and tasks and each * tasks != site.gpus_per_node:
        problem = f"jsrun puts {each * tasks} ranks on a node"
        yield Finding(_line(worker, "rs_per_host"), problem, f"it must be {site.gpus_per_node}")
    if each and cores and each * cores > all_cores:
        problem = f"jsrun wants {each * cores} cores of a node"
        yield Finding(_line(worker, "cpu_per_rs"), problem, f"it has {all_cores}")


def _number(option: Option | None) -> int | None:
    return whole(option.value) if option else None


def _line(worker: Launch, name: str) -> int:
    option = worker.option(name)
    return option.line if option else worker.line


def layout_words(script: Script, _site: Site) -> Iterator[Finding]:
    """jsrun(1), -b; Summit User Guide, "Known Issues", of -l, and "CUDA-Aware MPI"."""
    worker = script.worker
    if worker is None:
        return
    bind, order, mpi = (worker.option(n) for n in ("bind", "latency_priority", "smpiargs"))
    if (bind is None or bind.value == "packed:1") and (
        _number(worker.option("cpu_per_rs")) or 0
    ) > 1:
        problem = "-b packed:1, the default, leaves a rank one of its cores"
        yield Finding(bind.line if bind else worker.line, problem, "write -b rs")
    if order and order.value != (order.value or "").lower():
        problem = f"-l {order.value}: in capitals it may give the wrong cores, or fail"
        yield Finding(order.line, problem, f"write -l {(order.value or '').lower()}")
    if mpi and "-gpu" in (mpi.value or "").split():
        problem = "--smpiargs=-gpu is for an MPI that is handed GPU memory; ours never is"
        yield Finding(mpi.line, problem, "write --smpiargs=-disable_gpu_hooks")


def shared_gpus(script: Script, _site: Site) -> Iterator[Finding]:
    """Summit User Guide, "MPS": a GPU takes one process, unless -alloc_flags says gpumps."""
    worker = script.worker
    if worker is None:
        return
    right = 'write gpumps into -alloc_flags, as "NVME smt1 gpumps"'
    if own := worker.argument("mps"):
        problem = "--mps starts a service of the rank's own, where the system has one"
        yield Finding(own.line, problem, f"leave it out; {right}")
    if "gpumps" in _flags(script):
        return
    trainers = worker.argument("trainers")
    many = trainers is not None and (whole(trainers.value) or 0) > 1
    if many or (_number(worker.option("tasks_per_rs")) or 0) > 1:
        line = trainers.line if many and trainers else _line(worker, "tasks_per_rs")
        yield Finding(line, "several processes share a GPU that takes one", right)


def launch_node(script: Script, site: Site) -> Iterator[Finding]:
    """Summit User Guide, "Login, Launch, and Compute Nodes": many users share the launch node."""
    for command in script.commands:
        ours = command.program == "nnlc" or command.has("nnlc")
        if ours and command.program.startswith(("nnlc", "python")):
            problem = f"{site.name} runs this on the launch node, which many users share"
            yield Finding(command.line, problem, "do it before the job, or start it with jsrun")


def local_disk(script: Script, site: Site) -> Iterator[Finding]:
    """Summit User Guide, "Burst Buffer": made by -alloc_flags nvme, seen by what jsrun starts."""
    if site.local_disk is None:
        return
    place = _plain(site.local_disk)
    names = {v.name for v in script.variables if place in _plain(v.value)}
    first = None
    for command in script.commands:
        touched = next((word for word in _paths(command) if _mentions(word, place, names)), None)
        if touched is None:
            continue
        first = first or touched.line
        if command.program != "jsrun":
            problem = f"{command.program} can't see {site.local_disk}: it runs on the launch node"
            yield Finding(touched.line, problem, "start it with jsrun, once a node")
    if first is not None and "nvme" not in _flags(script):
        problem = f"{site.local_disk} is used, and -alloc_flags does not ask for it"
        yield Finding(first, problem, 'write #BSUB -alloc_flags "NVME smt1"')


def _plain(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", r"$\1", text)


def _paths(command: Command) -> list[Word]:
    """The words that may be files: of what only prints or sets, where its output goes."""
    words = list(command.words)
    if command.program in ("echo", "end_job", "printf", "export", "declare", "readonly", "trap"):
        return [b for a, b in pairwise(words) if a.operator]
    return words


def _mentions(word: Word, place: str, names: set[str]) -> bool:
    text = _plain(word.text)
    return place in text or any(re.search(rf"\${name}\b", text) for name in names)


RULES: tuple[Rule, ...] = (
    *(account, nodes, walltime, easy_mode, notice, tmpdir, array, chain),
    *(resource_sets, layout_words, shared_gpus, launch_node, local_disk),
)
