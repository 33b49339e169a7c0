"""Lines by which `nnlc doctor` describes this machine, for a report to send back."""

import os
import platform
import shutil
from collections.abc import Iterator

from nnlc import __version__
from nnlc.errors import SchedulerError
from nnlc.ranks.mpi import launcher_rank
from nnlc.ranks.preflight import describe_host
from nnlc.schedulers.scheduler_registry import queues
from nnlc.schedulers.site import Site
from nnlc.system.extras import extras_line
from nnlc.wording import counted, one_line

BEGIN = "----- nnlc doctor: send the lines from here with your report -----"


def end_line(status: int) -> str:
    """Return the last line of the report, after what the ranks have found."""
    return f"----- nnlc doctor: to here; status {status} -----"


def report_lines(site: Site | None) -> Iterator[str]:
    """Yield the first lines of the report: versions, site, scheduler, node and launcher."""
    yield BEGIN
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield f"versions: nnlc {__version__}, Python {platform.python_version()}, {system}"
    yield extras_line()
    yield f"site: {_site_words(site) if site else 'not given, by --site'}"
    yield f"scheduler: {', '.join(_versions()) or 'none whose commands are here'}"
    host = describe_host()
    has = ""
    if site is not None:
        ranks = f"; the site starts {counted(site.gpus_per_node, 'rank')} on a node, without GPUs"
        has = ranks if site.device == "cpu" else f" where the site has {site.gpus_per_node}"
    yield (
        f"node: {host['host']}, {counted(host['cores'], 'core')} of {host['node_cores']}, "
        f"{counted(host['node_gpus'], 'GPU')}{has}"
        + (f", {host['visible']}" if host["visible"] else "")
    )
    told = launcher_rank(dict(os.environ))
    yield f"launcher: {told[0]}, {counted(told[2], 'rank')}" if told else "launcher: none"


def _site_words(site: Site) -> str:
    words = f"{site.name}, {site.scheduler.title}, {site.tried}"
    return f"{words}, queue {site.queue}" if site.queue else words


def _versions() -> Iterator[str]:
    """Yield the version of each scheduler whose commands are here, as it says it."""
    for queue in queues():
        if queue.version_command and shutil.which(queue.version_command[0]):
            try:
                said = queue.version().strip() or "said nothing"
            except SchedulerError as problem:
                said = str(problem)
            yield f"{queue.title} ({one_line(said.splitlines()[0])})"
