"""How long a campaign will still take, from how fast it was while one looked."""

from collections import deque
from collections.abc import Sequence
from functools import cached_property

from nnlc.calibration.machines import machine_for
from nnlc.networks.cost import predict_seconds
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import Standing, State

WINDOW_SECONDS = 1800.0
"""What was done in so long counts."""
SHORTEST_SECONDS = 10.0
"""Less says nothing."""


class Pace:
    """Adds up the work that is done, moment by moment.

    Work is counted in predicted seconds: half of the networks may be a tenth of it. That all
    devices are busy to the end is assumed.

    Args:
        folder: whose campaign it is.
    """

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder
        self._seen: deque[tuple[float, float]] = deque()

    @cached_property
    def _weights(self) -> list[float]:
        """Predicted seconds of each network."""
        jobs, campaign = self._folder.jobs, self._folder.campaign
        known = machine_for(self._folder.results, jobs.device_names, jobs.device or "cuda")
        return [
            predict_seconds(network.spec, network.images, campaign.epochs, known.machine)
            for network in self._folder.networks
        ]

    def seconds_left(self, standings: Sequence[Standing], now: float) -> float | None:
        """What is left of a campaign that is under way; None while nobody can say.

        Args:
            standings: of all its networks.
            now: seconds of a clock that never jumps.
        """
        if not any(one.state == State.UNDER_WAY for one in standings):
            self._seen.clear()
            return None
        done = left = 0.0
        for weight, one in zip(self._weights, standings, strict=True):
            share = self._share(one)
            done += weight * share
            left += weight * (1 - share) * (one.state != State.FAILED)
        while self._seen and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        self._seen.append((now, done))
        then, done_then = self._seen[0]
        if now - then < SHORTEST_SECONDS or done <= done_then:
            return None
        return left * (now - then) / (done - done_then)

    def _share(self, standing: Standing) -> float:
        """Of a network's training; one that was stopped early is done."""
        if standing.state in (State.DONE, State.DAMAGED):
            return 1.0
        return standing.half_epochs / self._folder.campaign.half_epochs
