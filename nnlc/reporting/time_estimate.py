"""Time estimate of a campaign from its recent speed."""

from collections import deque
from collections.abc import Sequence
from functools import cached_property

from nnlc.calibration.machines import machine_for
from nnlc.networks.cost import predict_seconds
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import NetworkState, State

WINDOW_SECONDS = 1800.0
"""Seconds of the past that count."""
SHORTEST_SECONDS = 10.0
"""Seconds below which no estimate is made."""


class TimeEstimate:
    """Estimate from the work that is done between two looks.

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
        """Return the predicted seconds of each network."""
        jobs, campaign = self._folder.jobs, self._folder.campaign
        known = machine_for(self._folder.results, jobs.device_names, jobs.device or "cuda")
        return [
            predict_seconds(network.spec, network.images, campaign.epochs, known.machine)
            for network in self._folder.networks
        ]

    def seconds_left(self, states: Sequence[NetworkState], now: float) -> float | None:
        """Return the seconds that a campaign still takes; None while unknown.

        Args:
            states: of all its networks.
            now: seconds of a clock that never jumps.
        """
        if not any(one.state == State.UNDER_WAY for one in states):
            self._seen.clear()
            return None
        done = left = 0.0
        for weight, one in zip(self._weights, states, strict=True):
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

    def _share(self, state: NetworkState) -> float:
        """Return the share of a network's training that is done; 1 if it was stopped early."""
        if state.state in (State.DONE, State.DAMAGED):
            return 1.0
        return state.half_epochs / self._folder.campaign.half_epochs
