"""Rules for PBS's job scripts, from qsub(1B), qdel(1B) and the guides of Polaris and Derecho."""

import re

from nnlc.schedulers.job_rules import JobRules
from nnlc.schedulers.options import Option
from nnlc.schedulers.rules import Finding, Findings

LONGEST_SHOWN_NAME = 15
NOTICE = "TERM"
"""Signal at the walltime and at qdel; SIGKILL follows some seconds later."""


class PbsRules(JobRules):
    """Rules for directives of qsub, and for the ranks that mpiexec starts."""

    def check_chunks(self) -> Findings:
        """Check that each chunk of select is a node with its ranks and GPUs (qsub(1B), -l)."""
        each = self.site.gpus_per_node
        for name in ("mpiprocs", "ngpus"):
            option = self.directives.get(name)
            if name == "ngpus" and self.site.device == "cpu":
                continue
            if option and option.number not in (None, each):
                remedy = f"it must be {each}: one rank per GPU"
                yield Finding(option.line, f"{name} is {option.value}", remedy)
        select = self.directives.get("select")
        if select and self.site.device == "cuda" and self.directives.get("ngpus") is None:
            problem = "select without ngpus: ranks may see no GPU"
            yield Finding(select.line, problem, f"write :ngpus={each} into it")
        for option in self.directives:
            if option.dashes == "-l " and re.search(r"\+\d", option.value or ""):
                problem = f"select asks for different nodes: {option.value}"
                yield Finding(option.line, problem, "ask for nodes of one kind")

    def nodes_form(self) -> str:
        """Return the form of select: nodes, and the chunk of each."""
        site, each = self.site, self.site.gpus_per_node
        chunk = [f"ncpus={each * site.cores_per_rank}", f"mpiprocs={each}"]
        chunk += [f"ngpus={each}"] if site.device == "cuda" else []
        if (memory := site.memory_gigabytes_per_node) is not None:
            chunk.append(f"mem={memory}gb")
        return ":".join(["N", *chunk])

    def check_memory(self) -> Findings:
        """Check who decides about memory: a site's default_chunk.mem is often small."""
        found, wanted = self.directives.get("mem"), self.site.memory_gigabytes_per_node
        select = self.directives.get("select")
        if select is None:
            return
        if found is None and wanted is not None:
            problem = f"{self.site.name} wants {wanted} GB of memory"
            yield Finding(select.line, problem, f"write :mem={wanted}gb into select")
        elif found is None and self.site.exclusive is None:
            yield Finding(
                select.line,
                "select without mem: the cluster's default decides the memory",
                "write memory_gigabytes_per_node or exclusive into the site file",
                note=True,
            )

    def check_resources(self) -> Findings:
        """Check for the resources in the site file's directives, such as filesystems."""
        table = self.scheduler.directive_options
        for text in self.site.directives:
            for option in table.read_line(text, self.head)[0]:
                wanted = option.dashes == "-l " and option.value and "$" not in option.value
                if wanted and self.directives.get(option.name) is None:
                    problem = f"{self.site.name} wants {text}"
                    yield self.missing(option.name, option.value, problem)

    def check_array(self) -> Findings:
        """Check an array: qsub refuses one of a single element, and one that may not run again."""
        option, again = self.directives.get("J"), self.directives.get("r")
        found = re.match(r"(\d{1,9})(?:-(\d{1,9}))?(?=[:%]|$)", (option and option.value) or "")
        if option and found and found[2] in (None, found[1]):
            problem = f"-J is {option.value}: an array has at least two elements"
            yield Finding(option.line, problem, "leave it out, and give --element")
            return
        if option and again and again.value == "n":
            yield Finding(again.line, "an array can't have -r n", "leave it out")
        yield from super().check_array()

    def check_name(self) -> Findings:
        """Check the length of the name, of which qstat shows the beginning."""
        option = self.directives.get("N")
        if option and len(option.value or "") > LONGEST_SHOWN_NAME and not option.must_be:
            problem = f"qstat shows only {LONGEST_SHOWN_NAME} characters of -N {option.value}"
            yield Finding(option.line, problem, "right if you know your jobs by them", note=True)

    def check_folder(self) -> Findings:
        """Check for cd: a job starts in the home directory."""
        worker = self.worker
        if worker and not any(
            command.program == "cd" and command.line <= worker.line
            for command in self.script.commands
        ):
            problem = "the job starts in the home directory, not where it was submitted"
            yield Finding(worker.line, problem, 'write cd "$PBS_O_WORKDIR" above it')

    def check_notice(self) -> Findings:
        """Check that ranks know their end: PBS sends SIGTERM, and SIGKILL after kill_delay."""
        if self.worker is None:
            return
        yield from self.heard(NOTICE, self.worker.line)
        if self.worker.arguments.get("time-left") is None:
            problem = "ranks don't know when the job ends: PBS sends no warning"
            yield Finding(self.worker.line, problem, "add --time-left MINUTES")

    def check_chain(self) -> Findings:
        """Check qsub -W: an unfinished job has failed to afterok, and ended to afterany."""
        for command in self.script.commands:
            if command.program != "qsub":
                continue
            options, _ = self.scheduler.directive_options.read(command.words[1:])
            for option in options:
                if option.name != "W" or not (option.value or "").startswith("depend="):
                    continue
                if not re.match(r"depend=(.*,)?afterany:", option.value or ""):
                    problem = f"-W {option.value} may never let the next job start"
                    yield Finding(option.line, problem, "write -W depend=afterany:ID")

    def check_ranks(self) -> Findings:
        """Check that mpiexec starts one rank a GPU on each node."""
        if self.worker is None:
            return
        each, options = self.site.gpus_per_node, self.worker.options
        if options.get("np") is None:
            yield Finding(self.worker.line, "mpiexec without -n", f"write -n {self.ranks or 'N'}")
        for option, right in ((options.get("np"), self.ranks), (options.get("ppn"), each)):
            if option and right and option.number not in (None, right):
                problem = f"mpiexec {option} is {option.value}"
                yield Finding(option.line, problem, f"it must be {right}: one rank per GPU")
        depth = options.get("depth")
        if depth and depth.number and depth.number > self.site.cores_per_rank:
            yield self._too_deep(depth, each)

    def _too_deep(self, depth: Option, each: int) -> Finding:
        cores = each * self.site.cores_per_rank
        problem = f"mpiexec wants {each * (depth.number or 0)} cores of a node"
        return Finding(depth.line, problem, f"the node has {cores}")
