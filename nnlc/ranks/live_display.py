"""Live display of a running job in a terminal."""

from collections.abc import Iterable

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.console import make_console
from nnlc.tables import Row


class LiveDisplay:
    """Display of the running networks, below the lines that a log would get.

    Every method may raise OSError, ValueError or SystemExit if the terminal has been closed.

    Args:
        half_epochs: number of half epochs of each network.
    """

    def __init__(self, half_epochs: int) -> None:
        self._half_epochs = half_epochs
        self._console = make_console()
        self._live = Live(console=self._console, auto_refresh=False)

    def start(self) -> None:
        self._live.start()

    def message(self, clock: str, text: str) -> None:
        """Show a line above the display."""
        self._console.print(Text.assemble((clock, "dim"), text), soft_wrap=True)

    def show(self, counts: str, running: Iterable[tuple[CampaignNetwork, int, Row]]) -> None:
        """Show a line for the job and one for each running network.

        Args:
            counts: line for the job.
            running: each network with its number of half epochs and its last row.
        """
        if not self._live.is_started:
            return
        grid = Grid.grid(padding=(0, 1))  # whole IDs fit into 80 columns
        grid.add_column(no_wrap=True)
        for network, half_epoch, row in running:
            grid.add_row(
                network.spec.id,
                Text(network.images.name),
                f"epoch {half_epoch / 2}",
                ProgressBar(self._half_epochs, half_epoch, width=10),
                f"accuracy {row.val_accuracy_percent:.1f} %",
            )
        self._live.update(Group(Text(counts, style="bold"), grid), refresh=True)

    def end(self) -> None:
        """Close the display."""
        self._live.update(Text(""), refresh=True)
        self._live.stop()
