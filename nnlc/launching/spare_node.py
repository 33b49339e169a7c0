"""A spare node: asked for if some nodes are bad and the scheduler can't leave nodes out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnlc.schedulers.site import Site
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.launching.render import Request


def may_have_spare(site: Site, nodes: int, minutes: int) -> bool:
    """Return True if a job of this size may ask for one more node, on which no rank may start."""
    return site.scheduler.has_spare and site.allows(nodes + 1, minutes)


def spare_node_notes(site: Site, asked: "Request") -> Iterator[str]:
    """Yield a note on the nodes that each job of a request asks for, if some are bad."""
    if not asked.leave_out or not site.scheduler.has_spare:
        return
    nodes = asked.nodes or site.nodes
    if may_have_spare(site, nodes, asked.walltime_minutes or site.walltime_minutes):
        what = f"each job asks for {counted(nodes + 1, 'node')}, of which one is spare"
    else:
        what = f"{site.place} has no room for a spare node, so a job that gets them has fewer ranks"
    bad = ", ".join(asked.leave_out)
    yield f"note: no rank starts on {bad}, where jobs ended or ranks failed: {what}"
