"""A machine without a scheduler: scripts run with bash, and ranks with mpirun."""

from nnlc.schedulers.options import MPIRUN
from nnlc.schedulers.scheduler import Scheduler


class Local(Scheduler):
    """A machine without a scheduler: no directives, queue, arrays or walltime."""

    name, title = "local", "local"
    launcher = "mpirun"
    launcher_options = MPIRUN

    def minutes(self, walltime: str) -> None:
        del walltime


SCHEDULER = Local()
