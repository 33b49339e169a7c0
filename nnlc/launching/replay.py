"""Replay of a plan, event by event, as if every prediction were right.

    a rank        trains the longest waiting network, then the next
    a job         ends when no network waits, or when it must save; its running networks continue in
                  the next job of its element
    an element    is a chain of jobs for its part of the networks
    the queue     runs a limited number of jobs at a time, first come, first served

Each job that trains a network sets it up first. Times are whole milliseconds, so that sums are
exact. The replay leaves out other users' jobs, crashes and errors of the predictions.
"""

import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

MS_AN_HOUR = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobShape:
    """Ranks and times of every job of a plan."""

    ranks: int
    work_ms: int | None
    """Time from a job's first training step until it must save; None if nothing ends it."""
    start_ms: int
    """Time from a job's start to its first training step."""
    leave_ms: int
    """Time from a job's last training step to its end."""

    @property
    def overhead_ms(self) -> int:
        return self.start_ms + self.leave_ms

    @property
    def limit_ms(self) -> int:
        """Value of `work_ms`, or a huge number for None."""
        return sys.maxsize if self.work_ms is None else self.work_ms

    @property
    def most_setup_ms(self) -> int:
        """Longest time in which a network is set up: half of a job, so that each job trains."""
        return self.limit_ms // 2


@dataclass(frozen=True, slots=True)
class Job:
    """One job, with its times since the submission."""

    element: int
    begin_ms: int
    end_ms: int
    trained_ms: int
    """Training time, summed over all ranks."""
    setup_ms: int = 0
    """Set-up time of networks, summed over all ranks."""


@dataclass(frozen=True, slots=True)
class Replay:
    """All jobs of a plan, from submission to the last table."""

    shape: JobShape
    jobs: tuple[Job, ...]
    """Jobs in the order in which they begin."""
    spans: tuple[tuple[int, ...], ...]
    """Number of jobs in which each network was trained, by element, in the order of `work`."""

    @property
    def makespan_ms(self) -> int:
        """Time from submission to the end of the last job."""
        return max(job.end_ms for job in self.jobs)

    @property
    def job_ms(self) -> int:
        """Sum of the lengths of all jobs."""
        return sum(job.end_ms - job.begin_ms for job in self.jobs)

    @property
    def trained_share(self) -> float:
        """Share of charged GPU time that goes into training."""
        return sum(job.trained_ms for job in self.jobs) / (self.shape.ranks * self.job_ms)

    @property
    def setup_share(self) -> float:
        """Share of charged GPU time that goes into setting up networks."""
        return sum(job.setup_ms for job in self.jobs) / (self.shape.ranks * self.job_ms)

    @property
    def overhead_share(self) -> float:
        """Share of charged GPU time that goes into starting and saving."""
        return len(self.jobs) * self.shape.overhead_ms / self.job_ms

    @property
    def idle_share(self) -> float:
        """Share of charged GPU time in which ranks have no network."""
        return max(0.0, 1 - self.trained_share - self.setup_share - self.overhead_share)


def replay(
    work: Sequence[Sequence[int]],
    shape: JobShape,
    running: int | None = None,
    setups: Sequence[Sequence[int]] | None = None,
) -> Replay:
    """Return a replay of all jobs of a plan, until every network is finished.

    Args:
        work: milliseconds of each element's networks, in the order in which ranks get them.
        shape: ranks and times of every job.
        running: most jobs that run at a time; None without a limit.
        setups: milliseconds that it takes to set up each of these networks, on top of `work`;
            default: 0. Of a longer one, `most_setup_ms` count.

    Raises:
        ValueError: there is no element, no rank, no time for work, or a network takes no time.
    """
    if not work or shape.ranks < 1 or shape.limit_ms < 1 or min(chain([1], *work)) < 1:
        raise ValueError("a replay needs elements, ranks, time for work, and work that takes time")
    setups = setups or [[0] * len(networks) for networks in work]
    runs = (_run_element(*both, shape) for both in zip(work, setups, strict=True))
    chains, spans = zip(*runs, strict=True)
    trained = sum(job.trained_ms for jobs in chains for job in jobs)
    if trained != sum(map(sum, work)) or not all(map(all, spans)):
        raise AssertionError("a replay ended before all of its networks were finished")
    return Replay(shape, tuple(_queue(chains, shape, running)), tuple(map(tuple, spans)))


@dataclass(frozen=True, slots=True)
class _Run:
    """A job of an element, without its time in the queue."""

    work_ms: int
    """Time from the first training step to the last."""
    trained_ms: int
    setup_ms: int


def _run_element(
    networks: Sequence[int], setups: Sequence[int], shape: JobShape
) -> tuple[list[_Run], list[int]]:
    """Return the jobs that train an element's networks, and the number of jobs per network."""
    left, spans = list(networks), [0] * len(networks)
    setups = [min(setup, shape.most_setup_ms) for setup in setups]
    jobs: list[_Run] = []
    fresh = 0  # networks from this index on wait; all before are finished or under way
    under_way: list[int] = []
    while under_way or fresh < len(left) or not jobs:
        before = under_way
        # There are never more networks under way than ranks, so each continues at once.
        order = chain(before, range(fresh, len(left)))
        free_at = [0] * min(shape.ranks, len(before) + len(left) - fresh)
        under_way, trained, in_setup = [], 0, 0
        while free_at and free_at[0] < shape.limit_ms:
            network = next(order, None)
            if network is None:
                break
            room = shape.limit_ms - free_at[0]
            setting_up = min(setups[network], room)
            ran = min(left[network], room - setting_up)
            heapq.heapreplace(free_at, free_at[0] + setting_up + ran)
            left[network] -= ran
            trained += ran
            in_setup += setting_up
            spans[network] += 1
            fresh = max(fresh, network + 1)
            if left[network]:
                under_way.append(network)
        jobs.append(_Run(max(free_at, default=0), trained, in_setup))
    return jobs, spans


def _queue(chains: Sequence[Sequence[_Run]], shape: JobShape, running: int | None) -> list[Job]:
    """Return all jobs with their times: each job of a chain is queued when the previous ends."""
    jobs: list[Job] = []
    slots = [0] * min(len(chains), running or len(chains))  # when each becomes free
    waiting = [(0, element, 0) for element in range(len(chains))]
    while waiting:
        since, element, number = heapq.heappop(waiting)
        run = chains[element][number]
        begin = max(since, slots[0])
        end = begin + shape.overhead_ms + run.work_ms
        heapq.heapreplace(slots, end)
        jobs.append(Job(element, begin, end, run.trained_ms, run.setup_ms))
        if number + 1 < len(chains[element]):
            heapq.heappush(waiting, (end, element, number + 1))
    return jobs
