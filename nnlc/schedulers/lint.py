"""Check of job scripts, nnlc's or a user's, by the rules of their scheduler and site."""

from pathlib import Path

from nnlc.errors import SiteError
from nnlc.schedulers.rules import Finding
from nnlc.schedulers.script import Script
from nnlc.schedulers.site import Site
from nnlc.system.text_file import read_undecoded


def lint_script(text: str, site: Site) -> list[Finding]:
    """Return everything in a script that breaks a rule, in the order of its lines."""
    found = site.scheduler.rules()(Script(text, site.scheduler), site).findings()
    return sorted(found, key=lambda finding: (finding.line, finding.problem))


def lint_file(path: Path, site: Site) -> list[Finding]:
    """Return everything in a script's file that breaks a rule, in the order of its lines.

    Raises:
        SiteError: the file can't be read.
    """
    text = read_undecoded(path, SiteError).decode("utf-8", "surrogateescape")
    return lint_script(text, site)
