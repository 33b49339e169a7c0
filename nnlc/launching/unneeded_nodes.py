"""Nodes that a submission asks for and does not need, by the plan of `nnlc plan`."""

import contextlib
from collections.abc import Iterator

from nnlc.campaign.campaign import Campaign
from nnlc.errors import SiteError
from nnlc.families.counted_costs import UnknownCostError
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.limits import PlanRequest
from nnlc.launching.plan import fewest_nodes
from nnlc.launching.render import Request
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.site import Site
from nnlc.wording import counted


def unneeded_nodes_notes(
    campaign: Campaign, site: Site, results: ResultsFolder, asked: Request
) -> Iterator[str]:
    """Yield a note if fewer nodes than a request's would finish as early.

    As every plan, it needs the `[gpu]` of the site.
    """
    nodes = enough = asked.nodes or site.nodes
    if nodes == 1 or site.gpu is None or not site.knows_queue:
        return
    try:
        forecast = forecast_campaign(campaign, site, results)
    except UnknownCostError as problem:
        yield f"note: the job will count costs: {problem}"
        return
    minutes = asked.walltime_minutes or site.walltime_minutes
    request = PlanRequest(nodes=nodes, minutes=minutes, elements=asked.elements)
    with contextlib.suppress(SiteError):  # no plan has jobs as short as these
        enough = fewest_nodes(forecast, request) if forecast.left else 1
    if enough < nodes:
        yield (
            f"note: each job asks for {nodes} nodes, and {counted(enough, 'node')} would finish as "
            "early; see 'nnlc plan'"
        )
