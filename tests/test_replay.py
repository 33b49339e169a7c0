"""The replay of a plan: nothing is lost, nothing is done twice, no limit is passed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_networks import paper

from nnlc.families.article.family import ARTICLE
from nnlc.launching.replay import JobShape, Replay, replay
from nnlc.networks.machine import GPU

WORK = st.lists(
    st.lists(st.integers(1, 5000), max_size=30).map(lambda ms: sorted(ms, reverse=True)),
    min_size=1,
    max_size=6,
)
SHAPES = st.builds(
    JobShape,
    ranks=st.integers(1, 9),
    work_ms=st.integers(200, 6000) | st.none(),
    start_ms=st.integers(0, 90),
    leave_ms=st.integers(0, 90),
)
RUNNING = st.integers(1, 4) | st.none()


def shape(ranks=2, work_ms: int | None = 100, start_ms=10, leave_ms=5) -> JobShape:
    return JobShape(ranks=ranks, work_ms=work_ms, start_ms=start_ms, leave_ms=leave_ms)


def windows(found: Replay) -> list[int]:
    """Of each job the time for training."""
    return [job.end_ms - job.begin_ms - found.shape.overhead_ms for job in found.jobs]


@given(WORK, SHAPES, RUNNING)
def test_all_work_is_done_once_and_no_rank_does_more_than_its_time(work, shape, running):
    found = replay(work, shape, running)
    for element, networks in enumerate(work):
        jobs = [job for job in found.jobs if job.element == element]
        assert sum(job.trained_ms for job in jobs) == sum(networks)
        assert len(found.spans[element]) == len(networks)
        assert jobs
    for job, window in zip(found.jobs, windows(found), strict=True):
        assert window <= job.trained_ms <= shape.ranks * window
    shares = found.trained_share + found.overhead_share + found.idle_share if found.job_ms else 1
    assert shares == pytest.approx(1)


@given(WORK, SHAPES, RUNNING)
def test_no_job_lasts_longer_than_its_walltime_leaves(work, shape, running):
    for window in windows(replay(work, shape, running)):
        assert shape.work_ms is None or window <= shape.work_ms


@given(WORK, SHAPES, RUNNING)
def test_never_more_jobs_run_than_may_and_those_of_an_element_follow_each_other(
    work, shape, running
):
    jobs = replay(work, shape, running).jobs
    for job in jobs:
        at_once = [other for other in jobs if other.begin_ms <= job.begin_ms < other.end_ms]
        assert running is None or len(at_once) <= running
        assert sum(other.element == job.element for other in at_once) <= 1
    assert [job.begin_ms for job in jobs] == sorted(job.begin_ms for job in jobs)


@given(WORK, SHAPES, RUNNING)
def test_the_longest_network_spans_as_few_jobs_as_its_hours_allow(work, shape, running):
    for networks, spans in zip(work, replay(work, shape, running).spans, strict=True):
        least = [-(-ms // shape.work_ms) if shape.work_ms else 1 for ms in networks]
        assert spans[:1] == tuple(least[:1])
        assert all(found >= fewest for found, fewest in zip(spans, least, strict=True))


@given(WORK, SHAPES)
def test_ranks_idle_only_while_the_last_networks_end(work, shape):
    """Then an element takes an even share of its work, and its longest network, at most."""
    found = replay(work, shape)
    for element, networks in enumerate(work):
        training = sum(
            w for job, w in zip(found.jobs, windows(found), strict=True) if job.element == element
        )
        longest = max(networks, default=0)
        assert training >= max(longest, sum(networks) / shape.ranks)
        assert training <= longest + sum(networks) / shape.ranks


@given(WORK, SHAPES, st.integers(1, 5))
def test_more_ranks_never_cost_more_training_time_than_the_longest_network(work, few, more):
    many = JobShape(
        ranks=few.ranks + more,
        work_ms=few.work_ms,
        start_ms=few.start_ms,
        leave_ms=few.leave_ms,
    )
    for networks in work:
        with_few, with_many = (sum(windows(replay([networks], s))) for s in (few, many))
        assert with_many <= with_few + max(networks, default=0)


@given(WORK, SHAPES, st.integers(1, 4))
def test_a_queue_that_lets_more_jobs_run_never_costs_node_hours(work, shape, running):
    assert replay(work, shape, running).job_ms == replay(work, shape).job_ms
    assert replay(work, shape, running).makespan_ms >= replay(work, shape).makespan_ms


def tick_by_tick(networks: Sequence[int], ranks: int, work_ms: int) -> list[tuple[int, int]]:
    """The jobs of one element, by doing what ranks do at every millisecond: window and work."""
    jobs, left = [], dict(enumerate(networks))
    while left:
        held: list[int] = []
        window = trained = 0
        while left and window < work_ms:
            waiting = [n for n in sorted(left) if n not in held]
            held += waiting[: ranks - len(held)]
            for n in held:
                left[n] -= 1
            window, trained = window + 1, trained + len(held)
            held = [n for n in held if left[n]]
            left = {n: ms for n, ms in left.items() if ms}
        jobs.append((window, trained))
    return jobs


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 9))
def test_it_is_what_ranks_do_at_every_moment(networks, ranks, work_ms):
    found = replay([networks], shape(ranks, work_ms))
    trained = [job.trained_ms for job in found.jobs]
    assert list(zip(windows(found), trained, strict=True)) == tick_by_tick(networks, ranks, work_ms)


def test_a_small_plan_is_as_worked_out_by_hand():
    found = replay([[250, 60, 50], [30]], shape(), running=1)
    # In its first job, element 0 does 100 of 250 on one rank, 60 and 40 of 50 on the other.
    assert [(j.element, j.begin_ms, j.end_ms, j.trained_ms) for j in found.jobs] == [
        (0, 0, 115, 200),
        (1, 115, 160, 30),
        (0, 160, 275, 110),
        (0, 275, 340, 50),
    ]
    assert found.spans == ((3, 1, 2), (1,))
    assert found.makespan_ms == found.job_ms == 340
    assert found.overhead_share == pytest.approx(4 * 15 / 340)
    assert found.idle_share == pytest.approx((30 + 90 + 50) / (2 * 340))


@pytest.mark.parametrize(
    ("work", "wrong"),
    [
        ([], shape()),
        ([[1, 0]], shape()),
        ([[-1]], shape()),
        ([[1]], shape(ranks=0)),
        ([[1]], shape(work_ms=0)),
        ([[1]], shape(work_ms=-5)),
    ],
)
def test_what_could_never_end_is_refused(work, wrong):
    with pytest.raises(ValueError, match="a replay needs"):
        replay(work, wrong)


@pytest.mark.parametrize(("ranks", "hours"), [(6, 2), (276, 6), (27648, 24)])
def test_the_papers_6000_networks_are_replayed_to_the_end(ranks, hours):
    campaign, networks = paper()
    ms = sorted(
        (
            round(
                1000
                * ARTICLE.predict_seconds(
                    n.spec, n.images, campaign.epochs, GPU, campaign.training, "cuda"
                )
            )
            for n in networks
        ),
        reverse=True,
    )
    found = replay([ms], shape(ranks, hours * 3_600_000))
    assert len(found.spans[0]) == 6000
    assert sum(job.trained_ms for job in found.jobs) == sum(ms)
