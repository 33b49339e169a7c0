"""Splits the text of a shell script into commands, as bash does, without expanding anything.

Reading never fails, whatever the text: an unfinished quote reaches to the end.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from nnlc.schedulers.options import Word

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
# Words before a command that leave it what it is.
_PREFIXES = {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "esac"}
_PREFIXES |= {"!", "{", "}", "time", "exec", "nohup", "command", "env"}
_SPACE = " \t\r\f\v"
_ENDS_A_WORD = _SPACE + "\n;|()&<>"
_REDIRECTION = re.compile(r"&?[<>]+[&|-]?")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a script sets."""

    name: str
    value: str
    line: int
    exported: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: what runs, with what."""

    words: tuple[Word, ...]
    """The program first; variables that are set for it alone are left out."""
    variables: tuple[Variable, ...] = ()
    background: bool = False

    @property
    def line(self) -> int:
        return (self.words or self.variables)[0].line

    @property
    def program(self) -> str:
        """Its name without a folder; empty where only variables are set."""
        return PurePosixPath(self.words[0].text).name if self.words else ""

    def has(self, text: str) -> bool:
        """Whether one of its words is this."""
        return any(word.text == text for word in self.words)


def read_commands(text: str) -> list[Command]:
    """Every simple command of a script, in its order, also those inside loops and conditions."""
    return _Scanner(text).commands


class _Scanner:
    """Goes once over a text, character by character."""

    def __init__(self, text: str) -> None:
        self.commands: list[Command] = []
        self._text, self._at, self._line = text, 0, 1
        self._words: list[Word] = []
        self._documents: list[str] = []
        self._word_end = -1
        while self._at < len(text):
            self._step(text[self._at])
        self._end_command(background=False)

    def _step(self, char: str) -> None:
        if char == "\n":
            self._end_command(background=False)
            self._take(1)
            self._skip_documents()
        elif char in _SPACE or self._text.startswith("\\\n", self._at):
            self._take(1 + (char == "\\"))
        elif char == "#":
            end = self._text.find("\n", self._at)
            self._take((len(self._text) if end < 0 else end) - self._at)
        elif found := _REDIRECTION.match(self._text, self._at):
            self._redirection(found[0])
        elif char in ";|()&":
            doubled = self._text[self._at + 1 : self._at + 2] == char and char in ";|&"
            self._end_command(background=char == "&" and not doubled)
            self._take(1 + doubled)
        else:
            self._word()

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        self._line += taken.count("\n")
        return taken

    def _redirection(self, operator: str) -> None:
        if self._words and self._word_end == self._at and self._words[-1].text.isdigit():
            self._words.pop()  # the number of what is redirected
        self._words.append(Word(operator, self._line, operator=True))
        self._take(len(operator))

    def _word(self) -> None:
        """Up to the next blank or separator that is in no quotes and in no `$(...)`."""
        line, kept, inside = self._line, "", list[str]()
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if not inside and char in _ENDS_A_WORD:
                break
            count, kept = self._part(char, self._text[self._at + 1 : self._at + 2], inside)
            parts.append(kept)
            self._take(count)
        word = Word("".join(parts), line)
        if self._words and self._words[-1].text in ("<<", "<<-") and self._words[-1].operator:
            self._documents.append(word.text)
        self._words.append(word)
        self._word_end = self._at

    @staticmethod
    def _part(char: str, after: str, inside: list[str]) -> tuple[int, str]:
        """How many characters to take, and what of them is kept; keeps count of what is open."""
        top = inside[-1] if inside else ""
        if char == "\\" and top != "'":
            bare = not inside or (inside == ['"'] and after in '$`"\\\n')
            return 2, ("" if after == "\n" else after) if bare else char + after
        if char == "$" and after and after in "({" and top != "'":
            inside.append(after)
            return 2, char + after
        if char == {"(": ")", "{": "}"}.get(top, top):
            inside.pop()
        elif top != "'" and (char in '"`' or (char == "'" and top != '"')):
            inside.append(char)
            return 1, char if top or char == "`" else ""
        elif char == "(" and top == "(":
            inside.append(char)
        dropped = char in "'\"" and char == top and not inside
        return 1, "" if dropped else char

    def _skip_documents(self) -> None:
        """Here-documents are no commands."""
        while self._documents:
            end = self._documents.pop(0)
            while self._at < len(self._text):
                stop = self._text.find("\n", self._at)
                line = self._take((len(self._text) if stop < 0 else stop + 1) - self._at)
                if line.strip() == end:
                    break

    def _end_command(self, *, background: bool) -> None:
        words, self._words = self._words, []
        variables: list[Variable] = []
        while words and not words[0].operator:
            if found := ASSIGNMENT.fullmatch(words[0].text):
                variables.append(Variable(found[1], found[2], words[0].line, exported=False))
            elif words[0].text not in _PREFIXES:
                break
            words.pop(0)
        if words or variables:
            self.commands.append(Command(tuple(words), tuple(variables), background))
