"""Nodes that took a job down, or whose ranks were retired: the next job leaves them out.

The journal has each with its host, site and reason. For job scripts, a file beside the journal
lists the nodes to leave out: a line has the time until when, in seconds since 1970, the site and
the host.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc.campaign.run_section import RunSection
from nnlc.results.journal import read_files, seconds_of
from nnlc.system.files import write_atomically
from nnlc.tables.folder_names import BAD_NODES
from nnlc.wording import printable

KINDS = ("node", "retire")
"""Events about bad nodes: one that ended a job, and a rank that gets no more networks."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class BadNode:
    """Node on which trainers end or GPUs fail."""

    host: str
    """Name of the node in its scheduler's words."""
    site: str
    """Site of the job's script; empty if the job had none, so that no script leaves it out."""
    seconds: float
    """Time of the last event about it, in seconds since 1970."""
    reason: str

    @property
    def words(self) -> str:
        """Return host, site and reason."""
        return printable(self.host + (f" of {self.site}" if self.site else "") + f": {self.reason}")


class BadNodes:
    """Bad nodes, collected from the events of a journal in order of time."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], BadNode] = {}

    def follow(self, event: dict[str, Any]) -> None:
        """Add the next event, if it names a bad node."""
        host, site, reason = (event.get(key) for key in ("host", "site", "reason"))
        if event["event"] not in KINDS or not (isinstance(host, str) and _HOST.fullmatch(host)):
            return
        try:
            seconds = seconds_of(event.get("time"))
        except (ValueError, TypeError, OverflowError):
            return
        name = site if isinstance(site, str) and _HOST.fullmatch(site) else ""
        why = " ".join(reason.split()) if isinstance(reason, str) else "for no recorded reason"
        self._nodes.pop((name, host), None)
        self._nodes[name, host] = BadNode(host, name, seconds, why)

    def all(self) -> list[BadNode]:
        """Return all bad nodes, the newest last."""
        return list(self._nodes.values())


def read_bad_nodes(folder: Path) -> list[BadNode]:
    """Return the bad nodes in a journal folder, the newest last."""
    found = BadNodes()
    for _, event in read_files(folder, {*KINDS}):
        found.follow(event)
    return found.all()


def remembered(nodes: Iterable[BadNode], run: RunSection) -> list[BadNode]:
    """Return the nodes that `[run]` has not forgotten yet: of each site the newest, in order."""
    since = time.time() - _DAY * run.bad_node_days
    recent = [node for node in nodes if node.seconds > since]
    kept: list[BadNode] = []
    for node in reversed(recent):
        if sum(each.site == node.site for each in kept) < run.bad_nodes:
            kept.insert(0, node)
    return kept


def hosts_to_leave_out(nodes: Iterable[BadNode], run: RunSection, site: str) -> tuple[str, ...]:
    """Return the hosts of a site that its next job leaves out."""
    return tuple(node.host for node in remembered(nodes, run) if node.site == site)


def write_for_scripts(folder: Path, nodes: Sequence[BadNode], run: RunSection) -> None:
    """Write the file that job scripts read into the folder of the journal.

    Raises:
        OSError: the file can't be written.
    """
    path, kept = folder / BAD_NODES, [node for node in remembered(nodes, run) if node.site]
    if not kept and not path.exists():
        return
    lines = [
        f"{int(node.seconds + _DAY * run.bad_node_days)} {node.site} {node.host}\n" for node in kept
    ]
    write_atomically(path, "".join(lines).encode())
