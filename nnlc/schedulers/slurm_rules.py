"""Rules for Slurm's job scripts, from sbatch(1) and srun(1)."""

import re

from nnlc.schedulers.job_rules import JobRules
from nnlc.schedulers.options import Option, whole
from nnlc.schedulers.rules import Finding, Findings
from nnlc.schedulers.script import signal_name

LONGEST_NOTICE_SECONDS = 65535
NOTICES = ("URG", "TERM", "INT", "USR1", "USR2")
"""Signals that ranks listen for."""
_A_RANK_EACH = "{} GPUs per node, one rank each"


class SlurmRules(JobRules):
    """Rules for directives of sbatch, and for the steps that srun starts."""

    def check_tasks(self) -> Findings:
        """Check for one rank per GPU: as many tasks as GPUs, per node and in total."""
        each = self.site.gpus_per_node
        found = {"ntasks": self.ranks, "ntasks-per-node": each}
        if all(self.directives.get(name) is None for name in found):
            yield self.missing("ntasks", self.ranks or "RANKS")
        for name, right in found.items():
            yield from _differs(self.directives.get(name), right, _A_RANK_EACH.format(each))

    def check_gpus(self) -> Findings:
        """Check for one GPU per rank: a job must ask for GPUs to see any (sbatch(1), srun(1))."""
        if self.site.device == "cpu":
            return
        each = self.site.gpus_per_node
        right = {"gpus-per-node": each, "gres": each, "gpus": self.ranks}
        right |= {"gpus-per-task": 1, "ntasks-per-gpu": 1}
        found = [*self.directives, *(self.worker.options if self.worker else ())]
        asked = [o for o in found if o.name in right and (o.name != "gres" or _gpus_of(o))]
        for option in asked:
            yield from _differs(option, right[option.name], _A_RANK_EACH.format(each))
        if self.site.device == "cuda" and not any(o in asked for o in self.directives):
            problem = "no --gpus-per-node: ranks would see no GPU"
            yield self.missing("gpus-per-node", each, problem)

    def check_memory(self) -> Findings:
        """Check who decides about memory: Slurm's DefMemPerCPU is often small (slurm.conf(5))."""
        names = ("mem", "mem-per-cpu", "mem-per-gpu", "exclusive")
        if self.site.exclusive is None and not any(map(self.directives.get, names)):
            yield Finding(
                self.head,
                "no --mem and no --exclusive: the cluster's default decides the memory, often 1 GB "
                "a core",
                "write memory_gigabytes_per_node or exclusive into the site file",
                note=True,
            )

    def check_notice(self) -> Findings:
        """Check who gets --signal: with B: the batch shell alone, else the steps (sbatch(1))."""
        option = self.directives.get("signal")
        if option is None:
            return
        found = re.fullmatch(r"(?:([RB]{1,2}):)?(\w+)(?:@([0-9]+))?", option.value or "")
        if found is None or int((found[3] or "60")[:9]) > LONGEST_NOTICE_SECONDS:
            remedy = f"it must be as B:URG@300, with at most {LONGEST_NOTICE_SECONDS} seconds"
            yield Finding(option.line, f"--signal is {option.value!r}", remedy)
            return
        signal = signal_name(found[2])
        yield from self.too_short(option, int(found[3] or 60) / 60)
        if "B" in (found[1] or ""):
            yield from self.heard(signal, option.line)
        elif signal in self.script.traps:
            problem = f"the trap of {signal} never runs: without B: only the steps get it"
            yield Finding(option.line, problem, f"write --signal=B:{option.value}")
        elif signal not in NOTICES:
            remedy = f"it must be one of {', '.join(NOTICES)}"
            yield Finding(option.line, f"ranks don't know {signal}", remedy)
        else:
            problem = "the ranks get the signal, the script does not"
            remedy = "right if the script has nothing to do then"
            yield Finding(option.line, problem, remedy, note=True)

    def check_requeue(self) -> Findings:
        """Check that a job that starts again appends to its log (sbatch(1), --open-mode)."""
        again, never = self.directives.get("requeue"), self.directives.get("no-requeue")
        mode = self.directives.get("open-mode")
        if again and (mode is None or mode.value != "append"):
            problem = "--requeue without --open-mode=append: each start empties the log"
            yield Finding(again.line, problem, "write #SBATCH --open-mode=append")
        for command in self.script.commands:
            if never and not again and command.program == "scontrol" and command.has("requeue"):
                yield Finding(command.line, "--no-requeue forbids this", "write #SBATCH --requeue")

    def check_step(self) -> Findings:
        """Check the step: since 22.05 srun ignores the job's --cpus-per-task (srun(1), -c)."""
        worker = self.worker
        if worker is None:
            return
        cores, mine = self.directives.get("cpus-per-task"), worker.options.get("cpus-per-task")
        if mine is None:
            right = (
                f"write srun --cpus-per-task={cores.value if cores else self.site.cores_per_rank}"
            )
            problem = "srun without --cpus-per-task gives each rank one core"
            yield Finding(worker.line, problem, right)
        elif cores is not None:
            yield from _differs(mine, cores.number, "as in the directives")
        yield from _differs(worker.options.get("ntasks"), self.ranks, "one rank per GPU")
        each = self.site.gpus_per_node
        yield from _differs(worker.options.get("ntasks-per-node"), each, "one rank per GPU")
        yield from _differs(worker.options.get("nodes"), self.nodes, "all of the job's")
        if limit := worker.options.get("time"):
            yield Finding(limit.line, "srun --time ends ranks without a warning", "leave it out")

    def check_export(self) -> Findings:
        """Check that ranks get the script's variables (srun(1), --export and SLURM_EXPORT_ENV)."""
        if self.worker is None:
            return
        passed = self.worker.options.get("export")
        if passed is None and "SLURM_EXPORT_ENV" not in self.script.text:  # nnlc's unset it
            passed = self.directives.get("export")
        if passed and "ALL" not in (passed.value or "").split(","):
            problem = f"--export={passed.value} hides the script's variables from the ranks"
            yield Finding(passed.line, problem, "write srun --export=ALL")


def _differs(option: Option | None, right: int | None, why: str) -> Findings:
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
