"""What a campaign still has to train, in which order it is handed out, and what is left to others.

Several jobs may share a results folder: a network is handed out only with its lease, and one that
another job has is looked at again now and then.
"""

import time
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass, field

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.networks.cost import Machine, predict_seconds, predict_step_seconds
from nnlc.ranks.leases import Leases
from nnlc.ranks.speed_correction import Kind, SpeedCorrection, size_class
from nnlc.ranks.waiting import ExpectedSeconds, Order, WaitingNetworks
from nnlc.results.history import read_history
from nnlc.results.inventory import Entry, Inventory, State, entry_of
from nnlc.results.paths import ResultsFolder

RECHECK_SECONDS = 5.0
"""Between two looks at networks that another job has."""
RECHECK_NETWORKS = 20
"""So many of them at a time: each look asks the file system."""


class Backlog:
    """Networks that wait, longest expected first; equal ones in the order of their index.

    Longest first keeps the end of a job short: the last networks to start are the smallest.

    Args:
        networks: those without a table.
        campaign: for the length of the training.
        results: where tables stand.
        leases: this job's.
        machine: what their cost is predicted for.
        order: "shortest" turns it round.
        clock: seconds.
        packable: indices of networks that may run beside each other.
        not_whole: by ID, files in the place of tables that are none; those found later are added.

    Attributes:
        seconds: by index, the predicted seconds of each network.
        expected: by index, the same with what is learned of such networks.
        failed_by_others: how many of them another job has given up.
    """

    def __init__(
        self,
        networks: list[CampaignNetwork],
        campaign: Campaign,
        results: ResultsFolder,
        leases: Leases,
        machine: Machine,
        order: Order = "longest",
        clock: Callable[[], float] = time.monotonic,
        packable: Container[int] = (),
        not_whole: dict[str, Entry] | None = None,
    ) -> None:
        self._campaign, self._results, self._leases = campaign, results, leases
        self._machine, self._clock = machine, clock
        self.seconds = {
            n.index: predict_seconds(n.spec, n.images, campaign.epochs, machine) for n in networks
        }
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
        """Networks that another job has, or had when it was looked at last."""
        return list(self._held_by_others.values())

    @property
    def seconds_waiting(self) -> float:
        """ExpectedSeconds of all that wait, together."""
        return self._waiting.expected_seconds

    def factor(self, network: CampaignNetwork) -> float:
        """Its expected seconds over its predicted ones."""
        return self._correction.factor(self._kinds[network.index])

    def measure(self, index: int, predicted: float, measured: float) -> None:
        """Some work of a network took so many seconds, where so many were predicted."""
        self._correction.measure(index, self._kinds[index], predicted, measured)

    def remember(self, finished: Iterable[tuple[CampaignNetwork, float]]) -> None:
        """Learn from networks that wait no longer: each with the seconds that it took."""
        for network, measured in finished:
            epochs, machine = self._campaign.epochs, self._machine
            predicted = predict_seconds(network.spec, network.images, epochs, machine)
            kind = self._kind(network, predicted)
            self._correction.measure(network.index, kind, predicted, measured)

    def step_seconds(self, network: CampaignNetwork) -> float:
        """Predicted seconds of one of its steps."""
        index = network.index
        if index not in self._step_seconds:  # asked of all that wait when time is short
            self._step_seconds[index] = predict_step_seconds(
                network.spec, network.images, self._machine
            )
        return self._step_seconds[index]

    def take(
        self,
        fits: Callable[[CampaignNetwork], bool],
        tried: Container[int],
        *,
        beside: bool = False,
    ) -> CampaignNetwork | None:
        """The next network that waits and fits, leased to this job; or None.

        Args:
            fits: whether there is time for it.
            tried: indices that are left out, for they ended badly on the rank that asks.
            beside: only one of those that may run beside each other.
        """
        packable = True if beside else None
        return self._take_first(lambda n: n.index not in tried and fits(n), packable)

    def next_exclusive(self) -> CampaignNetwork | None:
        """The next that waits and may not run beside others."""
        index = self._waiting.first(packable=False)
        return None if index is None else self._networks[index]

    def packable(self, network: CampaignNetwork) -> bool:
        """Whether it may run beside others."""
        return self._kinds[network.index].packable

    def put_back(self, network: CampaignNetwork, *, alone: bool = False) -> None:
        """Let a network wait again; `alone`: it shall not run beside others any more."""
        if alone:
            self._kinds[network.index] = self._kinds[network.index]._replace(packable=False)
        self._leases.release(network.spec.id)
        self._waiting.push(network.index)

    def recheck(self, *, now: bool = False) -> None:
        """Let networks that another job had wait again, where it has ended or given them back.

        Args:
            now: also where the last look was not long ago.
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

    def _kind(self, network: CampaignNetwork, seconds: float) -> Kind:
        """What kind of network one of so many predicted seconds is."""
        return Kind(network.images.name, size_class(seconds), network.index in self._packable)

    def _take_first(
        self, wanted: Callable[[CampaignNetwork], bool], packable: bool | None
    ) -> CampaignNetwork | None:
        """The first that is wanted and that this job gets the lease of."""
        passed_over: list[int] = []
        found = None
        while found is None and (index := self._waiting.pop(packable=packable)) is not None:
            network = self._networks[index]
            if not wanted(network):
                passed_over.append(index)
            elif self._claim(network):
                found = network
        for index in passed_over:
            self._waiting.push(index)
        return found

    def _claim(self, network: CampaignNetwork) -> bool:
        """Whether this job may train it: nobody else does, and nobody has."""
        self._held_by_others.pop(network.index, None)
        if not self._leases.claim(network.spec.id):
            self._held_by_others[network.index] = network
            return False
        # Looked for with the lease in hand: whoever had it before wrote the table before leaving.
        if self._has_table(network):
            self._leases.release(network.spec.id)
            return False
        return True

    def _has_table(self, network: CampaignNetwork) -> bool:
        """Whether something stands in its table's place; what is no table is kept in mind.

        What can't be read because of the disk keeps no network from being trained.
        """
        entry = entry_of(self._results, self._campaign, network)
        if entry.problem and not entry.unread:
            self._not_whole[network.spec.id] = entry
        return entry.state is not State.MISSING and not entry.unread


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a campaign still has to train."""

    networks: list[CampaignNetwork]
    """Without a table and not given up."""
    tables: Collection[str]
    """IDs of those with a table."""
    failed: int
    """Given up by an earlier job."""
    not_whole: dict[str, Entry] = field(default_factory=dict)
    """By ID: whose place is taken by a file that is not the table."""

    @property
    def done(self) -> int:
        """Return how many have a table."""
        return len(self.tables)


def find_unfinished(
    networks: Sequence[CampaignNetwork], found: Inventory, given_up: Container[str] = ()
) -> Unfinished:
    """Return what of a campaign is left to train.

    Args:
        networks: a campaign's, or an array element's share of them.
        found: the inventory of their tables.
        given_up: IDs of networks that failed for good.
    """
    nothing = found.missing
    missing = [n for n in networks if n.spec.id in nothing]
    waiting = [n for n in missing if n.spec.id not in given_up]
    return Unfinished(waiting, found.standing, len(missing) - len(waiting), found.not_whole)
