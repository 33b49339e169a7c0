"""What is told of a job's work, to show it: `Progress` in a job, a list in a test."""

from collections.abc import Mapping
from typing import Any, Protocol

from nnlc.campaign import CampaignNetwork
from nnlc.tables import Row


class Watcher(Protocol):
    """Follows a job."""

    def begin(self, waiting: Mapping[int, float], done: int, trainers: int) -> None:
        """The work begins: expected seconds of each network that waits, now and whenever asked."""

    def resumed(self, network: CampaignNetwork, rows: list[Row]) -> None:
        """A network goes on from a checkpoint with these half epochs."""

    def row(self, network: CampaignNetwork, half_epoch: int, row: Row) -> None:
        """A half epoch of a network is over."""

    def finished(
        self,
        network: CampaignNetwork,
        rows: list[Row],
        seconds: float,
        stop: Mapping[str, Any] | None = None,
    ) -> None:
        """A table stands; `stop`: what the stop rule said last, where the campaign has one."""

    def failed(self, network: CampaignNetwork, reason: str, *, for_good: bool) -> None:
        """An attempt at a network ended badly."""

    def message(self, text: str) -> None:
        """Something else that the user should know."""

    def tick(self) -> None:
        """Called often, so that a display can keep its pace."""

    def end(self) -> None:
        """Nothing more comes."""
