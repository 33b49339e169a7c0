"""A plan, replayed event by event: what its jobs would do if every prediction were right.

    one rank      pulls the longest network that waits, trains it, pulls the next
    one job       has its ranks pull until nothing waits, or until it must save and leave; what is
                  under way then goes on in the next job of its element
    one element   is a chain of jobs over its own share of the networks
    the queue     lets so many jobs run at a time; who has waited longest is next

Time is whole milliseconds, so that sums are exact and a test can ask for every one of them. Not in
it: waiting for other users' jobs, crashes, and predictions that are wrong.
"""

import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

MS_AN_HOUR = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobShape:
    """What all jobs of a plan have in common."""

    ranks: int
    work_ms: int | None
    """From a job's first training step until it must save; None where nothing ends it."""
    start_ms: int
    """From a job's begin to its first training step."""
    leave_ms: int
    """From its last training step to its end."""

    @property
    def overhead_ms(self) -> int:
        return self.start_ms + self.leave_ms

    @property
    def limit_ms(self) -> int:
        """`work_ms`, or more than any work takes."""
        return sys.maxsize if self.work_ms is None else self.work_ms


@dataclass(frozen=True, slots=True)
class Job:
    """One job: when it ran, counted from the submission, and what its ranks got done."""

    element: int
    begin_ms: int
    end_ms: int
    trained_ms: int
    """Over all ranks."""


@dataclass(frozen=True, slots=True)
class Replay:
    """All jobs of a plan, from submission to the last table."""

    shape: JobShape
    jobs: tuple[Job, ...]
    """In the order in which they begin."""
    spans: tuple[tuple[int, ...], ...]
    """By element and by place in its order: the jobs that each network was trained in."""

    @property
    def makespan_ms(self) -> int:
        """From submission to the end of the last job, if none waits for other users' jobs."""
        return max(job.end_ms for job in self.jobs)

    @property
    def job_ms(self) -> int:
        """Lengths of all jobs; times nodes, what is charged."""
        return sum(job.end_ms - job.begin_ms for job in self.jobs)

    @property
    def trained_share(self) -> float:
        """Of the GPU time that is charged, what was training."""
        return sum(job.trained_ms for job in self.jobs) / (self.shape.ranks * self.job_ms)

    @property
    def overhead_share(self) -> float:
        """Of the GPU time that is charged, what went into starting and leaving."""
        return len(self.jobs) * self.shape.overhead_ms / self.job_ms

    @property
    def idle_share(self) -> float:
        """Of the GPU time that is charged, what had nothing to train while other ranks had."""
        return max(0.0, 1 - self.trained_share - self.overhead_share)


def replay(work: Sequence[Sequence[int]], shape: JobShape, running: int | None = None) -> Replay:
    """Run all jobs of a plan until every network is finished.

    Args:
        work: for each element the milliseconds of its networks, in the order of handing out.
        shape: of every job.
        running: the most jobs that run at a time; None is no limit.

    Raises:
        ValueError: no element, no rank, no time for work, or a network of no length.
    """
    if not work or shape.ranks < 1 or shape.limit_ms < 1 or min(chain([1], *work)) < 1:
        raise ValueError("a replay needs elements, ranks, time for work, and work of some length")
    chains, spans = [], []
    for networks in work:
        jobs, spanned = _run_element(networks, shape)
        chains.append(jobs)
        spans.append(tuple(spanned))
    trained = sum(job.trained_ms for jobs in chains for job in jobs)
    if trained != sum(map(sum, work)) or not all(map(all, spans)):
        raise AssertionError("a replay ended before all of its networks were finished")
    return Replay(shape, tuple(_queue(chains, shape, running)), tuple(spans))


@dataclass(frozen=True, slots=True)
class _Run:
    """A job of an element, wherever it stands in time."""

    work_ms: int
    """From the first training step to the last."""
    trained_ms: int


def _run_element(networks: Sequence[int], shape: JobShape) -> tuple[list[_Run], list[int]]:
    """The chain of jobs that trains these, and how many of the jobs each was trained in."""
    left, spans = list(networks), [0] * len(networks)
    jobs: list[_Run] = []
    fresh = 0  # all from here on wait; of those before, only the ones under way are not finished
    under_way: list[int] = []
    while under_way or fresh < len(left) or not jobs:
        before = under_way
        # There are never more under way than ranks, so each of them goes on at once.
        order = chain(before, range(fresh, len(left)))
        free_at = [0] * min(shape.ranks, len(before) + len(left) - fresh)
        under_way, trained = [], 0
        while free_at and free_at[0] < shape.limit_ms:
            network = next(order, None)
            if network is None:
                break
            ran = min(left[network], shape.limit_ms - free_at[0])
            heapq.heapreplace(free_at, free_at[0] + ran)
            left[network] -= ran
            trained += ran
            spans[network] += 1
            fresh = max(fresh, network + 1)
            if left[network]:
                under_way.append(network)
        jobs.append(_Run(max(free_at, default=0), trained))
    return jobs, spans


def _queue(chains: Sequence[Sequence[_Run]], shape: JobShape, running: int | None) -> list[Job]:
    """When each job begins and ends: a chain's next job queues up as the one before it ends."""
    jobs: list[Job] = []
    slots = [0] * min(len(chains), running or len(chains))  # when each falls free
    waiting = [(0, element, 0) for element in range(len(chains))]
    while waiting:
        since, element, number = heapq.heappop(waiting)
        run = chains[element][number]
        begin = max(since, slots[0])
        end = begin + shape.overhead_ms + run.work_ms
        heapq.heapreplace(slots, end)
        jobs.append(Job(element, begin, end, run.trained_ms))
        if number + 1 < len(chains[element]):
            heapq.heappush(waiting, (end, element, number + 1))
    return jobs
