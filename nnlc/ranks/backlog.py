"""Networks that a campaign has left to train, in the order in which the job hands them out.

Several jobs may share a results folder: a job hands out a network only if it gets the network's
lease, and rechecks from time to time whether other jobs have released theirs.
"""

import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

from nnlc.calibration.speed_correction import Kind, SpeedCorrection, size_class
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks.machine import DeviceKind, Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.ranks.leases import Leases
from nnlc.ranks.waiting import ExpectedSeconds, Order, WaitingNetworks
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import Entry, Inventory, State, entry_of

RECHECK_SECONDS = 5.0
"""Time between two checks of networks that other jobs hold."""
RECHECK_NETWORKS = 20
"""Most networks per check: each needs a request to the file system."""


class Backlog:
    """Queue of networks to train, the longest first by expected time, then by index.

    Longest first keeps the end of a job short: the last networks to start are the smallest.

    Args:
        networks: networks without a table.
        campaign: the job's campaign.
        results: the job's results folder.
        leases: leases of this job.
        machine: speed for which costs are predicted.
        device: kind of this machine.
        order: "longest" or "shortest" first.
        clock: returns seconds.
        packable: indices of networks that may share a GPU.
        not_whole: damaged files in the place of tables, by network ID; files found later are added.
        kept: half epochs that need no training, by the index of a network with kept weights.

    Attributes:
        seconds: predicted seconds of each network, by index.
        expected: predicted seconds times the correction factor of the network's kind, by index.
        failed_by_others: number of networks that other jobs have given up since this one began.
    """

    def __init__(
        self,
        networks: list[CampaignNetwork],
        campaign: Campaign,
        results: ResultsFolder,
        leases: Leases,
        machine: Machine,
        device: DeviceKind,
        order: Order = "longest",
        clock: Callable[[], float] = time.monotonic,
        packable: Container[int] = (),
        not_whole: dict[str, Entry] | None = None,
        kept: Mapping[int, int] | None = None,
    ) -> None:
        self._campaign, self._results, self._leases = campaign, results, leases
        self._machine, self._device, self._clock = machine, device, clock
        self._left = {i: campaign.half_epochs - number for i, number in (kept or {}).items()}
        self.seconds = {n.index: self._predict(n) for n in networks}
        self._step_seconds: dict[int, float] = {}
        self._networks = {n.index: n for n in networks}
        self._packable = packable
        self._correction = SpeedCorrection()
        self._kinds = {n.index: self._kind(n, self.seconds[n.index]) for n in networks}
        self.expected = ExpectedSeconds(self.seconds, self._kinds, self._correction)
        self._waiting = WaitingNetworks(self.seconds, self._kinds, self._correction, order)
        for index in self._kinds:
            self._waiting.push(index)
        self._held_by_others: dict[int, CampaignNetwork] = {}
        self._last_look = clock()
        self.failed_by_others = 0
        self._not_whole = {} if not_whole is None else not_whole

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def held_by_others(self) -> list[CampaignNetwork]:
        """Networks that other jobs held at the last check."""
        return list(self._held_by_others.values())

    @property
    def seconds_waiting(self) -> float:
        """Sum of the expected seconds of all queued networks."""
        return self._waiting.expected_seconds

    def factor(self, network: CampaignNetwork) -> float:
        """Return the correction factor of a network's kind."""
        return self._correction.factor(self._kinds[network.index])

    def measure(self, index: int, measured: float) -> None:
        """Learn from the measured seconds of a network's half epoch."""
        half_epochs = self._left.get(index, self._campaign.half_epochs)
        predicted = self.seconds[index] / half_epochs
        self._correction.measure(index, self._kinds[index], predicted, measured)

    def remember(self, network: CampaignNetwork, finish: Finish, measured: float) -> None:
        """Learn from the measured seconds of a network that an earlier job finished."""
        about = network.spec, network.images, self._campaign.training, self._device
        predicted = self._predict_whole(network, finish.settings_as_trained(*about))
        kind = self._kind(network, predicted)
        self._correction.measure(network.index, kind, predicted, measured)

    def step_seconds(self, network: CampaignNetwork) -> float:
        """Return the predicted seconds of a network's training step."""
        index = network.index
        if index not in self._step_seconds:  # cached: asked often near the time limit
            self._step_seconds[index] = network.family.predict_step_seconds(
                network.spec,
                network.images,
                self._machine,
                self._campaign.training,
                self._device,
            )
        return self._step_seconds[index]

    def take(
        self,
        fits: Callable[[CampaignNetwork], bool],
        tried: Container[int],
        *,
        packable_only: bool = False,
    ) -> CampaignNetwork | None:
        """Remove and return the next network that fits, leased to this job, or None.

        Args:
            fits: returns True if there is time for a network.
            tried: indices of networks to leave out, since they have failed on this rank.
            packable_only: True to leave out networks that can't share a GPU.
        """
        packable = True if packable_only else None
        skipped: list[int] = []
        found = None
        while found is None and (index := self._waiting.pop(packable=packable)) is not None:
            network = self._networks[index]
            if index in tried or not fits(network):
                skipped.append(index)
            elif self._claim(network):
                found = network
        for index in skipped:
            self._waiting.push(index)
        return found

    def next_exclusive(self) -> CampaignNetwork | None:
        """Return the next network that can't share a GPU, or None."""
        index = self._waiting.first(packable=False)
        return None if index is None else self._networks[index]

    def packable(self, network: CampaignNetwork) -> bool:
        """Return True if the network may share a GPU."""
        return self._kinds[network.index].packable

    def put_back(self, network: CampaignNetwork, *, alone: bool = False) -> None:
        """Queue a network again and release its lease.

        Args:
            alone: True if the network may no longer share a GPU.
        """
        if alone:
            self._kinds[network.index] = self._kinds[network.index]._replace(packable=False)
        self._leases.release(network.spec.id)
        self._waiting.push(network.index)

    def recheck(self, *, now: bool = False) -> None:
        """Queue again the networks that other jobs held and have released.

        Args:
            now: True to check even if the last check is recent.
        """
        due = now or self._clock() - self._last_look >= RECHECK_SECONDS
        if not self._held_by_others or not due:
            return
        self._last_look = self._clock()
        free = []
        for index in list(self._held_by_others)[:RECHECK_NETWORKS]:  # refused claims go to the end
            if self._claim(self._networks[index]):
                free.append(index)
        given_up = read_history(self._results.journal_folder).failures if free else {}
        for index in free:
            if self._networks[index].spec.id in given_up:
                self.failed_by_others += 1
            else:
                self._waiting.push(index)

    def _predict(self, network: CampaignNetwork) -> float:
        """Return the predicted seconds of a network's half epochs that are left."""
        left = self._left.get(network.index, self._campaign.half_epochs)
        seconds = self._predict_whole(network, self._campaign.training)
        return seconds * (left / self._campaign.half_epochs)

    def _predict_whole(self, network: CampaignNetwork, settings: TrainingSection) -> float:
        """Return the predicted seconds of all half epochs of a network."""
        return network.family.predict_seconds(
            network.spec,
            network.images,
            self._campaign.epochs,
            self._machine,
            settings,
            self._device,
        )

    def _kind(self, network: CampaignNetwork, seconds: float) -> Kind:
        """Return the kind of a network from its predicted seconds."""
        return Kind(network.images.name, size_class(seconds), network.index in self._packable)

    def _claim(self, network: CampaignNetwork) -> bool:
        """Lease a network; return True if this job shall train it."""
        self._held_by_others.pop(network.index, None)
        if not self._leases.claim(network.spec.id):
            self._held_by_others[network.index] = network
            return False
        # Checked after leasing: the previous holder wrote its table before it released the lease.
        if self._has_table(network):
            self._leases.release(network.spec.id)
            return False
        return True

    def _has_table(self, network: CampaignNetwork) -> bool:
        """Return True if the network's table exists; a damaged file counts and is recorded.

        A file that can't be read because of the disk doesn't count.
        """
        entry = entry_of(self._results, self._campaign, network)
        if entry.problem and not entry.unread:
            self._not_whole[network.spec.id] = entry
        return entry.state not in (State.MISSING, State.SHORT) and not entry.unread


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Work left in a campaign when a job begins."""

    networks: list[CampaignNetwork]
    """Networks to train: without a whole table, and not given up."""
    tables: Collection[str]
    """IDs of the networks with a table."""
    failed: int
    """Number of networks that earlier jobs have given up."""
    not_whole: dict[str, Entry] = field(default_factory=dict)
    """Damaged or foreign files in the place of tables, by network ID."""
    kept: dict[int, int] = field(default_factory=dict)
    """Half epochs that need no training, by the index of a network with kept weights."""

    @property
    def done(self) -> int:
        """Number of networks with a table."""
        return len(self.tables)


def find_unfinished(
    networks: Sequence[CampaignNetwork], found: Inventory, given_up: Container[str] = ()
) -> Unfinished:
    """Return the networks that are left to train.

    Args:
        networks: networks of a campaign or of an array element.
        found: inventory of the campaign's tables.
        given_up: IDs of networks that earlier jobs have given up.
    """
    to_train, short = found.to_train, found.short
    missing = [n for n in networks if n.spec.id in to_train]
    waiting = [n for n in missing if n.spec.id not in given_up]
    failed = len(missing) - len(waiting)
    kept = {n.index: short[n.spec.id].kept for n in waiting if n.spec.id in short}
    return Unfinished(waiting, found.with_tables, failed, found.not_whole, kept)
