"""What README and CONTRIBUTING tell a reader to do, found in the Markdown itself."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DOCUMENTS.remove(ROOT / "CHANGELOG.md")  # tells of what was

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = re.compile(r"(?:\.venv/bin/)?(?:nnlc|python3?|mpirun|pip|ssh|pytest)(?: |$)|\.ci/run")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*(?![\w./])")


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def fenced(document: Path) -> list[tuple[str, str]]:
    """Return language and content of each fenced block."""
    return _FENCED.findall(text_of(document))


def indented(document: Path) -> list[list[str]]:
    """Return the lines of each indented block."""
    blocks: list[list[str]] = [[]]
    for line in _FENCED.sub("", text_of(document)).splitlines():
        if line.startswith("    "):
            blocks[-1].append(line.removeprefix("    "))
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def inline(document: Path) -> list[str]:
    """Return the code within sentences and tables, each in one line."""
    prose = "\n".join(
        line
        for line in _FENCED.sub("", text_of(document)).splitlines()
        if not line.startswith("    ")
    )
    return [" ".join(code.replace("\\|", "|").split()) for code in re.findall(r"`([^`]+)`", prose)]


def commands(document: Path) -> Iterator[str]:
    """Give every command: a line of a block, or code in a sentence that begins like one."""
    for block in indented(document):
        if _PROGRAMS.match(block[0]):
            lines = re.sub(r"\n {8,}", " ", "\n".join(block)).splitlines()  # those that go on
            yield from (re.sub(r"\s+#.*", "", line) for line in lines)
    yield from filter(_PROGRAMS.match, inline(document))


def options(text: str) -> set[str]:
    return set(_OPTION.findall(text))
