"""What Slurm demands of a job script."""

import re
from collections.abc import Iterator

from nnlc.schedulers.contradictions import check_array, shared_out, too_long, too_short
from nnlc.schedulers.options import Option
from nnlc.schedulers.rules import Finding, Rule, head, heard, indices, unknowable, whole
from nnlc.schedulers.script import Script, signal_name
from nnlc.schedulers.site import Site

LONGEST_NOTICE_SECONDS = 65535
NOTICES = ("URG", "TERM", "INT", "USR1", "USR2")
"""What ranks listen for."""


def late(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1): no directive is read after the first line that is neither blank nor a comment."""
    for line in script.late_directives:
        problem = "sbatch does not read this directive: a command stands before it"
        yield Finding(line, problem, "move it up to the others")


def account(script: Script, site: Site) -> Iterator[Finding]:
    """The site's own rule, account_required."""
    if site.account_required and script.option("account") is None:
        problem = f"{site.name} starts no job without --account"
        yield Finding(head(script), problem, "write #SBATCH --account=YOUR_PROJECT")


def nodes(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1), -N: without it Slurm chooses; with a range nobody knows how many ranks fit."""
    option = script.option("nodes")
    if option is None:
        yield Finding(head(script), "no --nodes", "write #SBATCH --nodes=N")
    elif not whole(option.value) and not unknowable(option):
        yield Finding(option.line, f"--nodes is {option.value!r}", "it must be one number from 1")


def _nodes(script: Script) -> int | None:
    option = script.option("nodes")
    return whole(option.value) if option else None


def _ranks(script: Script, site: Site) -> int | None:
    count = _nodes(script)
    return None if count is None else count * site.gpus_per_node


def time(script: Script, site: Site) -> Iterator[Finding]:
    """sbatch(1), -t, and the site's bins: a job that asks for more waits for ever."""
    option = script.option("time")
    if option is None:
        problem = "no --time: the partition's default is not the job's"
        yield Finding(head(script), problem, "write #SBATCH --time=HH:MM:SS")
        return
    minutes = script.scheduler.minutes(option.value or "")
    if minutes is None:
        right = "Slurm takes M, M:S, H:M:S, D-H, D-H:M and D-H:M:S"
        yield Finding(option.line, f"--time is {option.value!r}", right)
        return
    yield from too_long(script, site, option, minutes, script.option("nodes"))


def tasks(script: Script, site: Site) -> Iterator[Finding]:
    """One rank a GPU: as many tasks as GPUs, a node and altogether."""
    ranks = _ranks(script, site)
    found = [(script.option("ntasks"), ranks)]
    found.append((script.option("ntasks-per-node"), site.gpus_per_node))
    if all(option is None for option, _ in found):
        yield Finding(head(script), "no --ntasks", f"write #SBATCH --ntasks={ranks or 'RANKS'}")
    for option, right in found:
        yield from _differs(option, right, f"{site.gpus_per_node} GPUs a node, a rank each")


def _differs(option: Option | None, right: int | None, why: str) -> Iterator[Finding]:
    if option is None:
        return
    found = _gpus_of(option) if option.name == "gres" else _last_number(option.value or "")
    if None not in (found, right) and found != right:
        yield Finding(option.line, f"{option} is {option.value}", f"it must be {right}: {why}")


def _gpus_of(option: Option) -> int:
    """Return how many GPUs a --gres asks for; sbatch(1): gpu:a100:2,gpu:2,nvme:1, 1 by default."""
    each = [one for one in (option.value or "").split(",") if one.partition(":")[0] == "gpu"]
    return sum(1 if (n := _last_number(one)) is None else n for one in each)


def _last_number(value: str) -> int | None:
    return whole(value.rpartition(":")[2])


def gpus(script: Script, site: Site) -> Iterator[Finding]:
    """sbatch(1), srun(1): a job that asks for no GPU sees none, and each rank takes one."""
    if site.device == "cpu":
        return
    each = site.gpus_per_node
    right = {"gpus-per-node": each, "gres": each, "gpus": _ranks(script, site)}
    right |= {"gpus-per-task": 1, "ntasks-per-gpu": 1}
    found = [*script.directives, *(script.worker.options if script.worker else ())]
    asked = [o for o in found if o.name in right and (o.name != "gres" or _gpus_of(o))]
    for option in asked:
        yield from _differs(option, right[option.name], f"{each} GPUs a node, a rank each")
    if site.device == "cuda" and not any(option in asked for option in script.directives):
        remedy = f"write #SBATCH --gpus-per-node={each}"
        yield Finding(head(script), "no --gpus-per-node: ranks would see no GPU", remedy)


def array(script: Script, site: Site) -> Iterator[Finding]:
    """sbatch(1), -a: MaxArraySize caps the index, and each element needs a log of its own."""
    option = script.option("array")
    if option is None:
        yield from shared_out(script, head(script), None)
    if option is None or unknowable(option):
        return
    listed, percent, at_once = (option.value or "").partition("%")
    found = indices(listed)
    if found is None or (percent and not whole(at_once)):
        yield Finding(
            option.line, f"--array is {option.value!r}", "it must be as 0-9, 0-9:3 or 1,4%2"
        )
        return
    count, _, high = found
    yield from check_array(script, site, option, found, max(count, high + 1))
    for log in filter(None, map(script.option, ("output", "error"))):
        if count > 1 and not re.search("%[0-9]*[aj]", log.value or ""):
            yield Finding(log.line, "all elements write to one file", "name it with %A_%a")


def notice(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1), --signal: with B: the batch shell alone hears it, without it the steps alone."""
    option = script.option("signal")
    if option is None:
        return
    found = re.fullmatch(r"(?:([RB]{1,2}):)?(\w+)(?:@([0-9]+))?", option.value or "")
    if found is None or int((found[3] or "60")[:9]) > LONGEST_NOTICE_SECONDS:
        right = f"it must be as B:URG@300, with at most {LONGEST_NOTICE_SECONDS} seconds"
        yield Finding(option.line, f"--signal is {option.value!r}", right)
        return
    signal = signal_name(found[2])
    limit = script.option("time")
    minutes = script.scheduler.minutes(limit.value or "") if limit else None
    yield from too_short(script.scheduler, limit, minutes, option, int(found[3] or 60) / 60)
    if "B" in (found[1] or ""):
        yield from heard(script, signal, option.line)
    elif signal in script.traps:
        problem = f"the trap of {signal} never runs: without B: only the steps hear it"
        yield Finding(option.line, problem, f"write --signal=B:{option.value}")
    elif signal not in NOTICES:
        yield Finding(
            option.line, f"ranks don't know {signal}", f"it must be one of {', '.join(NOTICES)}"
        )
    else:
        problem = "the ranks hear it, the script does not"
        yield Finding(
            option.line, problem, "right, if the script has nothing to do then", note=True
        )


def requeue(script: Script, _site: Site) -> Iterator[Finding]:
    """sbatch(1), --requeue and --open-mode: a job that starts again empties its log."""
    again, never = script.option("requeue"), script.option("no-requeue")
    mode = script.option("open-mode")
    if again and (mode is None or mode.value != "append"):
        problem = "--requeue without --open-mode=append: each start empties the log"
        yield Finding(again.line, problem, "write #SBATCH --open-mode=append")
    for command in script.commands:
        if never and not again and command.program == "scontrol" and command.has("requeue"):
            yield Finding(command.line, "--no-requeue forbids this", "write #SBATCH --requeue")


def steps(script: Script, site: Site) -> Iterator[Finding]:
    """srun(1), -c and -n: since 22.05 a step does not inherit the job's --cpus-per-task."""
    worker = script.worker
    if worker is None:
        return
    cores, mine = script.option("cpus-per-task"), worker.option("cpus-per-task")
    if mine is None:
        right = f"write srun --cpus-per-task={cores.value if cores else site.cores_per_rank}"
        yield Finding(worker.line, "srun without --cpus-per-task gives each rank one core", right)
    elif cores is not None:
        yield from _differs(mine, whole(cores.value), "as in the directives")
    yield from _differs(worker.option("ntasks"), _ranks(script, site), "a rank a GPU")
    yield from _differs(worker.option("ntasks-per-node"), site.gpus_per_node, "a rank a GPU")
    yield from _differs(worker.option("nodes"), _nodes(script), "all of the job's")
    if limit := worker.option("time"):
        yield Finding(limit.line, "srun --time ends ranks without a warning", "leave it out")
    ours = "SLURM_EXPORT_ENV" in script.text  # from which srun has the job's --export
    passed = worker.option("export") or (None if ours else script.option("export"))
    if passed and "ALL" not in (passed.value or "").split(","):
        problem = f"--export={passed.value} takes the script's variables away from the ranks"
        yield Finding(passed.line, problem, "write srun --export=ALL")


RULES: tuple[Rule, ...] = (
    *(late, account, nodes, time, tasks, gpus, array, notice, requeue, steps),
)
