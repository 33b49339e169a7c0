"""Nodes that end a job or lose their ranks: recorded, so that the next job leaves them out."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlc.campaign.run_section import RunSection
from nnlc.errors import ExitStatus, NnlcError, NodeError, ResultsError
from nnlc.ranks.preflight import node_name
from nnlc.results.bad_nodes import (
    BadNode,
    hosts_to_leave_out,
    read_bad_nodes,
    write_for_scripts,
)
from nnlc.results.journal import Journal, event_line
from nnlc.results.paths import ResultsPaths
from nnlc.system import messages
from nnlc.system.files import write_once
from nnlc.tables.folder_names import EVENTS
from nnlc.wording import counted

SECONDS_BETWEEN_RANKS = 0.001
"""Time between two ranks that try to record the silence of rank 0."""
WAIT_SECONDS = 5.0
"""Time that a rank has to record it, and to end the job."""
REPAIR = "repair its device, or give the job another node"
"""Advice on a node on which no network trains."""


@dataclass(slots=True)
class NodeTrouble:
    """Record of bad nodes, and whether the next job can go on without them.

    Args:
        folder: folder of the journal.
        journal: journal of this job.
        run: `[run]` of the campaign.
        site: site of the job's script, which starts again without bad nodes; empty without one.
        before: bad nodes of earlier jobs.
        tells_user: True if the user is told of bad nodes.
    """

    folder: Path
    journal: Journal
    run: RunSection
    site: str = ""
    before: Sequence[BadNode] = ()
    tells_user: bool = False
    places: dict[int, str] = field(default_factory=dict)
    """Node of each rank."""
    _here: set[str] = field(default_factory=set)
    """Hosts of the nodes that this job has recorded."""

    def begin(self) -> None:
        """Bring the list for job scripts up to date."""
        if self.before and self.site:
            _write_list(self.folder, self.run)

    def where(self, rank: int) -> str:
        """Return a rank and its node in words."""
        return f"rank {rank} on {self.places[rank]}"

    def error(self, rank: int, problem: str) -> NodeError:
        """Return the error that ends a job since a rank can't train."""
        return NodeError(f"{self.where(rank)}: {problem}", [self.places[rank]])

    def retire(self, rank: int, reason: str, ids: list[str]) -> None:
        """Record a rank that gets no more networks."""
        self._record("retire", self.places[rank], reason, rank=rank, ids=ids)

    def silent(self, rank: int) -> None:
        """Record the node of a rank that no longer answers, which ends the job."""
        if rank in self.places:
            self._record("node", self.places[rank], _silence(rank), rank=rank)

    def silence_of_rank_0(self, job: str) -> messages.Message:
        """Return what another rank records if rank 0 no longer answers.

        Args:
            job: word of this job alone.
        """
        record = f"silent-{job}"
        about = {"host": node_name(), "site": self.site, "reason": _silence(0), "rank": 0}
        return {"record": record, **about, **({"tell": record} if self.tells_user else {})}

    def end_of(self, problem: NnlcError) -> tuple[ExitStatus, str]:
        """Return status and reason of the end of a job that has this problem.

        A job that ends for bad nodes is unfinished if the next one can leave them out.
        """
        if not isinstance(problem, NodeError):
            return ExitStatus.ERROR, f"error: {problem}"
        hosts = list(dict.fromkeys(problem.hosts))
        known = hosts_to_leave_out(self.before, self.run, self.site)
        for host in hosts:
            if host not in self._here:
                self._record("node", host, str(problem))
        if not self.site or not self.run.bad_nodes:
            return ExitStatus.ERROR, f"error: {problem}"
        if again := [host for host in hosts if host in known]:
            return ExitStatus.ERROR, (
                f"error: {problem}; {', '.join(again)} should have been left out: submit the job "
                "with 'nnlc submit', which does so, unless the scheduler has another name for it"
            )
        every = {*known, *self._here}
        if len(every) > self.run.bad_nodes:
            where = f"{counted(len(every), 'node')} ({', '.join(sorted(every))})"
            return ExitStatus.ERROR, (
                f"error: {problem}; this happened on {where}, and run.bad_nodes = "
                f"{self.run.bad_nodes}, so it may not be the nodes' fault: no other job starts"
            )
        left = f"the next job leaves out {', '.join(sorted(every))}"
        return ExitStatus.UNFINISHED, f"{problem}; {left}"

    def _record(self, event: str, host: str, reason: str, **facts: Any) -> None:
        is_new = host not in self._here
        self._here.add(host)
        self.journal.write(event, host=host, site=self.site, reason=reason, **facts)
        if self.site and is_new:
            _write_list(self.folder, self.run)


def _silence(rank: int) -> str:
    return f"rank {rank} no longer answered"


def record_silence(rank: int, configuration: messages.Message) -> None:
    """Record that rank 0 no longer answers, once for all ranks; its script or the next job tells.

    Ranks try one after the other, as thousands may notice at a time. The first one's abort ends
    the others; these wait until it has written all.

    Args:
        rank: rank of this process.
        configuration: its "configure" message.
    """
    facts = configuration["silence"]
    if facts is None:  # a preflight records nothing
        return
    time.sleep(rank * SECONDS_BETWEEN_RANKS)
    paths = ResultsPaths(Path(configuration["results"]))
    record = paths.journal_folder / f"{facts['record']}{EVENTS}"
    with contextlib.suppress(OSError):
        if record.exists() or not write_once(record, event_line("node", 1, facts)):
            time.sleep(WAIT_SECONDS)
        elif facts["site"]:
            run = RunSection.model_validate(configuration["campaign"]["run"])
            _write_list(paths.journal_folder, run)


def _write_list(folder: Path, run: RunSection) -> None:
    """Write the list for job scripts, with what other jobs have recorded meanwhile."""
    with contextlib.suppress(OSError, ResultsError):  # the next start tries again
        write_for_scripts(folder, read_bad_nodes(folder), run)
