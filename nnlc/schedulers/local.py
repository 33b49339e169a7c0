"""A machine without a scheduler: scripts run with bash, and ranks with mpirun."""

from nnlc.schedulers.options import COUNT, OptionTable
from nnlc.schedulers.scheduler import Scheduler


class Local(Scheduler):
    """No scheduler: no directives, no queue, no array, no walltime."""

    name, title = "local", "local"
    launcher = "mpirun"
    launcher_options = OptionTable(
        "np n ppn f hosts bind-to map-by env genv wdir",
        "genvall verbose",
        values=[("np n ppn", COUNT, "a number")],
        dashes="-",
    )

    def minutes(self, walltime: str) -> None:
        del walltime
