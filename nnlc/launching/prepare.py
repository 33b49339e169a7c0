"""Scripts of a submission and its copy of the campaign, checked, in the results folder's `jobs/`.

The scripts name the copy, so that later edits of the campaign change no job. No submission
overwrites files of another.
"""

import hashlib
import os
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
    """Path and text of each script; several if the site allows only shorter arrays."""
    campaign_file: Path
    campaign: bytes
    notes: list[str]
    """Notes of `nnlc lint` on the scripts."""

    def keep(self) -> None:
        """Write the files that don't exist yet.

        Raises:
            ResultsError: another file has one of the names, or a file can't be written.
        """
        texts = [(path, text.encode()) for path, text in self.scripts]
        for path, content in [(self.campaign_file, self.campaign), *texts]:
            try:
                if not write_once(path, content) and read_regular(path) != content:
                    raise ResultsError(f"{path}: another file has this name; submit once more")
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
    request = replace(request, campaign=str(copy), submitted=True, logs=_log_folder(results, site))
    for name in _numbered(site.name):
        parts = _parts(request, site, folder / name)
        scripts = [(Path(p.script or ""), render_script(p, site, campaign)) for p in parts]
        if all(_free(path, text.encode()) for path, text in scripts):
            break
    notes = [note for path, text in scripts for note in check_script(path, text, site)]
    return Submission(scripts, copy, content, notes)


def plain_script(request: Request, site: Site, campaign: Campaign) -> str:
    """Return the script of a request, or its first, that needs no file of a submission."""
    here = min(request.elements, site.max_array_elements)
    return render_script(replace(request, here=here), site, campaign)


def plain_script_note(submission: Submission, site: Site, results: ResultsFolder) -> str:
    """Return a note on what a submission's script has besides the `plain_script`."""
    found = ["reads a copy of the campaign"]
    if (logs := _log_folder(results, site)) is not None:
        found.append(f"writes its log into {logs}")
    if site.scheduler.submits_successor and site.requeue and site.links_at_once == 1:
        found.append("submits the next job if it ends unfinished")
    script = submission.scripts[0][0]
    words = " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
    return f"note: this script needs no file of 'nnlc submit', whose own, {script}, {words}"


def check_script(path: Path, text: str, site: Site) -> list[str]:
    """Return the notes of `nnlc lint` on a script.

    Raises:
        SiteError: the script breaks rules; the message has all of them.
    """
    findings = lint_script(text, site)
    wrong = [finding for finding in findings if not finding.note]
    if wrong:
        raise SiteError("\n".join(_lines(path, wrong)))
    return list(_lines(path, findings))


def _log_folder(results: ResultsFolder, site: Site) -> str | None:
    """Return the path of the logs; None if a directive can't have it, as schedulers alter it."""
    path = str(results.logs_folder.absolute())
    return None if set(path) & set(site.scheduler.not_in_logs) else path


def _lines(path: Path, findings: list[Finding]) -> Iterator[str]:
    return (f"{path}:{finding}" for finding in findings)


def _parts(request: Request, site: Site, stem: Path) -> list[Request]:
    """Return one request per array, with at most as many elements as the site allows."""
    most = site.max_array_elements
    parts = []
    for first in range(0, max(1, request.elements), most):
        end = f"-{first // most}.sh" if request.elements > most else ".sh"
        here = min(most, request.elements - first)
        script = f"{stem}{end}"
        parts.append(replace(request, first_element=first, here=here, script=script))
    return parts


def _numbered(name: str) -> Iterator[str]:
    """Yield a name, then the name with a number: 2, 3 and so on."""
    yield name
    yield from (f"{name}.{number}" for number in count(2))


def _free(path: Path, content: bytes) -> bool:
    """Return True if no file with other content has this path."""
    try:
        return read_regular(path) == content
    except OSError:
        return not os.path.lexists(path)
