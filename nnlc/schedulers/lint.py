"""Checks a job script, ours or a user's, against the rules of its scheduler and its site."""

from pathlib import Path

from nnlc.errors import SiteError
from nnlc.schedulers.rules import COMMON, Finding
from nnlc.schedulers.script import Script
from nnlc.schedulers.site import Site
from nnlc.system.text_file import read_undecoded

_MARK = "\ufeff"


def lint_script(text: str, site: Site) -> list[Finding]:
    """Return everything in a script that breaks a rule, in the order of its lines."""
    script = Script(text.removeprefix(_MARK), site.scheduler)
    rules = (*COMMON, *site.scheduler.rules())
    found = {finding for rule in rules for finding in rule(script, site)}
    if text.startswith(_MARK):
        found.add(Finding(1, "a byte-order mark stands before #!", "save it as UTF-8 without one"))
    return sorted(found, key=lambda finding: (finding.line, finding.problem))


def lint_file(path: Path, site: Site) -> list[Finding]:
    """Return everything in a script's file that breaks a rule, in the order of its lines.

    Raises:
        SiteError: the file can't be read.
    """
    text = read_undecoded(path, SiteError).decode("utf-8", "surrogateescape")
    return lint_script(text, site)
