"""The shipped sites as a table: what `nnlc sites` prints, also with each site's plan."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nnlc.errors import SiteError
from nnlc.launching.limits import PlanRequest
from nnlc.launching.plan import Plan
from nnlc.launching.plan_text import as_time, short_number
from nnlc.launching.queue_choice import plan_campaign
from nnlc.schedulers.site import Site, load_site
from nnlc.system.shipped import shipped_names
from nnlc.wording import counted


def site_lines() -> Iterator[str]:
    """Yield a line for each shipped site: scheduler, nodes, queues, and whether nnlc ran there."""
    sites = [load_site(name) for name in shipped_names("site_configs", ".toml")]
    rows = [(s.name, s.scheduler.title, _node(s), _queues(s), s.tried) for s in sites]
    return _columns([("site", "scheduler", "GPUs of a node", "queues", "runs of nnlc"), *rows])


def plan_rows(campaign: str, results: Path | None) -> Iterator[str]:
    """Yield a line with the plan of a campaign on each shipped site that describes its GPU.

    Args:
        campaign: name or file of the campaign.
        results: results folder, of which the plan is for what is left; default:
            results/<campaign>.

    Raises:
        NnlcError: the campaign can't be planned.
    """
    rows, trouble = [], list[str]()
    for name in shipped_names("site_configs", ".toml"):
        site = load_site(name)
        if site.gpu is not None:
            try:
                plan = plan_campaign(campaign, name, site, results, PlanRequest(), [])
            except SiteError as problem:
                trouble.append(f"{name}: {problem}")
                continue
            rows.append((name, *_plan_row(plan)))
    if not rows:
        raise SiteError("\n".join(trouble))
    heads = ("site", "GPU time", "longest", "job", "queue", "jobs", "node-hours", "makespan")
    yield from _columns([heads, *rows])
    yield from trouble


def _plan_row(plan: Plan) -> Sequence[str]:
    forecast, chosen = plan.forecast, plan.chosen
    elements = f" x {chosen.elements} elements" if chosen.elements > 1 else ""
    return (
        as_time(forecast.seconds_left),
        as_time(plan.longest.seconds_with_setup),
        f"{counted(chosen.nodes, 'node')} x {chosen.minutes:,} min{elements}",
        forecast.site.queue or "-",
        f"{chosen.jobs:,}",
        short_number(chosen.node_hours),
        as_time(3600 * chosen.makespan_hours),
    )


def _node(site: Site) -> str:
    model = site.gpu.model.partition(" (")[0] if site.gpu else "by default"
    return f"{site.gpus_per_node} {model}"


def _queues(site: Site) -> str:
    return ", ".join(site.queues) or "-"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
