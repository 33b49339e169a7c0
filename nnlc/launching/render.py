"""From a campaign and a site to the text of a job script.

Every number is worked out and formatted here; the templates in `launch/` hold only words. What a
user can write passes one of two filters there: `quote` where the shell reads it, `word` in a
directive, where no shell does.
"""

import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from nnlc.campaign import load_campaign
from nnlc.environment import DETERMINISM
from nnlc.errors import SiteError
from nnlc.launching.site import Site, check_line, check_word
from nnlc.shipped import shipped_folder, shipped_names


def render_script(
    campaign_name_or_path: str,
    site: Site,
    *,
    nodes: int | None = None,
    walltime_minutes: int | None = None,
    results: str | None = None,
    python: str = "python",
) -> str:
    """The job script that trains a campaign on a site.

    Args:
        campaign_name_or_path: a shipped campaign's name, or the path of a campaign file.
        site: where the job is to run.
        nodes: the site's own default if left out.
        walltime_minutes: the same; without effect on a local site, where nothing ends the job.
        results: the results folder, taken literally; the worker's own default if left out.
        python: the interpreter to start, taken literally.

    Raises:
        CampaignError: the campaign can't be used.
        SiteError: the site lacks something or allows less, or a value can't stand in a script.
    """
    _check_argument("campaign", campaign_name_or_path)
    _check_option("python", python)
    if results is not None:
        _check_option("results", results)
    nodes = _within(site, "nodes", nodes, site.max_nodes)
    minutes = _within(site, "walltime_minutes", walltime_minutes, site.max_walltime_minutes)
    if site.account_required and not site.account:
        raise SiteError(
            f"site {site.name}, key account: this site starts no job without one; "
            f'write a site file with extends = "{site.name}" and account = "YOUR_PROJECT"'
        )
    words = site.model_dump() | {
        "job_name": load_campaign(campaign_name_or_path).name,
        "campaign": _campaign_argument(campaign_name_or_path),
        "nodes": nodes,
        "ranks": nodes * site.gpus_per_node,
        "walltime": _WALLTIME[site.scheduler](minutes),
        "results": results,
        # A rank that finds no GPU where the site has some shall say so, not train on its core.
        "device": None if site.scheduler == "local" else "cuda",
        "python": python,
        "determinism": DETERMINISM,
    }
    return _render(f"{site.scheduler}.sh.j2", words)


def slurm_walltime(minutes: int) -> str:
    """HH:MM:SS; Slurm takes any number of hours."""
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def lsf_walltime(minutes: int) -> str:
    """[hours:]minutes, as LSF demands: it has no seconds."""
    return f"{minutes // 60}:{minutes % 60:02}"


_WALLTIME = {"slurm": slurm_walltime, "lsf": lsf_walltime, "local": slurm_walltime}


def _within(site: Site, key: str, asked: int | None, most: int | None) -> int:
    """What is asked for, or else the site's default, if the site allows it."""
    value = int(getattr(site, key)) if asked is None else asked
    if value < 1:
        raise SiteError(f"{key} must be at least 1; found {value}")
    if most is not None and value > most:
        raise SiteError(f"{key} = {value}, but the site {site.name} has max_{key} = {most}")
    return value


def _campaign_argument(name_or_path: str) -> str:
    """A shipped name stays; a path becomes absolute, since a job may start in another folder."""
    if name_or_path in shipped_names("jobs", ".toml"):
        return name_or_path
    # Not resolved: what a link leads to may have another path on the compute nodes.
    return str(Path(name_or_path).absolute())


def _check_argument(key: str, text: str) -> None:
    try:
        check_line(text)
    except ValueError as problem:
        raise SiteError(f"{key}: {problem}") from None


def _check_option(key: str, text: str) -> None:
    """A value that a launcher or the worker could take for an option of its own is refused."""
    _check_argument(key, text)
    if text.startswith("-"):
        raise SiteError(f"{key}: {text!r} looks like an option; write ./{text}")


def _render(template: str, words: dict[str, Any]) -> str:
    environment = Environment(  # noqa: S701  a script is no HTML: quote and word escape it
        loader=FileSystemLoader(shipped_folder("launch")),
        undefined=StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quote": shlex.quote, "word": _word}
    try:
        return environment.get_template(template).render(words)
    except TemplateError as problem:
        raise SiteError(f"job-script template {template}: {problem}") from problem


def _one_line(value: object) -> str:
    """Whatever a template prints: nothing can begin a line of its own."""
    text = str(value)
    if text:
        _check_argument("job script", text)
    return text


def _word(value: object) -> str:
    try:
        return check_word(str(value))
    except ValueError as problem:
        raise SiteError(f"job script: {problem}") from None
