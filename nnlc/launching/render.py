"""Job scripts from a campaign, a site and a template of `launch/`.

All numbers are computed here; templates only insert them. In templates each value from a user
passes a filter: `quote` in shell commands, `word` in directives, which no shell reads.
"""

import json
import shlex
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nnlc.campaign.campaign import Campaign, load_campaign
from nnlc.errors import SiteError
from nnlc.launching.spare_node import may_have_spare
from nnlc.networks.image_sets import comes_with_nnlc
from nnlc.results.paths import ResultsPaths, results_path
from nnlc.schedulers.scheduler import LEAST_SECONDS
from nnlc.schedulers.site import Site, file_to_write
from nnlc.schedulers.site_queues import other_queues_for
from nnlc.schedulers.site_values import MOST, check_word
from nnlc.system.environment import DETERMINISM
from nnlc.system.notify_command import NOTIFY_SECONDS
from nnlc.system.one_line import check_line
from nnlc.system.shipped import shipped_folder, shipped_names
from nnlc.wording import counted, reason_of

MOST_RESTARTS = 1000
"""Most restarts of a job, as a guard against endless restarts."""
_HEARD = ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "XCPU", "PWR")
ENDING_SIGNALS = [name for name in _HEARD if hasattr(signal, f"SIG{name}")]
"""Signals that end a job from outside and can be caught; ranks handle all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A user's values for a job script; defaults come from the site or the worker."""

    campaign: str
    """A shipped name, or the path of a campaign file."""
    nodes: int | None = None
    walltime_minutes: int | None = None
    elements: int = 1
    """Elements of the job array, which share the campaign's networks."""
    first_element: int = 0
    here: int | None = None
    """Elements of this array if a longer array is split into several; default all."""
    results: str | None = None
    """Path of the results folder, taken literally; default: results/<campaign>, from the folder in
    which the job starts."""
    logs: str | None = None
    """Folder for the job's log, which must exist when the job starts; default: the folder in which
    the job is submitted."""
    images: str | None = None
    """Folder with the images from 'nnlc stage', taken literally."""
    python: str = "python"
    """Python interpreter, taken literally."""
    script: str | None = None
    """Path of the script if it is known, for jobs that submit themselves again."""
    leave_out: tuple[str, ...] = ()
    """Hosts of nodes that the job must not use, since they took earlier ones down."""
    submitted: bool = False
    """True if the campaign is the copy of a submission, which users don't edit."""


def render_script(request: Request, site: Site, campaign: Campaign | None = None) -> str:
    """Return the job script that trains a campaign on a site.

    Args:
        request: the user's values.
        site: the site.
        campaign: the campaign if it is not in a file yet.

    Raises:
        CampaignError: the campaign can't be used.
        SiteError: the site lacks a key or allows less, or a value can't be in a script.
    """
    _check_argument("campaign", request.campaign)
    for key in ("python", "results", "images", "logs", "script"):
        if (text := getattr(request, key)) is not None:
            _check_option(key, text)
    if site.account_required and not site.account:
        raise SiteError(
            f"site {site.name}, key account: this site starts no job without an account; "
            f'give --account, or write account = "…" into {file_to_write(site)}'
        )
    campaign = campaign or load_campaign(request.campaign)
    if site.container is not None:
        request = _with_full_paths(request, campaign)
    nodes, minutes = _size(request, site, campaign)
    here = request.elements if request.here is None else request.here
    argument = _campaign_argument(request.campaign)
    results = request.results or str(results_path(None, campaign.name))
    stage_images = bool(site.local_disk and request.images and _staged_sets(campaign))
    seen = replace(request, images=None) if stage_images else request
    scheduler = site.scheduler
    queue = site.queue and _word(site.queue)
    directives = scheduler.directives(site)
    spare = may_have_spare(site, nodes, minutes)
    words = site.model_dump(exclude={"notice", "scheduler", "bins", "queues"}) | {
        "scheduler": scheduler.name,
        "has_queue": scheduler.has_queue,
        "job_name": campaign.name,
        "campaign": argument,
        "campaign_is_file": argument.startswith("/"),
        "submitted": request.submitted,
        "launcher": scheduler.launcher,
        "ending_signals": [s for s in ENDING_SIGNALS if s != site.notice.signal],
        "nodes": nodes,
        "may_have_spare": spare,
        "asked_nodes": nodes + (spare and bool(request.leave_out)),
        "ranks": nodes * site.gpus_per_node,
        "walltime": scheduler.walltime(minutes),
        "minutes": minutes,
        "elements": request.elements,
        "first_element": request.first_element,
        "last_index": here - 1,
        "results": results,
        "logs": request.logs,
        "images": request.images,
        "stage_images": stage_images,
        "trainers": site.trainers_per_gpu,
        "queue": None if site.queue_option else queue,  # for templates of users
        "directives": scheduler.leaving_out(directives, request.leave_out),
        "left_out": request.leave_out,
        "own_left_out": scheduler.left_out(directives),
        "bad_nodes": str(ResultsPaths(Path(results)).bad_nodes_file),
        "start_mps": site.mps and not scheduler.runs_mps,
        "gpu_flags": site.device == "cuda",
        "gpu_option": site.gpu.option if site.gpu and site.device != "cpu" else None,
        "python": request.python,
        "container": site.container,
        "folders": folders_of(seen, campaign),
        "notify": campaign.run.notify or site.notify,
        "notify_seconds": int(NOTIFY_SECONDS),
        "failed_event": _failed_event(campaign.name, results),
        "script": request.script,
        "reads_input": site.submit.endswith("<"),
        "notice_signal": site.notice.signal,
        "notice_minutes": site.notice.minutes,
        "notice_seconds": 60 * site.notice.minutes,
        "least_seconds": LEAST_SECONDS,
        "most_restarts": MOST_RESTARTS,
        "determinism": DETERMINISM,
    }
    return _render(site, words)


def folders_of(request: Request, campaign: Campaign) -> list[str]:
    """Return the folders that the ranks read or write: results, images, campaign and its family.

    The campaign that a submission copies into the results folder needs no other file of campaigns.
    """
    found = [request.results or str(results_path(None, campaign.name))]
    if request.images and _staged_sets(campaign):
        found.append(request.images)
    if (argument := _campaign_argument(request.campaign)).startswith("/"):
        found.append(str(Path(argument).parent))
    own = (campaign.datasets[name].npz for name in campaign.image_sets())
    found += [str(Path(file).parent) for file in own if file is not None]
    if campaign.family is not None and campaign.family.folder is not None:
        found.append(campaign.family.folder)
    return found


def _failed_event(campaign: str, results: str) -> str:
    """Return the event of a failed job that its script completes and tells where nnlc can't."""
    text = f"a job of campaign {campaign} failed, and nnlc could not tell why: see its log"
    event = {"event": "failed", "text": text, "campaign": campaign, "results": results}
    return json.dumps(event).removesuffix("}")


def _staged_sets(campaign: Campaign) -> list[str]:
    """Return the image sets that 'nnlc stage' brings into the folder of images."""
    return [
        name
        for name in campaign.image_sets()
        if campaign.datasets[name].npz is None and not comes_with_nnlc(name)
    ]


def _with_full_paths(request: Request, campaign: Campaign) -> Request:
    """Return a request with full paths of results and images, as containers need them."""
    results = request.results or results_path(None, campaign.name)
    images = request.images and str(Path(request.images).absolute())
    return replace(request, results=str(Path(results).absolute()), images=images)


def _size(request: Request, site: Site, campaign: Campaign) -> tuple[int, int]:
    """Return nodes and minutes, checked against the site."""
    nodes = site.nodes if request.nodes is None else request.nodes
    asked = request.walltime_minutes
    minutes = site.walltime_minutes if asked is None else asked
    for key, value in (
        ("nodes", nodes),
        ("walltime_minutes", minutes),
        ("elements", request.elements),
    ):
        if not 1 <= value <= MOST:
            raise SiteError(f"{key} must be a number from 1 to {MOST}; found {value}")
    try:
        longest = site.longest_minutes(nodes)
    except ValueError as problem:
        hint = other_queues_for(site, nodes, minutes)
        raise SiteError(f"nodes = {nodes}: {problem}{hint}") from None
    if longest is not None and minutes > longest:
        raise SiteError(
            f"walltime_minutes = {minutes}, but a job of {counted(nodes, 'node')} on {site.place} "
            f"may last {longest}{other_queues_for(site, nodes, minutes)}"
        )
    if not site.scheduler.has_queue:
        if asked is not None:
            raise SiteError(f"walltime_minutes = {asked}: nothing ends a job on {site.name}")
        if request.elements > 1:
            raise SiteError("elements: without a scheduler there is no job array")
    elif minutes < (least := site.scheduler.shortest_minutes(site.notice.minutes)):
        raise SiteError(
            f"walltime_minutes = {minutes}: the job would have no time before the warning of "
            f"{site.name}, notice.minutes = {site.notice.minutes}; it must be at least {least}"
        )
    if request.elements > (networks := campaign.network_count):
        has = counted(networks, "network")
        raise SiteError(f"elements = {request.elements}: the campaign has {has}")
    return nodes, minutes


def _campaign_argument(name_or_path: str) -> str:
    """Return a shipped name, or an absolute path since a job may start in another folder."""
    if name_or_path in shipped_names("jobs", ".toml"):
        return name_or_path
    # Not resolved: a link's target may have another path on the compute nodes.
    return str(Path(name_or_path).absolute())


def _check_argument(key: str, text: str) -> None:
    try:
        check_line(text)
    except ValueError as problem:
        raise SiteError(f"{key}: {problem}") from None


def _check_option(key: str, text: str) -> None:
    """Check that launcher and worker can't mistake a value for an option."""
    _check_argument(key, text)
    if text.startswith("-"):
        raise SiteError(f"{key}: {text!r} looks like an option; write ./{text}")


def _render(site: Site, words: dict[str, Any]) -> str:
    shipped = f"{site.scheduler.name}.sh.j2"
    own = Path(site.template) if site.template else None
    environment = Environment(  # noqa: S701  a script is no HTML: quote and word escape it
        loader=FileSystemLoader(
            [*([own.parent] if own else []), shipped_folder("launch")],
            encoding="utf-8-sig",  # drops the byte-order mark of some editors
            followlinks=True,
        ),
        undefined=StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quote": shlex.quote, "word": _word}
    name = own.name if own else shipped
    try:
        return environment.get_template(name).render(words)
    except SiteError:
        raise
    except Exception as problem:  # a template may raise any error
        reason = reason_of(problem)
        raise SiteError(f"job-script template {own or shipped}: {reason}") from problem


def _one_line(value: object) -> str:
    """Return a value that a template prints, if it fits on one line."""
    text = str(value)
    if text:
        _check_argument("job script", text)
    return text


def _word(value: object) -> str:
    try:
        return check_word(str(value))
    except ValueError as problem:
        raise SiteError(f"job script: {problem}") from None
