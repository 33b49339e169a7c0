"""Scripts of a submission and its copy of the campaign, checked and kept in `jobs/` of the folder.

The scripts name the copy, so that later edits of the campaign change no job. No submission writes
over a file of another.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError, SiteError
from nnlc.launching.render import Request, render_script
from nnlc.results.campaign_file import campaign_toml
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.rules import Finding
from nnlc.schedulers.site import Site
from nnlc.system.files import read_regular, write_once

_HEAD = b"# A campaign as it was submitted, whole: its jobs read this copy. Written by nnlc.\n"


@dataclass(frozen=True, slots=True)
class Submission:
    """Scripts that are ready for the queue, and the campaign that they train."""

    scripts: list[tuple[Path, str]]
    """Path and text of each; several if the site's arrays are shorter."""
    campaign_file: Path
    campaign: bytes
    notes: list[str]
    """Notes of `nnlc lint` on the scripts."""

    def keep(self) -> None:
        """Write what does not stand yet.

        Raises:
            ResultsError: another file has one of the names, or it can't be written.
        """
        texts = [(path, text.encode()) for path, text in self.scripts]
        for path, content in [(self.campaign_file, self.campaign), *texts]:
            try:
                if not write_once(path, content) and read_regular(path) != content:
                    raise ResultsError(f"{path}: another file stands there; submit once more")
            except OSError as problem:
                raise ResultsError(f"{path}: can't be written: {problem.strerror}") from None


def prepare(request: Request, site: Site, results: ResultsFolder, campaign: Campaign) -> Submission:
    """Return the scripts of a request; nothing is written.

    Raises:
        SiteError, CampaignError: the request can't be fulfilled, or a script breaks a rule.
    """
    folder = results.jobs_folder.absolute()
    content = _HEAD + campaign_toml(campaign)
    names = _numbered(f"campaign-{hashlib.sha256(content).hexdigest()[:12]}")
    copy = next(p for name in names if _free(p := folder / f"{name}.toml", content))
    request = replace(request, campaign=str(copy), submitted=True)
    for name in _numbered(site.name):
        parts = _parts(request, site, folder / name)
        scripts = [(Path(p.script or ""), render_script(p, site, campaign)) for p in parts]
        if all(_free(path, text.encode()) for path, text in scripts):
            break
    notes = [note for path, text in scripts for note in check_script(path, text, site)]
    return Submission(scripts, copy, content, notes)


def check_script(path: Path, text: str, site: Site) -> list[str]:
    """Return the notes on a script, or refuse one that breaks a rule.

    Raises:
        SiteError: all that is wrong.
    """
    findings = lint_script(text, site)
    wrong = [finding for finding in findings if not finding.note]
    if wrong:
        raise SiteError("\n".join(_lines(path, wrong)))
    return list(_lines(path, findings))


def find_python(python: str, site: Site) -> str:
    """Return the path of the interpreter that ranks are to run.

    Args:
        python: a path, or the name of a program.
        site: its setup lines may bring a program of that name, and what its launcher starts, such
            as a container, may hold another.

    Raises:
        SiteError: there is none.
    """
    if site.template or any(not option.startswith("-") for option in site.launcher_options):
        return python
    if site.setup and "/" not in python:
        return python
    found = shutil.which(python)
    if found is None:
        raise SiteError(
            f"--python {python}: no program here; if only the compute nodes have it, 'nnlc render' "
            f"writes a script for '{site.submit}'"
        )
    return str(Path(found).absolute())  # not resolved: a link into an environment is that one's


def _lines(path: Path, findings: list[Finding]) -> Iterator[str]:
    return (f"{path}:{finding}" for finding in findings)


def _parts(request: Request, site: Site, stem: Path) -> list[Request]:
    """Return one request for each array, of at most as many elements as the site takes."""
    most = site.max_array_elements
    parts = []
    for first in range(0, max(1, request.elements), most):
        end = f"-{first // most}.sh" if request.elements > most else ".sh"
        here = min(most, request.elements - first)
        script = f"{stem}{end}"
        parts.append(replace(request, first_element=first, here=here, script=script))
    return parts


def _numbered(name: str) -> Iterator[str]:
    """Yield a name, then the same with numbers from 2 on."""
    yield name
    yield from (f"{name}.{number}" for number in count(2))


def _free(path: Path, content: bytes) -> bool:
    """Return True if no other file has this name; if it can't be written, `keep` says why."""
    try:
        return read_regular(path) == content
    except OSError:
        return not os.path.lexists(path)
