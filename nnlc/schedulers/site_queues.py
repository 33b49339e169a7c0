"""Queues of a site: which it has, and its limits in each of them.

Keys of the whole site, such as `max_nodes`, hold in every queue. A bin holds in the queue that it
names, or else in the site file's `queue`; a table `[queues.NAME]` holds in its own. In a queue that
no bin names, only limits of the whole site are known. A site file that names no queue has the same
limits in all.
"""

from typing import TYPE_CHECKING

from nnlc.errors import SiteError
from nnlc.schedulers.site_values import Bin, QueueLimits, is_word
from nnlc.system.toml_file import Layers
from nnlc.wording import counted

if TYPE_CHECKING:
    from nnlc.schedulers.site import Site


_OF_QUEUES = ("max_running_jobs", "max_queued_jobs", "charge_factor")
"""Keys of a site that a table `[queues.NAME]` may replace."""


class SiteLimits:
    """Limits of a site in its queue: the part of `Site` that plans and rules ask."""

    if TYPE_CHECKING:
        name: str
        queue: str | None
        bins: tuple[Bin, ...]
        queues: dict[str, QueueLimits]
        max_nodes: int | None
        max_walltime_minutes: int | None

    @property
    def place(self) -> str:
        """Name of the site in messages on limits, with the queue that they hold in."""
        return f"{self.name}'s queue {self.queue}" if len(self.queues) > 1 else self.name

    @property
    def knows_queue(self) -> bool:
        """True if the limits of the site file hold in the queue."""
        return not self.queues or self.queue in self.queues

    @property
    def only_on_request(self) -> str | None:
        """Reason for which plans take the queue only if it is asked for."""
        limits = self.queues.get(self.queue or "")
        return limits.only_on_request if limits else None

    @property
    def queue_bins(self) -> list[Bin]:
        """Bins of the queue."""
        return [b for b in self.bins if b.queue == self.queue or not self.queues]

    def longest_minutes(self, nodes: int) -> int | None:
        """Return the longest walltime of a job with this many nodes; None without a limit.

        Raises:
            ValueError: no job of this size is allowed.
        """
        limits = [self.max_walltime_minutes] if self.max_walltime_minutes else []
        if bins := self.queue_bins:
            within = [b for b in bins if b.nodes[0] <= nodes <= b.nodes[1]]
            if not within:
                sizes = ", ".join(f"{b.nodes[0]}-{b.nodes[1]}" for b in bins)
                asked = counted(nodes, "node")
                raise ValueError(f"no bin of {self.place} has {asked}; there are {sizes}")
            limits.append(max(b.minutes for b in within))
        if self.max_nodes is not None and nodes > self.max_nodes:
            raise ValueError(f"{self.name} has max_nodes = {self.max_nodes}; found {nodes}")
        return min(limits, default=None)

    def allows(self, nodes: int, minutes: int) -> bool:
        """Return True if a job may have this many nodes and last this long."""
        try:
            longest = self.longest_minutes(nodes)
        except ValueError:
            return False
        return longest is None or minutes <= longest


def with_queues(site: "Site", layers: Layers) -> "Site":
    """Return a site as its file has it, with the limits of each queue filled in.

    Args:
        site: the site.
        layers: its file and those that it extends.

    Raises:
        SiteError: a table is for a queue that no bin names, or a bin is for no queue.
    """
    site = _with_queue_of_directives(site)
    bins = tuple(b if b.queue else b.model_copy(update={"queue": site.queue}) for b in site.bins)
    named = [b.queue for b in bins if b.queue]
    if named and len(named) < len(bins):
        raise SiteError(
            f"{layers.file_of(['bins'])}, key bins: some name a queue, others don't; name one in "
            "each, or write queue"
        )
    names = dict.fromkeys(named if bins else filter(None, [site.queue, *site.queues]))
    files = layers.each
    bins_in = next((i for i, values in enumerate(files) if "bins" in values), len(files))
    for name in site.queues:
        table_in = next(i for i, values in enumerate(files) if name in values.get("queues", {}))
        if name not in names and table_in <= bins_in:  # else the user's own bins replace them
            raise SiteError(
                f"{layers.file_of(['queues', name])}, key queues.{name}: no bin is for this queue; "
                f"bins are for {', '.join(names) or 'no queue by name'}"
            )
    own = {key: getattr(site, key) for key in _OF_QUEUES}
    queues = {
        name: QueueLimits(
            **own | site.queues.get(name, QueueLimits()).model_dump(exclude_none=True)
        )
        for name in names
    }
    for limits in queues.values() or [site]:
        if (most := limits.max_queued_jobs) is not None and most < site.links_at_once:
            raise SiteError(
                f"{layers.file_of(['links_at_once'])}, key links_at_once: a chain has "
                f"{site.links_at_once} jobs in the queue, but max_queued_jobs = {most}"
            )
    return in_queue(site.model_copy(update={"bins": bins, "queues": queues}), site.queue)


def in_queue(site: "Site", name: str | None) -> "Site":
    """Return a site as its jobs in one of its queues see it; in an unknown one, without limits."""
    changes: dict[str, object] = {"queue": name}
    if site.queues:
        limits = site.queues.get(name or "", QueueLimits(charge_factor=site.charge_factor))
        changes |= {key: getattr(limits, key) for key in _OF_QUEUES}
    return site.model_copy(update=changes)


def each_queue(site: "Site") -> list["Site"]:
    """Return a site in each of its queues, the present one first."""
    return [site, *(in_queue(site, name) for name in site.queues if name != site.queue)]


def other_queues_for(site: "Site", nodes: int, minutes: int) -> str:
    """Return a hint at the other queues that allow a job, to append to a message; often empty."""
    found = [each.queue for each in each_queue(site)[1:] if each.allows(nodes, minutes)]
    return f"; queue {' or '.join(filter(None, found))} allows it" if found else ""


def unknown_queue(site: "Site", name: str) -> SiteError:
    """Return the error of a plan for a queue whose limits no site file has.

    Args:
        site: the site, in that queue.
        name: name or path of the site's file.
    """
    if site.queue is None:
        return SiteError(
            f"{site.name} has limits for {', '.join(site.queues)}, and its site file names none as "
            "its queue: give --queue, or write queue into the site file"
        )
    return SiteError(
        f"queue {site.queue} of {site.name}: no site file has its limits, so no plan can count on "
        f"it; {site.name} has {', '.join(site.queues)}; 'nnlc submit' takes any queue, or write a "
        f'site file with\n  extends = "{name}"\n  queue = "{site.queue}"\n'
        "  bins = [{ nodes = [1, 4], hours = 2 }]     # the queue's own limits"
    )


def _with_queue_of_directives(site: "Site") -> "Site":
    """Return a site whose directives name a queue with it as `queue`; others as they are."""
    queue, kept = site.queue, list[str]()
    option = site.scheduler.queue_option(site)
    for text in site.directives:
        options, _ = site.scheduler.directive_options.read_line(text)
        found = options.get(option)
        if found is None or not is_word(found.value or ""):  # such as a list of queues
            kept.append(text)
            continue
        queue = found.value
        if len(options) > 1:  # it stays, and the script has it twice
            kept.append(text)
    return site.model_copy(update={"queue": queue, "directives": tuple(kept)})
