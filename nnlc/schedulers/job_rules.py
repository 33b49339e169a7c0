"""Rules for a job script's directives, and for its options of launcher and worker."""

import difflib
import math
import re

from nnlc.schedulers.options import WORKER, Option, OptionTable, whole
from nnlc.schedulers.rules import Finding, Findings, Rules
from nnlc.schedulers.scheduler_registry import SCHEDULERS
from nnlc.schedulers.script import Script
from nnlc.schedulers.site import Site
from nnlc.schedulers.site_queues import in_queue
from nnlc.wording import counted


class JobRules(Rules):
    """Rules for options; a scheduler's own class adds rules, or replaces some."""

    def __init__(self, script: Script, site: Site) -> None:
        name = script.scheduler.queue_option(site)
        queue = script.directives.get(name) if name else None
        super().__init__(script, in_queue(site, queue.value) if queue else site)
        self.head = self.directives[0].line if self.directives else 1
        """Line of the first directive, to name if a directive is missing."""
        self.nodes = self.directives.number(self.scheduler.nodes_option)
        self.ranks = None if self.nodes is None else self._rank_nodes() * site.gpus_per_node

    def _rank_nodes(self) -> int:
        """Return the nodes that have ranks: one may be spare, as nnlc's own scripts say."""
        said = [whole(self.script.numbers.get(name)) for name in ("rank_nodes", "spare")]
        nodes = self.nodes or 0
        return nodes - 1 if self.scheduler.has_spare and said == [nodes - 1, 1] else nodes

    def missing(self, name: str, form: object, problem: str = "") -> Finding:
        """Return the finding on a directive that is missing."""
        option = self.scheduler.directive_options.written(name)
        right = self.scheduler.directive_options.written(name, form)
        remedy = f"write {self.scheduler.sentinel} {right}"
        return Finding(self.head, problem or f"no {option}", remedy)

    def check_directives(self) -> Findings:
        """Check for options that the scheduler doesn't know, and directives it doesn't read."""
        sentinel = self.scheduler.sentinel
        for option in self.directives:
            if not option.known:
                yield self._unknown(option, self.scheduler.directive_options, sentinel)
        for line in self.script.late_directives:
            problem = "the scheduler does not read this directive: it comes after a command"
            yield Finding(line, problem, "move it up to the others")
        others = [each.sentinel for each in SCHEDULERS.values() if each.sentinel]
        for number, text in enumerate(self.script.lines, 1):
            if sentinel and re.match(rf"{sentinel}\s+{sentinel}\b", text):
                problem = f"nothing after the second {sentinel} is read"
                yield Finding(number, problem, "write it once")
            found = re.match(r"(#[A-Za-z]{3,9})\s+-", text)
            if not found or found[1] == sentinel:
                continue
            if difflib.get_close_matches(found[1].upper(), [*others, sentinel], 1, 0.75):
                problem = f"{found[1]} is only a comment to {self.scheduler.title}"
                remedy = (
                    f"write {sentinel}" if sentinel else "remove it: this site has no scheduler"
                )
                yield Finding(number, problem, remedy)

    def check_options(self) -> Findings:
        """Check for options that launcher and worker don't know: they end the job at once."""
        for launch in self.script.launches:
            for option in launch.options:
                if not option.known:
                    yield self._unknown(option, self.scheduler.launcher_options, self.launcher)
        for option in self.worker.arguments if self.worker else ():
            if not option.known:
                valid = sorted(map(WORKER.written, WORKER.names))
                near = difflib.get_close_matches(f"--{option.name}", valid, 1, 0.5)
                problem = f"nnlc.worker does not know the option {option.name!r}"
                remedy = f"did you mean {near[0]}?" if near else f"valid: {', '.join(valid)}"
                yield Finding(option.line, problem, remedy)

    def _unknown(self, option: Option, table: OptionTable, program: str) -> Finding:
        """Return the finding on an unknown option; plugins of a site may add options."""
        problem = f"{program} does not know the option {option.name!r}"
        near = difflib.get_close_matches(option.name, sorted(table.names), 1, 0.75)
        if near:
            return Finding(option.line, problem, f"did you mean {table.written(near[0])}?")
        if self.scheduler.has_plugins:
            return Finding(
                option.line, problem, "right if a plugin of the site knows it", note=True
            )
        return Finding(option.line, problem, "see its manual page")

    def check_values(self) -> Findings:
        """Check values of options against the manual pages and the worker's help."""
        found = [*self.directives, *(self.worker.arguments if self.worker else ())]
        for option in (*found, *(each for one in self.script.launches for each in one.options)):
            if option.must_be:
                problem = f"{option} is {option.value!r}" if option.value else f"{option} is empty"
                yield Finding(option.line, problem, f"it must be {option.must_be}")

    def check_repeated(self) -> Findings:
        """Check for options that are given twice with different values: only one counts."""
        table, first = self.scheduler.directive_options, dict[str, Option]()
        for option in self.directives:
            before = first.setdefault(table.excludes.get(option.name, option.name), option)
            differs = (before.name, before.value) != (option.name, option.value)
            if option.known and differs and option.name not in table.repeatable:
                problem = f"{option} contradicts {before} of line {before.line}"
                yield Finding(option.line, problem, "leave one out, or write both in one")

    def check_account(self) -> Findings:
        """Check that there is an account if the site demands one."""
        name = self.scheduler.account_option
        if self.site.account_required and name and self.directives.get(name) is None:
            option = self.scheduler.directive_options.written(name)
            problem = f"{self.site.name} starts no job without {option}"
            yield self.missing(name, "YOUR_PROJECT", problem)
        elif self.site.account and name and self.directives.get(name) is None:
            option = self.scheduler.directive_options.written(name, self.site.account)
            problem = f"the script names no account, and the site file has {self.site.account}"
            remedy = f"write {self.scheduler.sentinel} {option}"
            yield Finding(self.head, problem, remedy, note=True)

    def check_queue(self) -> Findings:
        """Check for a queue that the site file does not know."""
        name = self.scheduler.queue_option(self.site)
        if name and (option := self.directives.get(name)) and not self.site.knows_queue:
            problem = f"{self.site.name} has no queue {option.value}: its own limits are unknown"
            remedy = f"the site file has {', '.join(self.site.queues)}"
            yield Finding(option.line, problem, remedy, note=True)

    def nodes_form(self) -> str:
        """Return the form of the option for the number of nodes."""
        return "N"

    def check_nodes(self) -> Findings:
        """Check for one number of nodes, which determines the number of ranks."""
        if name := self.scheduler.nodes_option:
            option = self.directives.get(name)
            if option is None:
                yield self.missing(name, self.nodes_form())
            elif not option.number:
                problem = f"{option} is {option.value!r}"
                yield Finding(option.line, problem, "it must be one number from 1")

    def check_node_directives(self) -> Findings:
        """Check that the script asks for the memory or the whole nodes that the site file names."""
        table = self.scheduler.directive_options
        for text in self.scheduler.node_directives(self.site):
            [wanted], _ = table.read_line(text, self.head)
            same = (o for o in self.directives if table.excludes.get(o.name, o.name) == wanted.name)
            if (found := next(same, None)) is None:
                yield self.missing(wanted.name, wanted.value, f"{self.site.name} wants {text}")
            elif found.value != wanted.value:
                problem = f"{found} is {found.value}, but the site file says {text}"
                yield Finding(found.line, problem, "right if this job needs it", note=True)

    def walltime(self) -> tuple[Option, float] | None:
        """Return the walltime's directive and its minutes; None if it is missing or wrong."""
        option = self.directives.get(self.scheduler.walltime_option)
        minutes = self.scheduler.minutes(option.value or "") if option else None
        return (option, minutes) if option and minutes else None

    def check_walltime(self) -> Findings:
        """Check the walltime: a job that asks for more than the site allows never starts."""
        if not (name := self.scheduler.walltime_option):
            return
        option, found = self.directives.get(name), self.walltime()
        if option is None:
            yield self.missing(name, self.scheduler.walltime(self.site.walltime_minutes))
        elif found is None:
            problem = f"{option} is {option.value!r}"
            yield Finding(option.line, problem, self.scheduler.walltime_forms)
        else:
            yield from self._compare_walltime(*found)

    def _compare_walltime(self, option: Option, minutes: float) -> Findings:
        """Check the walltime against the site's limit for the nodes, and against --time-left."""
        try:
            longest = self.site.longest_minutes(self.nodes) if self.nodes else None
        except ValueError as impossible:
            nodes = self.directives.get(self.scheduler.nodes_option)
            yield Finding(nodes.line if nodes else 1, str(impossible), "choose another number")
            return
        if longest is not None and minutes > longest:
            allowed = (
                f"{self.site.place} allows {counted(self.nodes or 0, 'node')} {longest} minutes"
            )
            problem = f"{option} is {option.value}, but {allowed}"
            yield Finding(option.line, problem, f"at most {self.scheduler.walltime(longest)}")
            return
        left = self.worker and self.worker.arguments.get("time-left")
        if not left or not left.value or left.must_be:
            return
        found = re.match(r"\$(?:\(\()?\$?\{?(\w+)\}?(?:-|\)\)|$)", left.value)
        name = found[1] if found else left.value
        set_to = next((v for v in reversed(self.script.variables) if v.name == name), None)
        text, line = (set_to.value, set_to.line) if set_to else (name, left.line)
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or float(text) == minutes:
            return
        given = "no limit" if math.isinf(minutes) else f"{minutes:g}"
        yield Finding(
            line,
            f"--time-left counts down from {text} minutes, but line {option.line} gives the job "
            f"{given}",
            "make both the same",
            note=float(text) < minutes and (not found or math.isinf(minutes)),  # a margin
        )

    def too_short(self, notice: Option, before_minutes: float) -> Findings:
        """Check that a warning does not come before the job has done anything."""
        least = self.scheduler.shortest_minutes(math.ceil(before_minutes))
        if (found := self.walltime()) and found[1] < least:
            problem = f"the warning of line {notice.line} may come before the job has done anything"
            yield Finding(found[0].line, problem, f"it must last at least {least} minutes")

    def heard(self, signal: str, line: int) -> Findings:
        """Check that the script traps a signal; bash runs traps between commands (bash(1))."""
        if signal not in self.script.traps:
            yield Finding(line, f"no trap catches {signal}", f"write trap COMMAND {signal}")
        if self.worker and not self.worker.command.background:
            problem = (
                f"{self.launcher} runs in the foreground: bash traps {signal} only after it ends"
            )
            remedy = "end the command with & and write wait below it"
            yield Finding(self.worker.line, problem, remedy)

    def check_array(self) -> Findings:
        """Check an array: its highest index, and a log for each element."""
        option = self.directives.get(self.scheduler.array_option)
        listed = self.scheduler.array_list(option.value or "") if option else None
        if option is None or listed is None:
            yield from self._compare_elements(self.head, None)
            return
        indices = _indices(re.sub("%[1-9][0-9]*$", "", listed))
        if indices is None or indices[1] < self.scheduler.first_index:
            yield Finding(option.line, f"{option} is {option.value!r}", self.scheduler.array_forms)
            return
        count, _, high = indices
        most = self.site.max_array_elements
        if max(count, high + 1 - self.scheduler.first_index) > most:
            problem = f"the array is {option.value}, but {self.site.name} allows {most} elements"
            yield Finding(option.line, problem, "split the array; nnlc submit --elements does")
        else:
            yield from self._compare_elements(option.line, indices)
        for log in filter(None, map(self.directives.get, self.scheduler.logs)):
            if count > 1 and not re.search(self.scheduler.log_index, log.value or ""):
                remedy = f"name it with {self.scheduler.log_example}"
                yield Finding(log.line, "all elements write to one file", remedy)

    def _compare_elements(self, line: int, indices: tuple[int, int, int] | None) -> Findings:
        """Check an array's number of elements, lowest and highest index against --elements."""
        told = self.worker and self.worker.arguments.get("elements")
        if self.worker is None or not told or told.number is None:
            return
        element = self.worker.arguments.get("element")
        if indices is None:
            if told.number > 1 and element is None:
                problem = f"--elements is {told.number}, and there is no array"
                yield Finding(told.line, problem, "add --element I, or leave --elements out")
            return
        count, _, high = indices
        said = (element and element.value) or ""
        if element and count > 1 and whole(said) is not None:
            problem = f"each job of the array trains element {said}"
            yield Finding(element.line, problem, f"write {self.scheduler.index_expression}")
            return
        form = re.fullmatch(
            rf"\$(?:\(\()?(?:(\d{{1,9}})\+)?\$?\{{?{self.scheduler.index_variable}\}}?(-1)?"
            r"(?:\)\))?",
            said.replace(" ", ""),
        )
        last = int(form[1] or 0) + high - bool(form[2]) if form else count - 1
        if last >= told.number:
            problem = f"the array's last element is {last}, but --elements {told.number} ends "
            yield Finding(line, problem + "before it", "make the two agree")


def _indices(text: str) -> tuple[int, int, int] | None:
    """Return how many elements an array such as `0-9:3,12` has, its lowest and highest index."""
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
