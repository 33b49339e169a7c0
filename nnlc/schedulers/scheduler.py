"""Base classes of schedulers: everything in which schedulers differ."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.schedulers.options import OptionTable
from nnlc.system.files import read_regular

if TYPE_CHECKING:
    from nnlc.schedulers.accounting import AccountedRun
    from nnlc.schedulers.job_rules import JobRules
    from nnlc.schedulers.site import Site

LEAST_SECONDS = 60
"""Shortest job that starts itself again when it is unfinished."""


class Scheduler(ABC):
    """A scheduler: its rules for job scripts, and the variables that it sets for a job.

    Jobs load the modules of all schedulers. So modules that only `nnlc lint` or a command needs are
    imported inside methods.
    """

    name: ClassVar[str]
    """Name in a site file, and of the template `launch/NAME.sh.j2`."""
    title: ClassVar[str]
    """Name in messages."""
    launcher: ClassVar[str]
    """Program that starts ranks."""
    launcher_options: ClassVar[OptionTable] = OptionTable(is_open=True)
    submit_commands: ClassVar[tuple[str, ...]] = ()
    """Values that a site file's `submit` may have; empty if it may have any."""
    has_queue: ClassVar[bool] = False
    """True if jobs wait in a queue, may be arrays, and are ended at their walltime."""
    submits_successor: ClassVar[bool] = False
    """True if an unfinished job submits another before it ends: both count in the queue."""
    starts_after: ClassVar[bool] = False
    """True if `submit_after` submits jobs that wait for the end of another."""
    has_spare: ClassVar[bool] = False
    """True if no job can leave a node out, so that its template starts ranks on good nodes only and
    jobs ask for a spare one if some may be bad."""
    runs_mps: ClassVar[bool] = False
    """True if the system runs NVIDIA's Multi-Process Service, so that ranks start none."""
    may_bind_gpus: ClassVar[bool] = False
    """True if the launcher gives each rank its own GPU only when it is asked to."""
    early_minutes: ClassVar[int] = 0
    """Minutes by which the warning may come earlier than requested."""

    sentinel: ClassVar[str] = ""
    """Beginning of a directive, such as `#SBATCH`; empty if there are none."""
    directive_options: ClassVar[OptionTable] = OptionTable()
    reads_all_directives: ClassVar[bool] = False
    """True if directives after a script's first command count too."""
    has_plugins: ClassVar[bool] = False
    """True if plugins of a site may add options."""
    account_option: ClassVar[str] = ""
    """Name of the option for the account, such as `account` for `--account`."""
    queue_options: ClassVar[tuple[str, ...]] = ()
    """Names of the options that may choose a queue, the usual one first; empty if the template
    writes the queue."""
    nodes_option: ClassVar[str] = ""
    walltime_option: ClassVar[str] = ""
    walltime_forms: ClassVar[str] = "it must be HH:MM:SS"
    """Advice on a walltime of another form."""
    memory_directive: ClassVar[str] = ""
    """Directive for the memory of each node, with {} for gigabytes; empty if there is none."""
    exclusive_directives: ClassVar[tuple[str, ...]] = ()
    """Directives for whole nodes with all their memory."""
    array_option: ClassVar[str] = ""
    array_forms: ClassVar[str] = "it must be as 0-9"
    """Advice on an array of another form."""
    first_index: ClassVar[int] = 0
    """Lowest index that an array may have."""
    index_variable: ClassVar[str] = ""
    """Environment variable with the job's index."""
    index_expression: ClassVar[str] = ""
    """Shell expression for the element, from 0."""
    logs: ClassVar[tuple[str, ...]] = ()
    """Names of the directives for log files, if an array needs one for each element."""
    log_index: ClassVar[str] = ""
    """Pattern of the index in the name of a log."""
    log_example: ClassVar[str] = ""
    not_in_logs: ClassVar[str] = '"\\%`$'
    """Characters of a log's path that the scheduler would alter."""

    def __init__(self) -> None:
        annotated = (getattr(each, "__annotations__", {}) for each in type(self).__mro__)
        names = (name for found in annotated for name in found)
        if missing := [name for name in names if not hasattr(self, name)]:
            raise TypeError(f"{type(self).__name__} in nnlc/schedulers lacks {', '.join(missing)}")

    def walltime(self, minutes: int) -> str:
        """Return a walltime as a directive takes it: HH:MM:SS, with any number of hours."""
        return f"{minutes // 60:02}:{minutes % 60:02}:00"

    @abstractmethod
    def minutes(self, walltime: str) -> float | None:
        """Return the minutes of a walltime, infinite without a limit; None if the text is wrong."""

    def rules(self) -> "type[JobRules]":
        """Return the rules of `nnlc lint` for its job scripts."""
        from nnlc.schedulers.job_rules import JobRules

        return JobRules

    def array_list(self, option: str) -> str | None:
        """Return the indices in the value of the array option; None if it has none."""
        return option

    def directives(self, site: "Site") -> tuple[str, ...]:
        """Return directives for nodes and queue as the site wants them, and its own."""
        option, queue = self.queue_option(site), list[str]()
        if site.queue and option:
            queue = [self.directive_options.written(option, site.queue)]
        # The queue comes last, since of a repeated option the last one counts.
        return (*self.node_directives(site), *site.directives, *queue)

    def queue_option(self, site: "Site") -> str:
        """Return the name of the option that chooses a queue of a site; empty if there is none."""
        return site.queue_option or next(iter(self.queue_options), "")

    def node_directives(self, site: "Site") -> tuple[str, ...]:
        """Return the directives for the memory of each node, or for whole nodes."""
        if site.exclusive:
            return self.exclusive_directives
        memory = site.memory_gigabytes_per_node
        return () if memory is None else (self.memory_directive.format(memory),)

    def leaving_out(self, directives: tuple[str, ...], hosts: Sequence[str]) -> tuple[str, ...]:
        """Return directives that also leave out some nodes, where the scheduler can do that."""
        del hosts
        return directives

    def left_out(self, directives: Sequence[str]) -> list[str]:
        """Return the nodes that directives leave out, as they are written."""
        del directives
        return []

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return this job's element of a job array, from 0; None if it is in no array.

        Args:
            environment: variables of the job.
            elements: number of elements of the whole array.

        Raises:
            ValueError: the index is ambiguous or out of range.
        """
        del environment, elements
        return None

    def seconds_left(self, environment: Mapping[str, str]) -> float | None:
        """Return the seconds until this job ends; None if the scheduler sets no such variable."""
        del environment
        return None

    def shortest_minutes(self, notice_minutes: int) -> int:
        """Return the shortest walltime that leaves a job time to work before the warning."""
        return notice_minutes + self.early_minutes + -(-LEAST_SECONDS // 60)


class Queue(Scheduler):
    """Scheduler with a queue, and its commands on this machine.

    A job is identified by its ID. With Slurm this is ID;CLUSTER if the job is on another cluster
    than this machine's own, as `sbatch --parsable` prints it.
    """

    has_queue = True
    over: ClassVar[frozenset[str]]
    """States of a job that has ended, or continues in another queue."""
    ending: ClassVar[frozenset[str]] = frozenset()
    """States of a job that is ending, which the queue still shows."""
    waiting: ClassVar[frozenset[str]] = frozenset()
    """States of a job that waits or is held, of which the queue says why."""
    removed_variables: ClassVar[re.Pattern[str]]
    """Pattern of variables that its commands read as options, or that describe a job."""
    kept_variables: ClassVar[frozenset[str]] = frozenset()
    """Exceptions: variables that locate the cluster or identify the user."""
    wishes: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    """Pattern of removed variables that ask for an account, a queue or the like."""
    no_answer: ClassVar[re.Pattern[str]] = re.compile(r"timed out|time out|not responding", re.I)
    """Pattern of errors after which the request may have been carried out all the same."""

    accounting_gaps: ClassVar[str] = ""
    """Words on the runs of jobs that its accounting lacks."""
    version_command: ClassVar[tuple[str, ...]] = ()
    """Command that prints its version."""

    def version(self) -> str:
        """Return what its command says about its version.

        Raises:
            SchedulerError: the command refuses, or does not answer.
        """
        return self._run(*self.version_command)

    @abstractmethod
    def submit(self, script: Path, mark: str, command: str) -> str:
        """Put a script into the queue; return the job.

        Args:
            script: the job script.
            mark: word to append to the job's comment or description, so that `find` finds it.
            command: the site file's `submit`.

        Raises:
            SchedulerError: the command is missing or refuses; nothing was submitted.
            UnansweredError: the job may have been submitted or not.
        """

    def submit_after(self, job: str, script: Path, mark: str, command: str) -> str:
        """Put a script into the queue, to start once another job has ended; return its job.

        Args:
            job: the other job.
            script, mark, command: as for `submit`.

        Raises:
            SchedulerError: as for `submit`, or no job of this scheduler waits for another.
        """
        del job, script, mark, command
        raise SchedulerError(
            f"nnlc submits no job of {self.title} that waits for another: leave links_at_once out"
        )

    @abstractmethod
    def find(self, mark: str, script: Path) -> str | None:
        """Return the job with this mark and script, or None if it is not in the queue."""

    @abstractmethod
    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        """Return the states of each job in the queue; of an array, those of its elements.

        Each may be a `State`, with the reason why it waits.
        """

    @abstractmethod
    def cancel(self, job: str) -> None:
        """End a job with all its elements; do nothing if it has ended."""

    def accounting(self, jobs: Sequence[str]) -> "list[AccountedRun]":
        """Return the runs of some jobs, as the scheduler's accounting has them.

        Raises:
            SchedulerError: there is no accounting, or it answers in another form.
        """
        del jobs
        raise SchedulerError(f"nnlc can't read accounting of {self.title}")

    def submitted_jobs(self, said: str) -> list[str]:
        """Return the jobs that a script has submitted, from the output of its commands."""
        del said
        return []

    def _run(
        self,
        *words: str,
        script: Path | None = None,
        without: Collection[str] = (),
        gone_is_fine: Iterable[str] = (),
    ) -> str:
        """Run a command of the scheduler by `run_command`, which agents need not load."""
        from nnlc.schedulers.commands import run_command

        return run_command(words, self, script=script, without=without, gone_is_fine=gone_is_fine)

    def _directive(self, script: Path, name: str) -> str:
        """Return the value of a directive in a script; empty if either is missing."""
        from nnlc.schedulers.script import Script

        try:
            text = read_regular(script).decode(errors="replace")
        except OSError:
            return ""
        option = Script(text, self).directives.get(name)
        return (option and option.value) or ""

    def _one_job(self, said: str, jobs: Iterable[str], mark: str, script: Path) -> str:
        """Return the job that an answer names, or else the job in the queue with this mark.

        Raises:
            UnansweredError: there is no such job.
        """
        named = set(jobs)
        try:
            job = named.pop() if len(named) == 1 else self.find(mark, script)
        except SchedulerError:  # it can't be looked up now
            job = None
        if job is None:
            raise UnansweredError(f"{self.title} said {said.strip()!r}, which names no job")
        return job


def number_of(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """Return the number in a variable that the scheduler sets for a job.

    Raises:
        ValueError: the value is not a number.
    """
    text = environment.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is {text!r}, not an index: give --element")
    return int(text)
