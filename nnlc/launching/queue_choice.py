"""Plan of a campaign at a site: the best of the plans in each of its queues, and its command.

The choice among queues keeps
  1. the plans whose charge is within 2 % of the least;
  2. of these, the plans whose makespan is at most twice the shortest;
  3. of these, the plan with the fewest jobs, since each job waits in the queue, uncounted;
  4. of these, the plan with the shortest makespan.
With --queue there is no choice. Queues that the site file has only on request are shown, but not
chosen.
"""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import SiteError
from nnlc.launching.forecast import Forecast, forecast_campaign, nothing_to_plan
from nnlc.launching.limits import PlanRequest
from nnlc.launching.plan import NODE_HOURS_TOLERANCE, Option, Plan, make_plan
from nnlc.results.folder import ResultsFolder
from nnlc.results.paths import results_path
from nnlc.schedulers.site import Site
from nnlc.schedulers.site_queues import each_queue, unknown_queue

MAKESPAN_RATIO = 2.0
"""Most times the shortest makespan for which fewer jobs are chosen."""


def plan_campaign(
    campaign: str,
    name: str,
    site: Site,
    results: Path | None,
    request: PlanRequest,
    others: Sequence[str],
    *,
    any_queue: bool = True,
) -> Plan:
    """Return a plan with its command.

    Args:
        campaign: name or file of the campaign.
        name: name or file of the site.
        site: the site, in the queue that the user or its file names, with the account, if any.
        results: results folder; default: results/<campaign>.
        request: values of the plan that the user sets.
        others: options that matter to `nnlc submit` alone, to be repeated in its command.
        any_queue: True if the plan may be for another queue of the site; False with --queue.

    Raises:
        NnlcError: the user must correct something.
    """
    if not site.knows_queue:
        raise unknown_queue(site, name)
    loaded = load_campaign(campaign, accept_code=True)
    folder = ResultsFolder(results_path(results, loaded.name))
    plan = plan_in_queues(forecast_campaign(loaded, site, folder), request, any_queue=any_queue)
    words = [campaign, "--site", name, *_options(plan.chosen), *others]
    if not any_queue or plan.forecast.site.queue != site.queue:
        words += ["--queue", str(plan.forecast.site.queue)]
    words += ["--account", "YOURS"] if site.account_required and not site.account else []
    words += ["--results", str(results)] if results else []
    if site.scheduler.has_queue:
        command = f"nnlc submit {shlex.join(words)}"
    else:
        command = f"nnlc render {shlex.join(words)} -o job.sh && {site.submit} job.sh"
    return dataclasses.replace(plan, command=command)


def plan_in_queues(forecast: Forecast, request: PlanRequest, *, any_queue: bool = True) -> Plan:
    """Return the plan in the best of a site's queues, with those in the others for comparison.

    Args:
        forecast: networks to train at the site, in its present queue.
        request: values of the plan that the user sets.
        any_queue: True if the plan may be for another queue than the present one.

    Raises:
        SiteError: the request is impossible in every queue that may be chosen, or nothing is left
            to train.
    """
    if not forecast.left:
        raise nothing_to_plan(forecast)
    here = forecast.site
    may_have: list[Plan] = []
    refused: list[str] = []
    found: dict[str | None, Plan | str] = {}
    for site in each_queue(here):
        may_choose = site is here or (any_queue and not site.only_on_request)
        try:
            plan = make_plan(dataclasses.replace(forecast, site=site), request)
        except SiteError as problem:
            found[site.queue] = str(problem)
            refused += [str(problem)] if may_choose else []
            continue
        found[site.queue] = plan
        may_have += [plan] if may_choose else []
    if not may_have:
        asked = (name for name, plan in found.items() if isinstance(plan, Plan))
        hints = (f"queue {name} takes it on request: --queue {name}" for name in asked)
        raise SiteError("\n".join([*dict.fromkeys(refused), *hints]))
    most = min(plan.charge for plan in may_have) * (1 + NODE_HOURS_TOLERANCE)
    cheap = [plan for plan in may_have if plan.charge <= most]
    longest = MAKESPAN_RATIO * min(plan.chosen.makespan_hours for plan in cheap)
    soon = [plan for plan in cheap if plan.chosen.makespan_hours <= longest]
    best = min(soon, key=lambda plan: (plan.chosen.jobs, plan.chosen.makespan_hours))
    several = tuple(found[name] for name in here.queues) if len(found) > 1 else ()
    return dataclasses.replace(best, queues=several)


def _options(option: Option) -> list[str]:
    """Return the options of `nnlc submit` and `nnlc render`."""
    words = ["--nodes", str(option.nodes)]
    words += ["--minutes", str(option.minutes)] if option.minutes else []
    return words + (["--elements", str(option.elements)] if option.elements > 1 else [])
