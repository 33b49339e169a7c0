"""Choice of nodes, walltime and array elements, by a replay of the candidates that a site allows.

The plan keeps
  1. the candidates whose node-hours are within 2 % of the least, so that few GPUs idle;
  2. of these, the candidates whose makespan is within 1 % of the shortest;
  3. of these, the candidate with the fewest jobs, then the fewest elements, then the fewest nodes.
The walltime is the longest that the site allows for the job's nodes, since each job takes time to
start and save. If the longest job needs less than half of it, the walltime is twice that job's
time, rounded up to whole hours. Candidates that can't win are not replayed.
`nnlc.launching.queue_choice` chooses among the plans of several queues.
"""

import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from nnlc.campaign.array_split import split
from nnlc.errors import SiteError
from nnlc.launching.forecast import Forecast, NetworkForecast, nothing_to_plan
from nnlc.launching.limits import (
    SAVE_MINUTES,
    START_MINUTES,
    PlanRequest,
    check_request,
    element_choices,
    longer_sizes,
    node_choices,
    too_short,
    walltime_minutes,
    work_minutes,
)
from nnlc.launching.replay import MS_AN_HOUR, JobShape, Replay, replay

NODE_HOURS_TOLERANCE = 0.02
MAKESPAN_TOLERANCE = 0.01
_MS_A_MINUTE = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to train a campaign, with its replay."""

    nodes: int
    """Nodes of each job."""
    minutes: int | None
    """Walltime of each job; None if nothing ends it."""
    elements: int
    replay: Replay

    @property
    def node_hours(self) -> float:
        return self.nodes * self.replay.job_ms / MS_AN_HOUR

    @property
    def makespan_hours(self) -> float:
        return self.replay.makespan_ms / MS_AN_HOUR

    @property
    def jobs(self) -> int:
        return len(self.replay.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A choice of jobs to submit, with their cost."""

    forecast: Forecast
    chosen: Option
    others: tuple[Option, ...]
    """Options that were not chosen, for comparison."""
    longest: NetworkForecast
    longest_jobs: int
    """Number of jobs in which the longest network is trained."""
    command: str | None = None
    """Command that starts the jobs; None if the names of campaign and site are unknown."""
    queues: tuple["Plan | str", ...] = ()
    """Plan in each queue of the site, or the reason why there is none, in the site's order; empty
    unless there are several queues."""

    @property
    def charge(self) -> float:
        """Charge for the jobs, in the site's unit."""
        return self.chosen.node_hours * self.forecast.site.charge_factor


def make_plan(forecast: Forecast, request: PlanRequest) -> Plan:
    """Return a choice of jobs to submit to the queue of a forecast's site.

    Raises:
        SiteError: the request is impossible at this site, or nothing is left to train.
    """
    site, left = forecast.site, forecast.left
    if not left:
        raise nothing_to_plan(forecast)
    check_request(request, site, len(left))
    planner = _Planner(forecast)
    chosen = planner.choose(request)
    longest = max(left, key=lambda f: f.seconds_with_setup)
    return Plan(
        forecast=forecast,
        chosen=chosen,
        others=tuple(planner.others(request, chosen)),
        longest=longest,
        longest_jobs=planner.jobs_of(longest, chosen),
    )


def fewest_nodes(forecast: Forecast, request: PlanRequest) -> int:
    """Return the fewest nodes with which jobs finish as early as with those of a request.

    Args:
        forecast: networks to train.
        request: nodes, minutes and elements of the jobs.

    Raises:
        SiteError: the jobs are too short to train.
    """
    planner = _Planner(forecast)
    [asked] = planner.candidates(request)
    latest = planner.replay(asked).replay.makespan_ms * (1 + MAKESPAN_TOLERANCE)
    others = planner.candidates(dataclasses.replace(request, nodes=None))
    fewer = [c for c in others if c.nodes < asked.nodes and c.least_makespan_ms <= latest]
    enough = (c.nodes for c in fewer if planner.replay(c).replay.makespan_ms <= latest)
    return next(enough, asked.nodes)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An allowed choice, with lower bounds for the results of its replay."""

    nodes: int
    minutes: int | None
    elements: int
    least_node_ms: int
    least_makespan_ms: int


class _Planner:
    """Replay of candidates, each at most once."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast, self._site = forecast, forecast.site
        self._ms = [max(1, round(1000 * f.seconds)) for f in forecast.networks]
        self._setup_ms = [round(1000 * f.setup_seconds) for f in forecast.networks]
        self.replay = cache(self._find_replay)
        self._order = cache(self._find_order)
        self._sums = cache(self._find_sums)

    def choose(self, request: PlanRequest) -> Option:
        """Return the best option by the criteria of this module."""
        candidates = self.candidates(request)
        least = self._least_node_ms(candidates) * (1 + NODE_HOURS_TOLERANCE)
        cheap = [c for c in candidates if c.least_node_ms <= least]
        best: list[Option] = []
        for candidate in sorted(cheap, key=lambda c: c.least_makespan_ms):
            shortest = min((o.replay.makespan_ms for o in best), default=None)
            if shortest and candidate.least_makespan_ms > shortest * (1 + MAKESPAN_TOLERANCE):
                break
            option = self.replay(candidate)
            if option.nodes * option.replay.job_ms <= least:
                best.append(option)
        longest = min(o.replay.makespan_ms for o in best) * (1 + MAKESPAN_TOLERANCE)
        found = min(
            (o for o in best if o.replay.makespan_ms <= longest),
            key=lambda o: (o.jobs, o.elements, o.nodes),
        )
        return found if request.minutes else self._not_longer_than_needed(found)

    def others(self, request: PlanRequest, chosen: Option) -> Iterable[Option]:
        """Return other options: the choice without request, or twice the nodes and longer bins."""
        if request != PlanRequest():
            with contextlib.suppress(SiteError):  # a site's own walltime may be too short
                free = self.choose(PlanRequest())
                return [] if free == chosen else [free]
            return []
        if chosen.minutes is None:
            return []
        most = walltime_minutes(request, self._site, chosen.nodes) or chosen.minutes
        sizes = {2 * chosen.nodes: chosen.elements} | dict.fromkeys(
            longer_sizes(self._site, most), 1
        )
        found = []
        for nodes, elements in sizes.items():
            asked = PlanRequest(nodes=nodes, elements=elements)
            with contextlib.suppress(SiteError):
                check_request(asked, self._site, len(self._forecast.left))
                found.append(self.choose(asked))
        return found

    def jobs_of(self, network: NetworkForecast, option: Option) -> int:
        """Return the number of jobs of an option in which a network is trained."""
        index = network.network.index
        spans = zip(self._order(option.elements), option.replay.spans, strict=True)
        return next(jobs[order.index(index)] for order, jobs in spans if index in order)

    def candidates(self, request: PlanRequest) -> list[_Candidate]:
        """Return the candidates that the site allows for a request."""
        networks, site = len(self._forecast.left), self._site
        found = [
            self._candidate(nodes, minutes, elements)
            for nodes in node_choices(request, site, networks)
            if (minutes := walltime_minutes(request, site, nodes)) is None
            or work_minutes(site, minutes) > 0
            for elements in element_choices(request, site, networks)
        ]
        if not found:
            raise too_short(site)
        return found

    def _candidate(self, nodes: int, minutes: int | None, elements: int) -> _Candidate:
        """Return a candidate; its lower bounds assume that ranks idle only at the very end."""
        shape = self._shape(nodes, minutes)
        lengths = []
        for total, longest in self._sums(elements, shape.most_setup_ms):
            least = max(-(-total // shape.ranks), longest)
            jobs = max(1, -(-least // shape.limit_ms))
            lengths.append(least + jobs * shape.overhead_ms)
        at_once = min(elements, self._site.max_running_jobs or elements)
        return _Candidate(
            nodes,
            minutes,
            elements,
            nodes * sum(lengths),
            max(*lengths, sum(lengths) // at_once, 0),
        )

    def _least_node_ms(self, candidates: list[_Candidate]) -> float:
        least = float("inf")
        for candidate in sorted(candidates, key=lambda c: c.least_node_ms):
            if candidate.least_node_ms > least:
                break
            option = self.replay(candidate)
            least = min(least, option.nodes * option.replay.job_ms)
        return least

    def _find_replay(self, candidate: _Candidate) -> Option:
        nodes, minutes, elements = candidate.nodes, candidate.minutes, candidate.elements
        shape = self._shape(nodes, minutes)
        work, setups = self._times(self._ms, elements), self._times(self._setup_ms, elements)
        found = replay(work, shape, self._site.max_running_jobs, setups)
        return Option(nodes=nodes, minutes=minutes, elements=elements, replay=found)

    def _find_order(self, elements: int) -> list[list[int]]:
        """Return the waiting networks of each element, in the order in which ranks get them."""
        shares = split([f.nominal_seconds for f in self._forecast.networks], elements)
        return [self._forecast.hand_out_order(share) for share in shares]

    def _find_sums(self, elements: int, most_setup: int) -> list[tuple[int, int]]:
        """Return the milliseconds of all networks and of the longest network of each element."""
        both = [ms + min(s, most_setup) for ms, s in zip(self._ms, self._setup_ms, strict=True)]
        return [(sum(ms), max(ms, default=0)) for ms in self._times(both, elements)]

    def _times(self, ms: list[int], elements: int) -> list[list[int]]:
        """Return values of all networks, by index, in the order of each element."""
        return [[ms[index] for index in order] for order in self._order(elements)]

    def _shape(self, nodes: int, minutes: int | None) -> JobShape:
        return JobShape(
            ranks=nodes * self._site.gpus_per_node,
            work_ms=None if minutes is None else _MS_A_MINUTE * work_minutes(self._site, minutes),
            start_ms=_MS_A_MINUTE * START_MINUTES,
            leave_ms=_MS_A_MINUTE * SAVE_MINUTES,
        )

    def _not_longer_than_needed(self, option: Option) -> Option:
        """Return the option with a walltime of at most twice its longest job."""
        if option.minutes is None:
            return option
        longest_ms = max(job.end_ms - job.begin_ms for job in option.replay.jobs)
        needed = max(2 * longest_ms, longest_ms + _MS_A_MINUTE * self._site.notice.minutes)
        hours = -(-needed // MS_AN_HOUR)
        if 60 * hours >= option.minutes:
            return option
        return dataclasses.replace(option, minutes=60 * hours)
