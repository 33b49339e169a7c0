"""Rules for LSF's job scripts, from Summit's user guide and IBM's manual pages."""

import re
from itertools import pairwise

from nnlc.schedulers.job_rules import JobRules
from nnlc.schedulers.options import Word
from nnlc.schedulers.rules import Finding, Findings
from nnlc.schedulers.script import Command, is_redirection, signal_name

NOTICE = "URG"
"""Signal of the warning: LSF sends it to all processes, and most programs ignore it."""
_PRINTERS = ("echo", "end_job", "printf", "export", "declare", "readonly", "trap")
"""Commands whose arguments are not files."""


class LsfRules(JobRules):
    """Rules for directives of bsub, and for commands on the launch node and under jsrun."""

    def check_easy_mode(self) -> Findings:
        """Check that -n and -R are not used with -nnodes (Summit User Guide, "Easy Mode")."""
        expert = self.directives.get("csm")
        for option in self.directives:
            if option.known and option.name in ("n", "R") and not (expert and expert.value == "y"):
                problem = f"LSF refuses -{option.name} together with -nnodes"
                yield Finding(option.line, problem, "leave it out: -nnodes gives whole nodes")

    def _flags(self) -> list[str]:
        """Return the words of -alloc_flags, in lower case."""
        option = self.directives.get("alloc_flags")
        return (option.value or "").lower().split() if option else []

    def check_notice(self) -> Findings:
        """Check -wa and -wt, which need each other (bsub(1); AMReX's notes say why URG)."""
        action, minutes = self.directives.get("wa"), self.directives.get("wt")
        if action is None or minutes is None:
            for option, other in ((action, "-wt MINUTES"), (minutes, f"-wa {NOTICE}")):
                if option:
                    yield Finding(option.line, f"{option} has no effect alone", f"add {other}")
            return
        signal = signal_name(action.value or "")
        if signal != NOTICE:
            problem = f"-wa {signal} reaches every process and ends those that don't handle it"
            yield Finding(action.line, problem, f"write -wa {NOTICE}, which they ignore")
        before = self.scheduler.minutes(minutes.value or "")
        if not before:
            problem = f"-wt is {minutes.value!r}"
            yield Finding(minutes.line, problem, "it must be [hours:]minutes")
        else:
            yield from self.too_short(minutes, before)
        yield from self.heard(signal, action.line)

    def check_tmpdir(self) -> Findings:
        """Check that TMPDIR is not set: jsrun fails then (Summit User Guide)."""
        lines = [each.line for each in self.script.variables if each.name == "TMPDIR"]
        directives = [o for o in self.directives if o.name == "env"]
        lines += [option.line for option in directives if "TMPDIR" in (option.value or "")]
        for line in lines:
            yield Finding(line, "TMPDIR is set", "leave it to the system")

    def check_chain(self) -> Findings:
        """Check bsub -w: after a timeout done() never becomes true (bsub(1))."""
        for command in self.script.commands:
            if command.program != "bsub":
                continue
            options, rest = self.scheduler.directive_options.read(command.words[1:])
            after = next((option for option in options if option.name == "w"), None)
            if after and "ended(" not in (after.value or "").replace(" ", ""):
                problem = f"-w {after.value!r} never becomes true after a timeout"
                yield Finding(after.line, problem, 'write -w "ended(ID)"')
            if any(word.text == "<" for word in rest) != self.site.submit.endswith("<"):
                problem = f"{self.site.name} submits with {self.site.submit} FILE"
                yield Finding(command.line, problem, "write this command")

    def check_resource_sets(self) -> Findings:
        """Check the resource sets: by default each has one core and no GPU (jsrun(1))."""
        worker, each, cores = self.worker, self.site.gpus_per_node, self.site.cores_per_rank
        if worker is None:
            return
        said = {"nrs": "-n", "rs_per_host": "-r", "tasks_per_rs": "-a"}
        said |= {"cpu_per_rs": "-c", "gpu_per_rs": "-g"}
        missing = [letter for name, letter in said.items() if worker.options.get(name) is None]
        if missing:
            remedy = f"write jsrun -n RANKS -r {each} -a 1 -c {cores} -g 1"
            yield Finding(worker.line, f"jsrun without {' '.join(missing)}", remedy)
        if worker.options.number("gpu_per_rs") == 0 and self.site.device != "cpu":
            yield self._at("gpu_per_rs", "-g 0 gives ranks no GPU", "write -g 1")
        sets, on_node, tasks, of_rank = (worker.options.number(name) for name in list(said)[:4])
        if sets and tasks and self.ranks and sets * tasks != self.ranks:
            problem = f"jsrun starts {sets * tasks} ranks"
            yield self._at("nrs", problem, f"it must be {self.ranks}: one rank per GPU")
        if on_node and tasks and on_node * tasks != each:
            problem = f"jsrun puts {on_node * tasks} ranks on a node"
            yield self._at("rs_per_host", problem, f"it must be {each}")
        if on_node and of_rank and on_node * of_rank > each * cores:
            problem = f"jsrun wants {on_node * of_rank} cores of a node"
            yield self._at("cpu_per_rs", problem, f"the node has {each * cores}")

    def _at(self, name: str, problem: str, remedy: str) -> Finding:
        """Return a finding on an option of jsrun, or on jsrun itself if the option is missing."""
        option = self.worker and self.worker.options.get(name)
        line = self.worker.line if self.worker else 1
        return Finding(option.line if option else line, problem, remedy)

    def check_layout(self) -> Findings:
        """Check -b, -l and --smpiargs (jsrun(1); Summit User Guide, "Known Issues")."""
        worker = self.worker
        if worker is None:
            return
        bind, order, mpi = map(worker.options.get, ("bind", "latency_priority", "smpiargs"))
        packed = bind is None or bind.value == "packed:1"
        if packed and (worker.options.number("cpu_per_rs") or 0) > 1:
            problem = "-b packed:1, the default, gives a rank only one of its cores"
            yield self._at("bind", problem, "write -b rs")
        if order and order.value != (order.value or "").lower():
            problem = f"-l {order.value}: in capitals it may give the wrong cores, or fail"
            yield Finding(order.line, problem, f"write -l {(order.value or '').lower()}")
        if mpi and "-gpu" in (mpi.value or "").split():
            problem = "--smpiargs=-gpu is for messages in GPU memory, which nnlc never sends"
            yield Finding(mpi.line, problem, "write --smpiargs=-disable_gpu_hooks")

    def check_shared_gpus(self) -> Findings:
        """Check for gpumps if processes share a GPU (Summit User Guide, "MPS")."""
        worker = self.worker
        if worker is None:
            return
        remedy = 'write gpumps into -alloc_flags, as "NVME smt1 gpumps"'
        if own := worker.arguments.get("mps"):
            problem = "--mps starts another service for each rank, but the system has one"
            yield Finding(own.line, problem, f"leave it out; {remedy}")
        if "gpumps" in self._flags():
            return
        problem = "several processes share a GPU that allows only one"
        trainers = worker.arguments.get("trainers")
        if trainers and (trainers.number or 0) > 1:
            yield Finding(trainers.line, problem, remedy)
        elif (worker.options.number("tasks_per_rs") or 0) > 1:
            yield self._at("tasks_per_rs", problem, remedy)

    def check_launch_node(self) -> Findings:
        """Check that nothing long runs on the launch node, which many users share."""
        for command in self.script.commands:
            ours = command.program == "nnlc" or command.has("nnlc")
            if ours and command.program.startswith(("nnlc", "python")):
                problem = f"{self.site.name} runs this on the launch node, which many users share"
                remedy = "do it before the job, or start it with jsrun"
                yield Finding(command.line, problem, remedy)

    def check_local_disk(self) -> Findings:
        """Check that only jsrun uses a node's disk, and for nvme ("Burst Buffer")."""
        disk = self.site.local_disk
        if disk is None:
            return
        names = {each.name for each in self.script.variables if _plain(disk) in _plain(each.value)}
        place = "|".join([re.escape(_plain(disk)), *(rf"\${name}\b" for name in names)])
        used = [
            (command, word)
            for command in self.script.commands
            for word in [w for w in _files(command) if re.search(place, _plain(w.text))][:1]
        ]
        for command, word in used:
            if command.program != "jsrun":
                problem = f"{command.program} can't see {disk}: it runs on the launch node"
                yield Finding(word.line, problem, "start it with jsrun, once per node")
        if used and "nvme" not in self._flags():
            problem = f"{disk} is used, and -alloc_flags does not ask for it"
            yield Finding(used[0][1].line, problem, 'write #BSUB -alloc_flags "NVME smt1"')


def _plain(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", r"$\1", text)


def _files(command: Command) -> list[Word]:
    """Return the words that may be files: if the command prints, only targets of redirections."""
    if command.program in _PRINTERS:
        return [after for before, after in pairwise(command.words) if is_redirection(before)]
    return list(command.words)
