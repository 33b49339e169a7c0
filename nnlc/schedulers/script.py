"""Job scripts: their directives and commands.

Nothing is run or expanded: `$NAME` stays as it is written. nnlc's scripts have one command per
line, or several separated by `;`, `|` and the like; a backslash continues a line. Other syntax of
bash, such as here-documents, is not understood; `bash -n` checks it. Reading never fails.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from nnlc.schedulers.options import COUNT, WORKER, Option, Options, OptionTable, Word
from nnlc.schedulers.scheduler import Scheduler

WORKER_MODULE = "nnlc.worker"
BYTE_ORDER_MARK = "\ufeff"
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_ARITHMETIC = re.compile(r"\$\(\(.*?\)\)")
_SOMETIMES = re.compile(r"\$\{\w+:\+.*\}")
"""Word that a command has only if a variable is set."""
_PREFIX = re.compile(
    r"if|then|elif|else|fi|while|until|do|done|esac|[!{}]|time|exec|nohup|command|env|\S*\)"
)
"""Words before a command that don't change which program runs."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a script sets."""

    name: str
    value: str
    line: int
    exported: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: a program with its arguments."""

    words: tuple[Word, ...]
    """Program and arguments, without variables that are set for this command only."""
    variables: tuple[Variable, ...] = ()
    background: bool = False

    @property
    def line(self) -> int:
        """Line on which the command begins."""
        return (self.words or self.variables)[0].line

    @property
    def program(self) -> str:
        """Name of the program without a folder; empty if the command only sets variables."""
        return PurePosixPath(self.words[0].text.lstrip("(")).name if self.words else ""

    def has(self, text: str) -> bool:
        """Return True if the command has this word."""
        return any(word.text == text for word in self.words)


class Launch:
    """A command that starts ranks.

    Args:
        command: the command.
        table: options of its program.
        numbers: numbers that the script gives to variables, which stand for them in options.

    Attributes:
        options: options of the launcher.
        started: command that the ranks run.
        arguments: options of nnlc.worker, if the ranks run it.
        variables: variables set for the ranks only, before the launcher or by -E.
    """

    def __init__(self, command: Command, table: OptionTable, numbers: Mapping[str, str]) -> None:
        self.command, self.line = command, command.line
        words = [word for word in command.words[1:] if not _SOMETIMES.fullmatch(word.text)]
        options, self.started = table.read(words)
        self.options = Options(_with_number(option, numbers) for option in options)
        texts = [word.text for word in self.started]
        self.starts_worker = WORKER_MODULE in texts
        after = texts.index(WORKER_MODULE) + 1 if self.starts_worker else len(texts)
        self.arguments, _ = WORKER.read_all(self.started[after:])
        self.variables = list(command.variables)
        for option in self.options:
            name, equals, value = (option.value or "").partition("=")
            if option.name == "env" and equals:
                self.variables.append(Variable(name, value, option.line))


class Script:
    """A job script for one scheduler.

    Attributes:
        commands: all commands in order, including those inside loops and conditions.
        directives: options of all directives that count.
        late_directives: lines of directives that come too late to count.
        launches: commands of the scheduler's launcher.
        worker: launch of nnlc's ranks, or None.
        variables: variables set or exported for later commands.
        traps: signals that have a trap, without SIG.
    """

    def __init__(self, text: str, scheduler: Scheduler) -> None:
        self.text, self.scheduler = text, scheduler
        self.lines = text.removeprefix(BYTE_ORDER_MARK).split("\n")
        self.commands = list(_commands(self.lines))
        self.directives, self.late_directives = self._directives()
        self.variables = list(_variables(self.commands))
        launches = [each for each in self.commands if each.program == scheduler.launcher]
        options, numbers = scheduler.launcher_options, self.numbers
        self.launches = [Launch(each, options, numbers) for each in launches]
        self.worker = next((each for each in self.launches if each.starts_worker), None)
        self.traps = {
            signal_name(word.text)
            for command in self.commands
            if command.program == "trap" and len(command.words) > 2
            if command.words[1].text not in ("", "-")  # which remove a trap
            for word in command.words[2:]
        }

    @property
    def numbers(self) -> dict[str, str]:
        """First number that each variable is set to."""
        found = ((each.name, each.value) for each in reversed(self.variables))
        return {name: value for name, value in found if re.fullmatch(COUNT, value, re.ASCII)}

    def _directives(self) -> tuple[Options, list[int]]:
        found, late, sentinel = Options(), list[int](), self.scheduler.sentinel
        is_late = False
        for number, line in enumerate(self.lines, 1):
            if sentinel and re.match(rf"{sentinel}\b", line):
                if is_late:
                    late.append(number)
                else:
                    found += self._directive(line.removeprefix(sentinel), number)
            is_command = line.strip() and not line.lstrip().startswith("#")
            is_late |= bool(is_command) and not self.scheduler.reads_all_directives
        return found, late

    def _directive(self, text: str, number: int) -> list[Option]:
        options, others = self.scheduler.directive_options.read_line(text, number)
        return [*options, *(Option(word.text, None, number, known=False) for word in others)]


def _with_number(option: Option, numbers: Mapping[str, str]) -> Option:
    """Return an option whose value is a number where it was a variable with one."""
    found = re.fullmatch(r"\$\{?(\w+)\}?", option.value or "")
    return replace(option, value=numbers[found[1]]) if found and found[1] in numbers else option


def _variables(commands: Sequence[Command]) -> Iterator[Variable]:
    plain: dict[str, str] = {}
    for command in commands:
        if not command.words:
            plain |= {each.name: each.value for each in command.variables}
            yield from command.variables
        for word in command.words[1:] if command.program == "export" else ():
            if found := _ASSIGNMENT.fullmatch(word.text):
                yield Variable(found[1], found[2], word.line)
            elif word.text in plain:
                yield Variable(word.text, plain[word.text], word.line)


def signal_name(text: str) -> str:
    """Return the name of a signal without SIG, in capitals."""
    return text.upper().removeprefix("SIG")


def is_redirection(word: Word) -> bool:
    """Return True if a word is an operator such as `>`."""
    return bool(re.fullmatch("[<>&|]*[<>][<>&|]*", word.text))


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    pending: list[str] = []
    for number, line in enumerate(lines, 1):
        pending.append(line)
        goes_on = line.endswith("\\") and not line.lstrip().startswith("#") and number < len(lines)
        if goes_on:
            continue
        words: list[Word] = []
        for word in (*_words(pending, number - len(pending) + 1), Word(";", number)):
            if not re.fullmatch("[;&|]+", word.text):
                words.append(word)
            else:
                yield from _command(words, background=word.text == "&")
                words = []
        pending = []


def _words(lines: Sequence[str], first: int) -> list[Word]:
    """Return the words of lines that a backslash joins, and the operators between them."""
    text = " \n".join(line.removesuffix("\\") for line in lines)
    text = _ARITHMETIC.sub(lambda found: found[0].replace(" ", ""), text)  # one word
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    try:
        # A comment right after a word counts its line's end before the word is given.
        return [Word(word, first + min(lexer.lineno, len(lines)) - 1) for word in lexer]
    except ValueError:  # a quote that does not end
        return [Word(word, first) for word in text.split()]


def _command(words: list[Word], *, background: bool) -> Iterator[Command]:
    variables: list[Variable] = []
    while words:
        if found := _ASSIGNMENT.fullmatch(words[0].text):
            variables.append(Variable(found[1], found[2], words[0].line, exported=False))
        elif not _PREFIX.fullmatch(words[0].text):
            break
        words = words[1:]
    if words or variables:
        yield Command(tuple(words), tuple(variables), background)
