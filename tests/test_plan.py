"""Plans: legal, and as cheap as they say."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_networks import paper
from plan_samples import FREE, HOUR, SMOKE, SUMMIT, a_site, forecast_of
from site_files import own_site

from nnlc.campaign.campaign import Campaign
from nnlc.errors import SiteError
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.limits import PlanRequest, asked_minutes, work_minutes
from nnlc.launching.plan import Plan, make_plan
from nnlc.launching.plan_text import plan_lines
from nnlc.launching.storage_estimate import images_to_stage, too_large
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.site import Bin, Site, load_site


def refusal(site: Site, request: PlanRequest, networks: int = 50) -> str:
    with pytest.raises(SiteError) as caught:
        make_plan(forecast_of(site, [1.0] * networks), request)
    return str(caught.value)


def asked(text: str) -> PlanRequest:
    """The request that a refusal proposes, the first where it proposes two."""
    option = re.search(r"the nearest possible is --(nodes|minutes|elements) ([0-9]+)", text)
    assert option, text
    return PlanRequest(**{option[1]: int(option[2])})


def is_legal(plan: Plan) -> bool:
    chosen, site = plan.chosen, plan.forecast.site
    longest = site.longest_minutes(chosen.nodes)
    takes = site.max_queued_jobs
    return (
        chosen.minutes is not None
        and (longest is None or chosen.minutes <= longest)
        and work_minutes(site, chosen.minutes) > 0
        and (takes is None or chosen.elements <= takes)
        and chosen.elements <= len(plan.forecast.left)
    )


def check_finishes(plan: Plan) -> None:
    """Every network is trained, in jobs within their walltime and their notice."""
    chosen, site = plan.chosen, plan.forecast.site
    assert sum(map(len, chosen.replay.spans)) == len(plan.forecast.left)
    trained = sum(job.trained_ms for job in chosen.replay.jobs)
    seconds = sum(f.seconds for f in plan.forecast.left)
    assert trained == pytest.approx(1000 * seconds, abs=len(plan.forecast.left))
    for job in chosen.replay.jobs:
        most = 60_000 * ((chosen.minutes or 0) - site.notice.minutes)
        assert job.end_ms - job.begin_ms <= most


# A site's limits, and what it takes to keep within them


@pytest.mark.parametrize("name", ["summit", "frontier", "perlmutter"])
def test_the_papers_6000_networks_finish_at_each_site_within_its_limits(
    name, monkeypatch, tmp_path
):
    campaign, networks = paper()
    monkeypatch.setattr(Campaign, "networks", lambda _: iter(networks))
    site = load_site(name)
    plan = make_plan(forecast_campaign(campaign, site, ResultsFolder(tmp_path)), FREE)
    assert len(plan.forecast.left) == 6000
    assert is_legal(plan)
    check_finishes(plan)
    assert plan.chosen.replay.idle_share < 0.03
    hours = plan.forecast.seconds_left / HOUR
    assert hours / site.gpus_per_node < plan.chosen.node_hours < 1.05 * hours / site.gpus_per_node
    work = work_minutes(site, plan.chosen.minutes or 0)
    assert plan.longest_jobs == -(-plan.longest.seconds // (60 * work - plan.longest.setup_seconds))
    assert {name for name, _ in images_to_stage(plan.forecast)} == {"CIFAR-100", "F-MNIST", "SVHN"}
    assert not too_large(plan.forecast)


SITES = st.builds(
    a_site,
    scheduler=st.sampled_from(["slurm", "lsf"]),
    gpus_per_node=st.integers(1, 4),
    max_nodes=st.integers(1, 40) | st.none(),
    max_walltime_minutes=st.integers(10, 600) | st.none(),
    bins=st.sampled_from(
        [
            (),
            (Bin(nodes=(1, 4), hours=1), Bin(nodes=(5, 9), hours=5)),
            (Bin(nodes=(1, 2), hours=0.1), Bin(nodes=(2, 30), hours=3.3)),
        ]
    ),
    max_queued_jobs=st.integers(2, 9) | st.none(),
    max_running_jobs=st.integers(1, 5) | st.none(),
    notice=st.just({"minutes": 4}),
)
HOURS = st.lists(st.floats(0.01, 20), min_size=1, max_size=16)
COUNTS = st.integers(-1, 60) | st.none()


@settings(max_examples=50)
@given(SITES, HOURS, COUNTS, COUNTS | st.integers(60, 800), COUNTS)
def test_whatever_is_asked_a_plan_is_legal_or_the_nearest_possible_is(
    site, hours, nodes, minutes, elements
):
    forecast = forecast_of(site, hours)
    request = PlanRequest(nodes=nodes, minutes=minutes, elements=elements)
    for _ in range(4):  # one mistake is refused at a time
        try:
            plan = make_plan(forecast, request)
            break
        except SiteError as problem:
            text = str(problem)
        if "the jobs that it allows are too short" in text:
            return
        better = asked(text)
        request = PlanRequest(
            nodes=better.nodes or request.nodes,
            minutes=better.minutes or request.minutes,
            elements=better.elements or request.elements,
        )
    else:
        pytest.fail(f"still refused: {request}")
    assert is_legal(plan)
    check_finishes(plan)
    for key in ("nodes", "minutes", "elements"):
        assert getattr(request, key) in (None, getattr(plan.chosen, key))
    running = site.max_running_jobs or len(plan.chosen.replay.jobs)
    for job in plan.chosen.replay.jobs:
        at_once = [o for o in plan.chosen.replay.jobs if o.begin_ms <= job.begin_ms < o.end_ms]
        assert len(at_once) <= running


@settings(max_examples=25)
@given(
    HOURS,
    st.sampled_from([(), (Bin(nodes=(1, 2), hours=2), Bin(nodes=(3, 5), hours=9))]),
    st.integers(1, 3),
)
def test_no_other_choice_is_cheaper_by_2_percent_or_as_cheap_and_faster(hours, bins, running):
    site = a_site(bins=bins, max_nodes=5, max_running_jobs=running, walltime_minutes=300)
    forecast = forecast_of(site, hours)
    chosen = make_plan(forecast, FREE).chosen
    every = [
        make_plan(forecast, PlanRequest(nodes=nodes, elements=elements)).chosen
        for nodes, elements in product(range(1, 6), range(1, min(running, len(hours)) + 1))
    ]
    least = min(o.node_hours for o in every)
    assert chosen.node_hours <= 1.02 * least
    as_cheap = [o for o in every if o.node_hours <= 1.02 * least]
    assert chosen.makespan_hours <= 1.01 * min(o.makespan_hours for o in as_cheap)


def test_no_nodes_are_taken_that_would_idle():
    plan = make_plan(forecast_of(a_site(max_walltime_minutes=2880), [10.0] + [1.0] * 30), FREE)
    assert plan.chosen.nodes * plan.chosen.elements == 2  # 4 GPUs: 10 hours each
    assert plan.chosen.replay.idle_share < 0.02


def test_a_walltime_is_not_longer_than_twice_what_is_needed():
    site = a_site(max_walltime_minutes=2880)
    assert make_plan(forecast_of(site, [1.0] * 8), PlanRequest(nodes=4)).chosen.minutes == 180
    assert make_plan(forecast_of(site, [40.0]), FREE).chosen.minutes == 2880
    asked_for = make_plan(forecast_of(site, [1.0]), PlanRequest(minutes=1000))
    assert asked_for.chosen.minutes == 1000


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"nodes": 5000}, "no bin of summit has 5,000 nodes;.* nearest possible is --nodes 4608"),
        ({"nodes": 0}, "--nodes 0: must be at least 1; the nearest possible is --nodes 1"),
        (
            {"minutes": 180, "nodes": 10},
            "10 nodes on .* may last 120;.*is --minutes 120, or --nodes 46",
        ),
        (
            {"minutes": 1500},
            "--minutes 1500: no job on summit may last so long;.*is --minutes 1440",
        ),
        ({"minutes": 6}, "no time is left for training:.*is --minutes 7"),
        ({"minutes": 0}, "no time is left for training:.*is --minutes 7"),
        ({"elements": 51}, "max_queued_jobs = 100, and each job submits its successor.* 50"),
        ({"elements": 0}, "--elements 0: must be at least 1; the nearest possible is --elements 1"),
    ],
)
def test_the_impossible_is_refused_with_the_nearest_possible(request_, message):
    text = refusal(SUMMIT, PlanRequest(**request_), 60)
    assert re.search(message, text), text


def test_more_elements_than_networks_are_refused():
    text = refusal(SUMMIT, PlanRequest(elements=4), 3)
    assert "3 networks are to train; the nearest possible is --elements 3" in text


def test_a_walltime_may_be_given_in_hours_but_not_twice_and_as_a_number():
    assert asked_minutes(None, 1.5) == asked_minutes(90, None) == 90
    with pytest.raises(SiteError, match="must be a number of hours"):
        asked_minutes(None, float("nan"))
    with pytest.raises(SiteError, match="--hours 2 and --minutes 120: give only --minutes"):
        asked_minutes(120, 2.0)


def test_a_site_that_says_nothing_of_its_gpu_is_told_what_to_say(tmp_path):
    with pytest.raises(SiteError, match="table \\[gpu\\]: missing") as caught:
        forecast_campaign(SMOKE, load_site("slurm"), ResultsFolder(tmp_path / "none"))
    own = load_site("slurm").model_copy(update={"name": "ours"})
    with pytest.raises(SiteError, match="write into the site file of ours\\n  \\[gpu\\]"):
        forecast_campaign(SMOKE, own, ResultsFolder(tmp_path / "none"))
    lines = str(caught.value).splitlines()
    found = own_site(tmp_path, "\n".join(line for line in lines if line.startswith("  ")))
    assert found.gpu is not None
    forecast_campaign(SMOKE, found, ResultsFolder(tmp_path / "none"))


def test_a_local_site_gets_one_job_that_nothing_ends():
    site = a_site(scheduler="local", max_nodes=1)
    plan = make_plan(forecast_of(site, [100.0, 50.0, 50.0]), FREE)
    assert (plan.chosen.nodes, plan.chosen.minutes, plan.chosen.jobs) == (1, None, 1)
    assert plan.chosen.makespan_hours == pytest.approx(100.05)
    assert "no walltime" in "\n".join(plan_lines(plan))
    assert "leave --minutes out" in refusal(site, PlanRequest(minutes=60))
    assert "--elements 1" in refusal(site, PlanRequest(elements=2))


@pytest.mark.parametrize("mps", [True, False])
def test_a_plan_does_not_count_what_sharing_a_gpu_saves_and_says_so(mps):
    plan = make_plan(forecast_of(a_site(mps=mps), [1.0]), FREE)
    assert ("that share a GPU" in " ".join(" ".join(plan_lines(plan)).split())) == mps


@pytest.mark.parametrize("request_", [{}, {"nodes": 3}, {"minutes": 60}, {"elements": 2}])
def test_jobs_too_short_to_train_in_are_an_error_of_the_site(request_):
    text = refusal(a_site(max_walltime_minutes=6), PlanRequest(**request_))
    assert "the jobs that it allows are too short" in text


def test_a_size_whose_jobs_are_too_short_is_refused():
    site = a_site(bins=(Bin(nodes=(1, 2), hours=0.1), Bin(nodes=(3, 4), hours=1)))
    assert "--nodes 2: jobs of this size may last 6 minutes" in refusal(site, PlanRequest(nodes=2))
    assert "nearest possible is --nodes 3" in refusal(site, PlanRequest(nodes=2))
    assert make_plan(forecast_of(site, [1.0]), FREE).chosen.nodes == 3
