"""Options of programs: their names, how to write them, and the values that they take.

argparse and getopt can't read them: LSF's long names have one dash, Slurm's may be abbreviated and
some take a value only after `=`, and lint needs the line of each option. Nothing is expanded: a
value may contain `$NAME`.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Word(NamedTuple):
    """A word of a script, without its quotes, and the line it ends on."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Option:
    """An option in a script, under its long name if it has one."""

    name: str
    value: str | None
    line: int
    dashes: str = "--"
    known: bool = True
    must_be: str | None = None
    """Advice if the program does not accept the value; else None."""

    def __str__(self) -> str:
        return f"{self.dashes}{self.name}"

    @property
    def number(self) -> int | None:
        """Value as an integer of at most 9 digits, or None."""
        return whole(self.value)


class Options(list[Option]):
    """Options in their order."""

    def get(self, name: str) -> Option | None:
        """Return the last option of a name, which is the one that counts."""
        return next((each for each in reversed(self) if each.known and each.name == name), None)

    def number(self, name: str) -> int | None:
        """Return the integer value of the last option of a name, or None."""
        option = self.get(name)
        return option.number if option else None


def whole(text: str | None) -> int | None:
    """Return a text as an integer of at most 9 digits, or None."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


class OptionTable:
    """Options of one program.

    Args:
        valued: names of options with a value, separated by spaces.
        flags: names of options without a value, or with a value only after `=`.
        short: letters that replace a long name, such as `N:nodes`.
        values: names of options, a pattern that their values must match, the pattern in words.
        dashes: dashes before a long name; LSF has one.
        shortens: True if a long name may be abbreviated while it is unambiguous.
        repeatable: options that may be given several times.
        excludes: options that exclude another option, such as `no-requeue:requeue`.
        list_option: option whose value is a list of NAME=VALUE, each read as an option.
        is_open: True if the program may have other options too.
        any_dashes: True if one or two dashes may stand before any name, and = or a space behind it.
    """

    def __init__(
        self,
        valued: str = "",
        flags: str = "",
        short: str = "",
        values: Sequence[tuple[str, str, str]] = (),
        *,
        dashes: str = "--",
        shortens: bool = False,
        repeatable: str = "",
        excludes: str = "",
        list_option: str = "",
        is_open: bool = False,
        any_dashes: bool = False,
    ) -> None:
        self.valued, self.flags = frozenset(valued.split()), frozenset(flags.split())
        self.names = self.valued | self.flags
        self.dashes, self._shortens, self._any_dashes = dashes, shortens, any_dashes
        self.repeatable, self._list, self._is_open = repeatable.split(), list_option, is_open
        self._short, self.excludes = _pairs(short), _pairs(excludes)
        self._values = {name: rule for names, *rule in values for name in names.split()}

    def written(self, name: str, value: object = None) -> str:
        """Return an option as a user writes it."""
        is_listed = self._list and name not in self.names
        between = "=" if is_listed or self.dashes == "--" else " "
        before = f"{self.dashes}{self._list} " if is_listed else self.dashes
        return f"{before}{name}" + ("" if value is None else f"{between}{value}")

    def read(self, words: Sequence[Word]) -> tuple[Options, list[Word]]:
        """Return the options that begin a list of words, and the words after them."""
        found, rest = Options(), list(words)
        while rest and re.match("-.", rest[0].text):
            word = rest.pop(0)
            if word.text == "--":
                break
            name, value, known = self._split(word.text)
            if known and value is None and name in self.valued:
                value = rest.pop(0).text if rest else ""
            dashes, parts = self.dashes, [(name, value)]
            if known and name == self._list:
                texts = re.split(r"[,:](?=\w+=)", value or "")
                dashes, parts = f"{dashes}{name} ", [_pair(text, "=") for text in texts]
            known |= self._is_open
            found += (
                Option(key, inner, word.line, dashes, known, self._must_be(key, inner))
                for key, inner in parts
            )
        return found, rest

    def read_all(self, words: Sequence[Word]) -> tuple[Options, list[Word]]:
        """Return all options of a list of words, and the words between them."""
        found, between, rest = Options(), list[Word](), list(words)
        while rest:
            options, rest = self.read(rest)
            found += options
            if rest and (not found or found[-1].known):  # else it may be its value
                between.append(rest[0])
            rest = rest[1:]
        return found, between

    def read_line(self, text: str, line: int = 0) -> tuple[Options, list[Word]]:
        """Return all options of a directive's text, with quotes as in a shell, and the other words.

        Args:
            text: the text, without `#SBATCH` and the like.
            line: number of its line.
        """
        try:
            texts = shlex.split(text, comments=True)
        except ValueError:  # a quote that does not end
            texts = text.split()
        return self.read_all([Word(word, line) for word in texts])

    def _must_be(self, name: str, value: str | None) -> str | None:
        pattern, words = self._values.get(name, ("", ""))
        if not pattern or value is None or "$" in value or re.fullmatch(pattern, value, re.ASCII):
            return None
        return words

    def _split(self, text: str) -> tuple[str, str | None, bool]:
        """Return an option's name, its value in the same word, and True if the name is known."""
        if self._any_dashes:
            name, equals, value = text.lstrip("-").partition("=")
            name = self._short.get(name, name)
            return name, value if equals else None, name in self.names
        name, equals, value = text.removeprefix(self.dashes), "", ""
        if self.dashes == "--":
            name, equals, value = name.partition("=")
        begun = [each for each in self.names if self._shortens and name and each.startswith(name)]
        long = name if name in self.names else begun[0] if len(begun) == 1 else None
        if long and text.startswith(self.dashes):
            return long, value if equals else None, True
        letter = self._short.get(text[1], text[1])
        if letter in self.names and not text.startswith("--"):
            return letter, text[2:] or None, True
        return text.lstrip("-").partition("=")[0], None, False


def _pair(text: str, between: str) -> tuple[str, str]:
    first, _, second = text.partition(between)
    return first, second


def _pairs(text: str) -> dict[str, str]:
    return dict(_pair(pair, ":") for pair in text.split())


COUNT = r"\d{1,9}"

MPIRUN = OptionTable(
    "np n ppn f hosts bind-to map-by env genv wdir",
    "genvall verbose",
    values=[("np n ppn", COUNT, "a number")],
    dashes="-",
    is_open=True,
)
"""Options of mpirun that several MPIs have."""

WORKER = OptionTable(
    "results images device gpu trainers order time-left elements element site job begun nodes "
    "notify notify-as",
    "mps accept-code preflight help",
    "h:help",
    [
        ("elements element nodes", COUNT, "a number"),
        ("begun", r"\d{1,13}", "seconds since 1970"),
        ("trainers", "auto|[1-9]|[1-5][0-9]|6[0-4]", "a number from 1 to 64, or auto"),
        ("device", "auto|cpu|cuda", "auto, cpu or cuda"),
        ("order", "longest|shortest", "longest or shortest"),
        ("time-left", r"(?=.*[1-9])\d{1,9}(\.\d{1,9})?", "minutes, such as 120"),
        ("results images", ".+", "a folder"),
        ("notify", ".+", "a command"),
        ("gpu", r"\{.*\}", "table [gpu] of a site file as JSON"),
    ],
    shortens=True,
)
"""Options of python -m nnlc.worker."""
