"""Nodes that end a job or lose their ranks: recorded, so that the next job leaves them out."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnlc.campaign.run_section import RunSection
from nnlc.errors import ExitStatus, NnlcError, NodeError, ResultsError
from nnlc.results.bad_nodes import (
    BadNode,
    hosts_to_leave_out,
    read_bad_nodes,
    write_for_scripts,
)
from nnlc.results.journal import Journal
from nnlc.results.paths import ResultsPaths
from nnlc.system import messages
from nnlc.wording import counted

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
    """

    folder: Path
    journal: Journal
    run: RunSection
    site: str = ""
    before: Sequence[BadNode] = ()
    places: dict[int, str] = field(default_factory=dict)
    """Node of each rank."""
    _here: set[str] = field(default_factory=set)
    """Hosts of the nodes that this job has recorded."""

    def begin(self) -> None:
        """Bring the list for job scripts up to date."""
        if self.before and self.site:
            self._write()

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
            self._record("node", self.places[rank], f"rank {rank} no longer answered", rank=rank)

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
            self._write()

    def _write(self) -> None:
        """Write the list for job scripts, with what other jobs have recorded meanwhile."""
        with contextlib.suppress(OSError, ResultsError):  # the next start tries again
            write_for_scripts(self.folder, read_bad_nodes(self.folder), self.run)


def record_silence(rank: int, configuration: messages.Message) -> None:
    """Record that a rank, the one with the journal, no longer answers another.

    Args:
        rank: the silent rank.
        configuration: its "configure" message.
    """
    folder = ResultsPaths(Path(configuration["results"])).journal_folder
    run = RunSection.model_validate(configuration["campaign"]["run"])
    places = {rank: configuration["node"]}
    NodeTrouble(folder, Journal(folder), run, configuration["site"], places=places).silent(rank)
