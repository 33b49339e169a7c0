"""The live display of a running job, which a terminal gets."""

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
    """Shows the networks under way, below the lines that a log would get.

    Args:
        half_epochs: of each network.

    Every method may raise OSError, ValueError or SystemExit: the terminal is gone.
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

    def show(self, counts: str, under_way: Iterable[tuple[CampaignNetwork, int, Row]]) -> None:
        """Show how far the job and its networks are: of each, half epochs and its last row."""
        if not self._live.is_started:
            return
        grid = Grid.grid(padding=(0, 1))  # so that 80 columns hold whole IDs
        grid.add_column(no_wrap=True)
        for network, half_epoch, row in under_way:
            grid.add_row(
                network.spec.id,
                Text(network.images.name),
                f"epoch {half_epoch / 2}",
                ProgressBar(self._half_epochs, half_epoch, width=10),
                f"accuracy {row.val_accuracy_percent:.1f} %",
            )
        self._live.update(Group(Text(counts, style="bold"), grid), refresh=True)

    def end(self) -> None:
        """Give the terminal back."""
        self._live.update(Text(""), refresh=True)
        self._live.stop()
