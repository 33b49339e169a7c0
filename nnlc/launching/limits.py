"""Limits of a site for plans, and the nearest possible values for a request beyond them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nnlc.errors import SiteError
from nnlc.schedulers.site import Site
from nnlc.schedulers.site_values import MOST
from nnlc.wording import counted

START_MINUTES = 2
"""Assumed minutes from a job's start to its first training step, for launcher, Python, torch and
images; too long unless thousands of ranks read from one disk."""
SAVE_MINUTES = 1
"""Minutes from the warning to the end of the job, in which every network is saved."""
MOST_ELEMENTS = 100
"""Most array elements of a plan, unless the user asks for more."""
_STEP = 1.15
"""Ratio of a number to try and the number before, after the first few numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Values of a plan that a user sets; `nnlc plan` chooses the others."""

    nodes: int | None = None
    """Nodes of each job."""
    minutes: int | None = None
    """Walltime of each job."""
    elements: int | None = None
    """Elements of the job array."""


def asked_minutes(minutes: int | None, hours: float | None) -> int | None:
    """Return the walltime from --minutes or --hours; None if neither is given.

    Raises:
        SiteError: both are given, or the hours are not a number.
    """
    if hours is None:
        return minutes
    if minutes is not None:
        raise SiteError(f"--hours {hours:g} and --minutes {minutes}: give only --minutes")
    if not (math.isfinite(hours) and hours <= MOST / 60):
        raise SiteError(f"--hours {hours}: must be a number of hours, such as 2.5")
    return round(60 * hours)


def check_request(request: PlanRequest, site: Site, networks: int) -> None:
    """Check that the site and the number of networks allow a request.

    Raises:
        SiteError: the request is impossible; the message names the nearest possible value.
    """
    if not site.scheduler.has_queue and request.minutes is not None:
        raise SiteError(
            f"--minutes: nothing ends a job on {site.name}, a local site; the nearest possible is "
            "to leave --minutes out"
        )
    if request.nodes is not None:
        _check_nodes(request.nodes, site)
    if request.minutes is not None:
        _check_minutes(request.minutes, request.nodes, site)
    if request.elements is not None:
        _check_elements(request.elements, site, networks)


def walltime_minutes(request: PlanRequest, site: Site, nodes: int) -> int | None:
    """Return the longest walltime of a job with this many nodes; None without a limit."""
    if not site.scheduler.has_queue:
        return None
    if request.minutes is not None:
        return request.minutes
    longest = site.longest_minutes(nodes)
    return site.walltime_minutes if longest is None else longest


def work_minutes(site: Site, minutes: int) -> int:
    """Return the minutes of a walltime that are left for training."""
    return minutes - START_MINUTES - SAVE_MINUTES - site.notice.minutes


def node_choices(request: PlanRequest, site: Site, networks: int) -> list[int]:
    """Return numbers of nodes to try: allowed, and without more GPUs than networks if possible.

    The fewest nodes of each bin are always among them.
    """
    if request.nodes is not None:
        return [request.nodes]
    if not site.scheduler.has_queue:
        return [1]
    useful = -(-networks // site.gpus_per_node)
    found = {
        nodes
        for low, high in _regions(site)
        for nodes in [low, *_numbers(low, min(useful, high))]
        if _has_time(site, nodes, request.minutes)
    }
    return sorted(found)


def element_choices(request: PlanRequest, site: Site, networks: int) -> list[int]:
    """Return numbers of array elements to try, up to the number that may run at a time."""
    if request.elements is not None:
        return [request.elements]
    limits = (queue_takes(site), site.max_running_jobs, networks, MOST_ELEMENTS)
    most = min(n for n in limits if n is not None) if site.scheduler.has_queue else 1
    return list(_numbers(1, most))


def queue_takes(site: Site) -> int | None:
    """Return the most elements that can be submitted; None if the site file has no limit."""
    if site.max_queued_jobs is None:
        return None
    doubled = site.scheduler.submits_successor and site.requeue
    return max(1, site.max_queued_jobs // max(site.links_at_once, 2 if doubled else 1))


def longer_sizes(site: Site, minutes: int) -> list[int]:
    """Return the fewest nodes of each bin whose jobs may last longer than `minutes`."""
    found = ((low, site.longest_minutes(low)) for low, _ in _regions(site))
    return [low for low, longest in found if longest is not None and longest > minutes]


def no_time_left(minutes: int, site: Site) -> str:
    """Return the reason why a walltime leaves no time for training; empty if it leaves some."""
    if work_minutes(site, minutes) >= 1:
        return ""
    least = minutes - work_minutes(site, minutes) + 1
    return (
        f"--minutes {minutes}: no time is left for training: {START_MINUTES} go into the start, "
        f"{site.notice.minutes} into the warning and {SAVE_MINUTES} into saving; the nearest "
        f"possible is --minutes {least}"
    )


def short_walltime_notes(asked: int | None, site: Site) -> Iterator[str]:
    """Yield a note if jobs are so short that no plan counts on them."""
    if problem := no_time_left(site.walltime_minutes if asked is None else asked, site):
        yield f"note: {problem}"


def too_short(site: Site) -> SiteError:
    """Return the error of a site where no job has time for training, or none has a size."""
    if not _regions(site):
        return SiteError(
            f"site {site.place}: max_nodes = {site.max_nodes} is less than any of its bins has; "
            "give the site a larger max_nodes, or bins for fewer nodes"
        )
    return SiteError(
        f"site {site.place}: the jobs that it allows are too short: start, warning and saving take "
        "all of their time; give the site longer bins, max_walltime_minutes or walltime_minutes"
    )


def _check_nodes(nodes: int, site: Site) -> None:
    try:
        if nodes >= 1 and _has_time(site, nodes, None):
            return
        longest = site.longest_minutes(nodes)
        problem = f"jobs of this size may last {longest} minutes, too short to train"
    except ValueError as impossible:
        problem = str(impossible)
    if nodes < 1:
        problem = "must be at least 1"
    nearest = _nearest(site, nodes, None)
    if nearest is None:
        raise too_short(site)
    raise SiteError(f"--nodes {nodes}: {problem}; the nearest possible is --nodes {nearest}")


def _check_minutes(minutes: int, nodes: int | None, site: Site) -> None:
    if problem := no_time_left(minutes, site):
        raise SiteError(problem)
    if nodes is not None and not _has_time(site, nodes, minutes):
        longest = site.longest_minutes(nodes) or 0
        enough = _nearest(site, nodes, minutes)
        raise SiteError(
            f"--minutes {minutes}: a job of {counted(nodes, 'node')} on {site.place} may last "
            f"{longest}; the nearest possible is --minutes {longest}"
            + (f", or --nodes {enough}" if enough is not None else "")
        )
    if nodes is None and _nearest(site, 1, minutes) is None:
        if _nearest(site, 1, None) is None:
            raise too_short(site)
        longest = max(site.longest_minutes(low) or 0 for low, _ in _regions(site))
        raise SiteError(
            f"--minutes {minutes}: no job on {site.place} may last so long; the nearest possible "
            f"is --minutes {longest}"
        )


def _check_elements(elements: int, site: Site, networks: int) -> None:
    most, why = networks, f"{counted(networks, 'network is', 'networks are')} to train"
    takes = queue_takes(site)
    if takes is not None and takes < most:
        most, why = takes, f"{site.place} has max_queued_jobs = {site.max_queued_jobs}"
        if site.links_at_once > 1:
            why += f", and {site.links_at_once} jobs of each element are submitted at once"
        elif takes != site.max_queued_jobs:
            why += ", and each job submits its successor before it ends"
    if not site.scheduler.has_queue:
        most, why = 1, "without a scheduler there is no job array"
    if elements < 1:
        raise SiteError(
            f"--elements {elements}: must be at least 1; the nearest possible is --elements 1"
        )
    if elements > most:
        raise SiteError(f"--elements {elements}: {why}; the nearest possible is --elements {most}")


def _regions(site: Site) -> list[tuple[int, int]]:
    """Return the fewest and most nodes of each bin."""
    top = site.max_nodes or MOST
    bins = [b.nodes for b in site.queue_bins] or [(1, top)]
    return [(low, min(high, top)) for low, high in bins if low <= top]


def _nearest(site: Site, nodes: int, minutes: int | None) -> int | None:
    """Return the nearest allowed number of nodes whose jobs may last this many minutes."""
    clamped = (max(low, min(nodes, high)) for low, high in _regions(site))
    found = [n for n in clamped if _has_time(site, n, minutes)]
    return min(found, key=lambda n: (abs(n - nodes), n), default=None)


def _has_time(site: Site, nodes: int, minutes: int | None) -> bool:
    """Return True if jobs of this size have time for training, and may last `minutes`."""
    longest = site.longest_minutes(nodes)
    if longest is None:
        return True
    return work_minutes(site, longest) > 0 and (minutes is None or minutes <= longest)


def _numbers(low: int, high: int) -> Iterator[int]:
    """Yield numbers from low to high, both included: at first each, then in steps of 15 %."""
    number = low
    while number < high:
        yield number
        number = max(number + 1, round(_STEP * (number - low) + low))
    if low <= high:
        yield high
