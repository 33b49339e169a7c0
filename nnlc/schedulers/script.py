"""Reads a job script: its directives, and the commands that its shell would run.

Nothing is run or expanded: `$NAME` stays as it is written. Reading never fails, whatever the text;
`bash -n` is who judges the syntax.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from nnlc.schedulers.options import BSUB, JSRUN, MPIRUN, SBATCH, SRUN, WORKER, Grammar, Option, Word
from nnlc.schedulers.scheduler import Scheduler
from nnlc.schedulers.shell import ASSIGNMENT, Command, Variable, read_commands

DIRECTIVES = {"slurm": SBATCH, "lsf": BSUB}
_GRAMMARS = {"srun": SRUN, "jsrun": JSRUN, "mpirun": MPIRUN}

_EXPORTS = {"export", "declare", "typeset", "readonly", "local"}


@dataclass(frozen=True)
class Launch:
    """A command that starts ranks: srun, jsrun or mpirun."""

    command: Command
    options: tuple[Option, ...]
    started: tuple[Word, ...]
    """The command that the ranks run."""

    @property
    def line(self) -> int:
        return self.command.line

    @property
    def starts_worker(self) -> bool:
        return any(word.text == "nnlc.worker" for word in self.started)

    def option(self, name: str) -> Option | None:
        """The last one of this name, which is the one that counts."""
        return last(self.options, name)

    @cached_property
    def arguments(self) -> list[Option]:
        """Return the options of nnlc.worker."""
        at = next(i for i, word in enumerate(self.started) if word.text == "nnlc.worker")
        return _read_all(WORKER, self.started[at + 1 :])

    def argument(self, name: str) -> Option | None:
        """The last of the worker's options of this name."""
        return last(self.arguments, name)


@dataclass(frozen=True)
class Script:
    """A job script for one scheduler."""

    text: str
    scheduler: Scheduler

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def commands(self) -> list[Command]:
        return read_commands(self.text)

    @cached_property
    def launches(self) -> list[Launch]:
        """Everything that srun, jsrun or mpirun starts; the scheduler's own launcher only."""
        program = self.scheduler.launcher
        return [
            Launch(command, tuple(options), tuple(rest))
            for command in self.commands
            if command.program == program
            for options, rest in [_GRAMMARS[program].parse(command.words[1:])]
        ]

    @cached_property
    def worker(self) -> Launch | None:
        """What starts our ranks."""
        return next((launch for launch in self.launches if launch.starts_worker), None)

    @cached_property
    def directives(self) -> list[Option]:
        """The options of all directives that count, in their order."""
        grammar = DIRECTIVES.get(self.scheduler.name)
        found: list[Option] = []
        for number, text in self._directive_lines:
            if grammar is not None and number < self._first_command_line:
                found += _read_directive(grammar, number, text)
        return found

    @cached_property
    def late_directives(self) -> list[int]:
        """Lines of directives that come too late to count."""
        return [n for n, _ in self._directive_lines if n >= self._first_command_line]

    @cached_property
    def _directive_lines(self) -> list[tuple[int, str]]:
        sentinel = self.scheduler.sentinel
        if not sentinel:
            return []
        return [
            (number, line.removeprefix(sentinel))
            for number, line in enumerate(self.lines, 1)
            if line.startswith(sentinel) and not line[len(sentinel) :][:1].isalnum()
        ]

    @cached_property
    def _first_command_line(self) -> float:
        """Slurm reads directives up to here; LSF reads all of a script."""
        if self.scheduler.name != "slurm":
            return float("inf")
        numbered = enumerate((line.strip() for line in self.lines), 1)
        return next((n for n, line in numbered if line and line[0] != "#"), float("inf"))

    @property
    def directive_names(self) -> list[str]:
        """Every directive that the scheduler knows."""
        grammar = DIRECTIVES.get(self.scheduler.name)
        return grammar.names() if grammar else []

    @property
    def launcher_names(self) -> list[str]:
        """Every option that the launcher knows, by its long name."""
        return _GRAMMARS[self.scheduler.launcher].names()

    def option(self, name: str) -> Option | None:
        """The last directive of this name, which is the one that counts."""
        return last(self.directives, name)

    @cached_property
    def variables(self) -> list[Variable]:
        """Whatever is set or exported for the commands that follow."""
        return list(self._variables())

    def _variables(self) -> Iterator[Variable]:
        plain: dict[str, str] = {}
        for command in self.commands:
            if not command.words:
                for variable in command.variables:
                    plain[variable.name] = variable.value
                    yield variable
            if command.program not in _EXPORTS:
                continue
            exported = command.program == "export" or command.has("-x")
            for word in command.words[1:]:
                if found := ASSIGNMENT.fullmatch(word.text):
                    plain[found[1]] = found[2]
                    yield Variable(found[1], found[2], word.line, exported)
                elif exported and word.text in plain:
                    yield Variable(word.text, plain[word.text], word.line)

    @cached_property
    def traps(self) -> dict[str, int]:
        """Signals that the script listens for, each without its SIG, and the lines that say so."""
        return {
            signal_name(word.text): word.line
            for command in self.commands
            if command.program == "trap" and _listens(command)
            for word in command.words[2:]
        }


def last(options: Sequence[Option], name: str) -> Option | None:
    """The last one of a name, if any."""
    found = (option for option in reversed(options) if option.known and option.name == name)
    return next(found, None)


def _listens(trap: Command) -> bool:
    """Whether a trap does something: a dash or nothing takes it away."""
    return len(trap.words) > 2 and trap.words[1].text not in ("", "-")


def signal_name(text: str) -> str:
    """A signal as it is spoken of: without SIG, in capitals."""
    return text.upper().removeprefix("SIG")


def _read_directive(grammar: Grammar, number: int, text: str) -> list[Option]:
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # a quote that does not end
        words = text.split()
    options: list[Option] = []
    rest: Sequence[Word] = [Word(word, number) for word in words]
    while rest:
        found, rest = grammar.parse(rest)
        options += found
        if rest and (not options or options[-1].known):
            options.append(Option(rest[0].text, None, number, known=False))
        rest = rest[1:]
    return options


def _read_all(grammar: Grammar, words: Sequence[Word]) -> list[Option]:
    """Return all options, whatever stands between them."""
    options: list[Option] = []
    while words:
        found, rest = grammar.parse(words)
        options += found
        words = rest[1:]
    return options
