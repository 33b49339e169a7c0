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
    rows, trouble, without_gpu = [], list[str](), list[str]()
    for name in shipped_names("site_configs", ".toml"):
        site = load_site(name)
        if site.gpu is None:
            without_gpu.append(name)
            continue
        try:
            plan = plan_campaign(campaign, name, site, results, PlanRequest(), [])
        except SiteError as problem:
            trouble.append(f"{name}: {problem}")
            continue
        rows.append((name, *_plan_row(plan)))
    if not rows:
        raise SiteError("\n".join(trouble))
    numbers = ("GPU time", "longest network", "jobs", "node-hours", "makespan")
    heads = ("site", *numbers[:2], "job", "queue", *numbers[2:])
    yield from _columns([heads, *rows], numbers)
    yield from trouble
    yield f"no plan without table [gpu] of a site file: {', '.join(without_gpu)}"


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
    if site.gpu is None:
        return f"{site.gpus_per_node} by default"
    model = site.gpu.model.partition(" (")[0].rpartition(" ")[2]  # without its manufacturer
    return f"{site.gpus_per_node} {model} {site.gpu.memory_gigabytes:g} GB"


def _queues(site: Site) -> str:
    return ", ".join(site.queues) or "-"


def _columns(rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a table, of which columns with some heads are aligned at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    signs = [">" if head in numbers else "<" for head in rows[0]]
    for row in rows:
        cells = (f"{c:{sign}{width}}" for c, sign, width in zip(row, signs, widths, strict=True))
        yield "  ".join(cells).rstrip()
