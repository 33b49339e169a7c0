"""A machine without a scheduler: scripts run with bash, and ranks with mpirun."""

from typing import TYPE_CHECKING

from nnlc.schedulers.scheduler import Scheduler

if TYPE_CHECKING:
    from nnlc.schedulers.rules import Rule


class Local(Scheduler):
    """No scheduler: no directives, no queue, no array, no walltime."""

    name, title = "local", "local"
    launcher = "mpirun"

    def minutes(self, walltime: str) -> None:
        del walltime

    def rules(self) -> "tuple[Rule, ...]":
        return ()
