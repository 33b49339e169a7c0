"""Plans: legal, as cheap as they say, and honest about what they rest on."""

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_networks import paper
from site_files import own_site
from typer.testing import CliRunner

from nnlc.campaign.campaign import Campaign, load_campaign, parse_campaign
from nnlc.cli import app
from nnlc.errors import ResultsError, SiteError
from nnlc.launching.forecast import Forecast, NetworkForecast, forecast_campaign, is_this_gpu
from nnlc.launching.limits import PlanRequest, asked_minutes, work_minutes
from nnlc.launching.plan import Plan, fewest_nodes, make_plan
from nnlc.launching.plan_text import plan_lines
from nnlc.launching.render import Request
from nnlc.launching.spare_nodes import spare_nodes_notes
from nnlc.launching.storage_estimate import disk, images_to_stage, too_large
from nnlc.networks.cost import GPU, gpu_machine, predict_seconds
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import Bin, Gpu, Site, load_site
from nnlc.tables import Row, Table, write_table

SMOKE = load_campaign("smoke")
V100 = Gpu(model="NVIDIA V100", fp32_teraflops=15.7, memory_gigabytes=16)
FREE = PlanRequest()
HOUR = 3600


def a_site(**facts) -> Site:
    submit = {"slurm": "sbatch", "lsf": "bsub", "local": "bash"}[facts.get("scheduler", "slurm")]
    known = {"name": "here", "scheduler": "slurm", "submit": submit, "gpus_per_node": 2}
    return Site(**known | {"cores_per_rank": 1, "gpu": V100} | facts)


SUMMIT = load_site("summit")


def forecast_of(site: Site, hours: list[float], waiting: list[int] | None = None) -> Forecast:
    """A campaign of networks that take so many hours."""
    networks = list(SMOKE.networks())
    found = [
        NetworkForecast(
            network=replace(networks[i % len(networks)], index=i),
            seconds=HOUR * h,
            nominal_seconds=HOUR * h,
            operations=1,
            parameters=1000,
            memory_bytes=1,
        )
        for i, h in enumerate(hours)
    ]
    left = frozenset(range(len(hours)) if waiting is None else waiting)
    return Forecast(
        campaign=SMOKE,
        site=site,
        gpu=site.gpu or V100,
        networks=tuple(found),
        waiting=left,
        done=len(hours) - len(left),
        failed=0,
        measured=None,
    )


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
    hours = sum(f.seconds for f in plan.forecast.left) / HOUR
    assert hours / site.gpus_per_node < plan.chosen.node_hours < 1.05 * hours / site.gpus_per_node
    work = work_minutes(site, plan.chosen.minutes or 0)
    assert plan.longest_jobs == -(-plan.longest.seconds // (60 * work))
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
        ({"nodes": 5000}, "no bin of summit has 5000 nodes;.* nearest possible is --nodes 4608"),
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


# What is predicted


@pytest.fixture
def results(tmp_path) -> ResultsFolder:
    folder = ResultsFolder(tmp_path / "results")
    folder.open(SMOKE)
    return folder


def test_a_folder_that_is_not_there_says_nothing_and_is_not_made(tmp_path):
    found = forecast_campaign(SMOKE, a_site(), ResultsFolder(tmp_path / "none"))
    assert (len(found.left), found.done, found.failed, found.measured) == (8, 0, 0, None)
    assert not list(tmp_path.iterdir())
    machine = gpu_machine(operations_per_second=0.35 * 15.7e12, bytes_per_second=0.8 * 15.7e12 / 16)
    for f in found.networks:
        n = f.network
        assert f.seconds == predict_seconds(n.spec, n.images, SMOKE.epochs, machine)
        assert f.nominal_seconds == predict_seconds(n.spec, n.images, SMOKE.epochs, GPU)


def test_finished_and_failed_networks_are_not_planned(results):
    networks = list(SMOKE.networks())
    for n in networks[:3]:
        rows = (Row(2.0, 2.0, 10.0),) * SMOKE.half_epochs
        write_table(Table(n.spec, rows), results.table_path(n.images, n.spec))
    n = networks[7]
    results.table_path(n.images, n.spec).touch()
    Journal(results.journal_folder).write("failure", id=networks[5].spec.id, reason="no memory")
    Journal(results.journal_folder).write("failure", id=networks[0].spec.id, reason="done since")
    found = forecast_campaign(SMOKE, a_site(), results)
    assert [f.network.index for f in found.left] == [3, 4, 6]
    assert (found.done, found.failed, found.not_whole) == (3, 1, 1)
    plan = make_plan(found, PlanRequest(elements=2))
    assert sum(map(len, plan.chosen.replay.spans)) == 3
    assert "1 failed, 1 unusable table; " in "\n".join(plan_lines(plan))


def test_where_nothing_is_left_there_is_nothing_to_plan():
    with pytest.raises(SiteError, match="nothing to plan: all 3 tables are there; --results"):
        make_plan(forecast_of(a_site(), [1.0] * 3, waiting=[]), FREE)


def test_measured_seconds_replace_the_efficiency(results):
    plain = forecast_campaign(SMOKE, a_site(), results)
    journal = Journal(results.journal_folder)
    for number, (factor, device) in enumerate(
        [(2, "Tesla V100-SXM2-16GB"), (4, "Tesla V100-SXM2-16GB"), (90, "NVIDIA A100")]
    ):
        f = plain.networks[number]
        seconds = factor * f.seconds
        journal.write("finish", id=f.network.spec.id, seconds=seconds, device={"name": device})
    journal.write("finish", id=plain.networks[4].network.spec.id, device={"name": "Tesla V100"})
    found = forecast_campaign(SMOKE, a_site(), results)
    first, second = (f.seconds for f in plain.networks[:2])
    assert found.measured is not None
    ratio = (2 * first + 4 * second) / (first + second)
    assert found.measured.networks == 2
    assert found.measured.ratio == pytest.approx(ratio)
    assert (found.measured.low, found.measured.high) == (pytest.approx(2), pytest.approx(4))
    assert [f.seconds for f in found.networks] == pytest.approx(
        [ratio * f.seconds for f in plain.networks]
    )
    text = "\n".join(plan_lines(make_plan(found, FREE)))
    assert "2 networks measured on this GPU" in text
    assert "assumption" not in text


def test_a_folder_of_another_campaign_is_refused_and_one_run_otherwise_is_not(tmp_path, results):
    with pytest.raises(ResultsError, match="belongs to another campaign"):
        forecast_campaign(load_campaign("fashion-mnist"), a_site(), results)
    otherwise = SMOKE.model_copy(update={"run": SMOKE.run.model_copy(update={"attempts": 9})})
    forecast_campaign(otherwise, a_site(), results)


@pytest.mark.parametrize(
    ("model", "device", "same"),
    [
        ("NVIDIA V100 (SXM2, 16 GB)", "Tesla V100-SXM2-16GB", True),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA A100-SXM4-40GB", True),
        ("AMD MI250X (one GCD, 64 GB)", "AMD Instinct MI250X", True),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA A10", False),
        ("NVIDIA A100 (SXM4, 40 GB)", "NVIDIA H100 80GB HBM3", False),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", True),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090", False),
        ("Some GPU", "some gpu", True),
        ("Some GPU", "another gpu", False),
    ],
)
def test_a_device_is_known_by_the_name_of_its_model(model, device, same):
    assert is_this_gpu(model, device) is same


# What a plan needs, and how it is told


def test_images_are_those_of_the_networks_that_are_left():
    campaign = load_campaign("paper")
    svhn = campaign.datasets["SVHN"]
    forecast = forecast_of(a_site(), [1.0])
    assert not list(images_to_stage(forecast))  # the sample comes with nnlc
    networks = [
        replace(forecast.networks[0], network=replace(forecast.networks[0].network, images=images))
        for images in campaign.image_sets().values()
    ]
    two = replace(forecast, campaign=campaign, networks=tuple(networks), waiting=frozenset({1, 2}))
    assert dict(images_to_stage(two)) == {"F-MNIST": 30, "SVHN": 182 + 64 + 1330}
    small = campaign.model_copy(
        update={
            "datasets": campaign.datasets | {"SVHN": svhn.model_copy(update={"train": "train"})}
        }
    )
    assert dict(images_to_stage(replace(two, campaign=small)))["SVHN"] == 182 + 64


def test_a_users_own_file_is_read_where_it_is_and_needs_no_staging(tmp_path):
    own = tmp_path / "own.npz"
    sizes = {"channels": 1, "width": 8, "classes": 2, "train_images": 500, "validation_images": 50}
    section = {"networks_per_depth": 1, "depths": [1, 1], "npz": str(own), "sha256": "0" * 64}
    values = SMOKE.model_dump(exclude={"datasets"}, exclude_none=True)
    campaign = parse_campaign(values | {"datasets": {"own": section | sizes}}, tmp_path)
    some = forecast_of(a_site(), [1.0])
    networks = tuple(replace(some.networks[0], network=each) for each in campaign.networks())
    forecast = replace(some, campaign=campaign, networks=networks)
    assert not list(images_to_stage(forecast))


def test_disk_is_for_every_table_and_for_what_can_be_under_way_at_once():
    plan = make_plan(forecast_of(a_site(), [1.0] * 50), PlanRequest(nodes=2, elements=3))
    assert disk(plan).checkpoints == 3 * 8 * 1000 * (3 * 2 * 2)
    assert disk(plan).tables == 50 * (900 + 68 * 10)
    assert disk(plan).weights == 0


@pytest.mark.parametrize("keep", ["final", "best"])
def test_kept_weights_of_every_network_need_disk_and_the_best_are_in_checkpoints_too(keep):
    run = SMOKE.run.model_copy(update={"keep": keep})
    forecast = forecast_of(a_site(), [1.0] * 50)
    forecast = replace(forecast, campaign=SMOKE.model_copy(update={"run": run}))
    plan = make_plan(forecast, PlanRequest(nodes=2, elements=3))
    weights_alone, more = 50 * 4 * 1000, 4 if keep == "best" else 0
    if keep == "best":
        assert disk(plan).weights == weights_alone
    else:  # some of these networks have momentum
        assert weights_alone < disk(plan).weights < 2 * weights_alone
    assert disk(plan).checkpoints == 3 * (8 + more) * 1000 * (3 * 2 * 2)


def test_networks_that_do_not_fit_into_memory_are_named(tmp_path):
    tiny = a_site(gpu={"model": "toy 1", "fp32_teraflops": 1, "memory_gigabytes": 0.615})
    found = forecast_campaign(SMOKE, tiny, ResultsFolder(tmp_path))
    large = too_large(found)
    assert 0 < len(large) < 8
    text = "\n".join(plan_lines(make_plan(found, FREE)))
    assert f"{len(large)} network" in text
    assert "WARNING" in text
    assert large[0].network.spec.id in text


def test_the_text_fits_a_terminal_and_compares():
    lines = list(plan_lines(make_plan(forecast_of(SUMMIT, [60.0] + [3.0] * 1000), FREE)))
    assert all(len(line) <= 100 and line.isascii() for line in lines)
    compared = [line.split() for line in lines if line.startswith(("this plan", "or "))]
    assert [words[-7 if words[0] == "or" else -8] for words in compared]
    assert [line.split()[1] for line in lines if line.startswith("or ")][-3:] == ["46", "92", "922"]


def test_a_request_is_compared_with_the_free_choice():
    forecast = forecast_of(SUMMIT, [60.0] + [3.0] * 100)
    free, plan = make_plan(forecast, FREE), make_plan(forecast, PlanRequest(nodes=46))
    assert plan.others == (free.chosen,)
    assert not make_plan(forecast, PlanRequest(nodes=free.chosen.nodes)).others


def test_nodes_that_end_nothing_earlier_are_told_at_submission(tmp_path):
    site, folder = load_site("perlmutter"), ResultsFolder(tmp_path / "r")
    asked = Request(campaign="smoke", nodes=4, walltime_minutes=60)
    [note] = spare_nodes_notes(SMOKE, site, folder, asked)
    assert "each job asks for 4 nodes, and 1 node would finish as early" in note
    assert not list(spare_nodes_notes(SMOKE, site, folder, replace(asked, nodes=1)))
    forecast = forecast_of(a_site(max_walltime_minutes=2880), [10.0] + [1.0] * 30)
    for nodes, enough in ((1, 1), (2, 2), (3, 2), (9, 2)):
        asked_for = PlanRequest(nodes=nodes, minutes=2880, elements=1)
        assert fewest_nodes(forecast, asked_for) == enough


def test_the_command_plans_or_says_in_one_line_why_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = CliRunner().invoke(app, ["plan", "smoke", "--site", "perlmutter", "--hours", "1.5"])
    assert job.exit_code == 0, job.output
    assert "1 node x 90 min x 1 array element" in job.output
    last = "nnlc submit smoke --site perlmutter --nodes 1 --minutes 90 --account YOURS"
    assert job.output.splitlines()[-1] == last
    asked = "smoke --site perlmutter --nodes 1 --minutes 90 --account A --queue q --images /i"
    job = CliRunner().invoke(app, ["plan", *asked.replace("queue", "partition").split()])
    assert job.output.splitlines()[-1] == f"nnlc submit {asked}"
    wrong = CliRunner().invoke(app, ["plan", "smoke", "--site", "summit", "--nodes", "9999"])
    assert isinstance(wrong.exception, SiteError)
    assert not list(tmp_path.iterdir())
