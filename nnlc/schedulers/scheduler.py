"""Base classes of schedulers: everything that one of them does in its own way."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nnlc.errors import SchedulerError, UnansweredError
from nnlc.schedulers.options import OptionTable
from nnlc.system.files import read_regular

if TYPE_CHECKING:
    from nnlc.schedulers.job_rules import JobRules
    from nnlc.schedulers.site import Site

LEAST_SECONDS = 60
"""Shortest job that counts: one that ends sooner does not start itself again."""


class Scheduler(ABC):
    """Rules of a scheduler for job scripts, and what it tells a job.

    Jobs load the modules of all schedulers. What only `nnlc lint` or a command needs is imported
    inside the method that needs it.
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
    """True if jobs wait, may be arrays, and end with their walltime."""
    submits_successor: ClassVar[bool] = False
    """True if an unfinished job submits another before it ends: it takes two places in a queue."""
    runs_mps: ClassVar[bool] = False
    """True if the system runs NVIDIA's Multi-Process Service, so that ranks start none."""
    early_minutes: ClassVar[int] = 0
    """Minutes by which the warning may come earlier than asked."""

    sentinel: ClassVar[str] = ""
    """Beginning of a directive, such as `#SBATCH`; empty if there are none."""
    directive_options: ClassVar[OptionTable] = OptionTable()
    reads_all_directives: ClassVar[bool] = False
    """True if directives count behind a script's first command too."""
    has_plugins: ClassVar[bool] = False
    """True if plugins of a site may add options."""
    account_option: ClassVar[str] = ""
    """Name of the directive for the account, such as `account` of `--account`; so the next ones."""
    nodes_option: ClassVar[str] = ""
    walltime_option: ClassVar[str] = ""
    walltime_forms: ClassVar[str] = "it must be HH:MM:SS"
    """Advice to whoever wrote another."""
    array_option: ClassVar[str] = ""
    array_forms: ClassVar[str] = "it must be as 0-9"
    """Advice to whoever wrote no array."""
    first_index: ClassVar[int] = 0
    """Lowest index that an array may have."""
    index_variable: ClassVar[str] = ""
    """Variable that tells a job its index."""
    index_expression: ClassVar[str] = ""
    """Shell expression for the element, from 0."""
    logs: ClassVar[tuple[str, ...]] = ()
    """Names of the directives for log files, if an array needs one for each element."""
    log_index: ClassVar[str] = ""
    """Pattern of the index in the name of a log."""
    log_example: ClassVar[str] = ""

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
        """Return the minutes of a walltime, infinite if it is no limit; None if it is none."""

    def rules(self) -> "type[JobRules]":
        """Return the rules that `nnlc lint` holds its job scripts to."""
        from nnlc.schedulers.job_rules import JobRules

        return JobRules

    def array_list(self, option: str) -> str | None:
        """Return the indices in the value of the option for arrays; None if it makes no array."""
        return option

    def directives(self, site: "Site") -> tuple[str, ...]:
        """Return the site's own directives, as a script has them."""
        return site.directives

    def element(self, environment: Mapping[str, str], elements: int) -> int | None:
        """Return which element of a job array this job is, from 0; None if it is in no array.

        Args:
            environment: variables of the job.
            elements: number of elements of the whole array.

        Raises:
            ValueError: the variables allow more than one element, or none.
        """
        del environment, elements
        return None

    def seconds_left(self, environment: Mapping[str, str]) -> float | None:
        """Return the seconds until this job ends; None if the scheduler does not tell."""
        del environment
        return None

    def shortest_minutes(self, notice_minutes: int) -> int:
        """Return the shortest walltime that leaves a job time to work before the warning."""
        return notice_minutes + self.early_minutes + -(-LEAST_SECONDS // 60)


class Queue(Scheduler):
    """Scheduler with a queue, and its commands on this machine.

    A job has the name that the scheduler gives it. Slurm's is ID, or ID;CLUSTER on another cluster
    than this machine's own, as from `sbatch --parsable`.
    """

    has_queue = True
    over: ClassVar[frozenset[str]]
    """States of a job that has ended, or goes on in another queue."""
    ending: ClassVar[frozenset[str]] = frozenset()
    """States of a job that was ended and that the queue still shows for a while."""
    removed_variables: ClassVar[re.Pattern[str]]
    """Beginnings of variables that count as options of its commands, or describe a job."""
    kept_variables: ClassVar[frozenset[str]] = frozenset()
    """Variables among these that say where the cluster is, and who asks."""
    wishes: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    """Variables among these that ask for an account, a queue or the like."""
    no_answer: ClassVar[re.Pattern[str]] = re.compile(r"timed out|time out|not responding", re.I)
    """Words of a command that fails although its request may have arrived."""

    @abstractmethod
    def submit(self, script: Path, mark: str, command: str) -> str:
        """Put a script into the queue; return the job.

        Args:
            script: the job script.
            mark: a word that the queue keeps with the job, behind what the script itself has it
                keep, so that the job can be found again.
            command: the site file's `submit`.

        Raises:
            SchedulerError: the command is absent or refuses; nothing was submitted.
            UnansweredError: nobody knows whether it was.
        """

    @abstractmethod
    def find(self, mark: str, script: Path) -> str | None:
        """Return the job with this mark, made of this script, while the queue knows it."""

    @abstractmethod
    def states(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        """Return by job the state of each element that is in the queue, or of the job itself."""

    @abstractmethod
    def cancel(self, job: str) -> None:
        """End a job, all elements of it; one that is gone is no error."""

    def submitted_jobs(self, said: str) -> list[str]:
        """Return the jobs that scripts have submitted by themselves, by their commands' words."""
        del said
        return []

    def _run(
        self,
        *words: str,
        script: Path | None = None,
        without: Collection[str] = (),
        gone_is_fine: Iterable[str] = (),
    ) -> str:
        """Run a command of the scheduler; as `run_command`, which agents need not load."""
        from nnlc.schedulers.commands import run_command

        return run_command(words, self, script=script, without=without, gone_is_fine=gone_is_fine)

    def _directive(self, script: Path, name: str) -> str:
        """Return the value of a script's own directive; nothing if it or the script is missing."""
        from nnlc.schedulers.script import Script

        try:
            text = read_regular(script).decode(errors="replace")
        except OSError:
            return ""
        option = Script(text, self).directives.get(name)
        return (option and option.value) or ""

    def _one_job(self, said: str, jobs: Iterable[str], mark: str, script: Path) -> str:
        """Return the one job that an answer names, else the one that the queue knows by its mark.

        Raises:
            UnansweredError: there is none.
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
    """Return a number that a scheduler tells its job.

    Raises:
        ValueError: it is no number.
    """
    text = environment.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is {text!r} and no index: say --element")
    return int(text)
