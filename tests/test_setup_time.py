"""Set-up time of a network: measured by its trainer, learned from a journal, and planned."""

import pytest
from gatherer_jobs import Job
from hypothesis import given
from hypothesis import strategies as st
from paper_networks import paper
from plan_samples import FREE, SMOKE, V100, a_site
from small_networks import bundled_images, first, loop_on, spec

from nnlc.calibration.machines import FittedMachine, machine_for, write_machines
from nnlc.launching.forecast import forecast_campaign
from nnlc.launching.plan import make_plan
from nnlc.launching.plan_text import plan_lines
from nnlc.launching.replay import JobShape, replay
from nnlc.networks.machine import CPU, GPU
from nnlc.networks.setup_time import SetupTime, assumed_setup, fit_setup
from nnlc.ranks.handout import START_SECONDS
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site
from nnlc.training import loop as loop_module
from nnlc.training.loop import SETUP_STEPS

MI250X = "AMD Instinct MI250X"


@pytest.fixture(autouse=True)
def no_machines(tmp_path, monkeypatch):
    """Know no machine of another campaign."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def results(tmp_path) -> ResultsFolder:
    folder = ResultsFolder(tmp_path / "results")
    folder.open(SMOKE)
    return folder


# Measured


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("extra", [0.0, 25.0])
def test_what_the_first_steps_of_an_attempt_take_longer_is_setup_and_not_training(
    extra, monkeypatch
):
    clock, done = Clock(), []
    monkeypatch.setattr(loop_module, "time", clock)

    def step() -> None:
        done.append(0)
        clock.now += 2.0 + (extra if len(done) <= SETUP_STEPS else 0.0)

    images, network = first(bundled_images(), 400, 60), spec(batch_size=20)
    loop = loop_on(images, network, 1, step)
    half_epoch = 2.0 * (10 + 3)
    next(rows := iter(loop))
    assert loop.setup_seconds == pytest.approx(SETUP_STEPS * extra)
    next(rows)
    assert loop.seconds == pytest.approx([half_epoch, half_epoch])
    assert loop.setup_seconds == pytest.approx(SETUP_STEPS * extra)


@pytest.mark.usefixtures("deterministic")
def test_a_half_epoch_of_fewer_steps_says_nothing_of_setup():
    loop = loop_on(first(bundled_images(), 80, 60), spec(batch_size=20), 1)
    next(iter(loop))
    assert loop.setup_seconds == 0


def test_a_journal_has_the_setup_time_and_nonsense_in_it_is_passed_over(results):
    values = (1.5, 0, -1, "long", float("nan"), None)
    journal = Journal(results.journal_folder)
    for network, value in zip(SMOKE.networks(), values, strict=False):
        journal.write("finish", id=network.spec.id, setup_seconds=value)
    found = read_history(results.journal_folder).finishes.values()
    assert [finish.setup_seconds for finish in found][:2] == [1.5, 0.0]
    assert fit_setup([(1, finish.setup_seconds) for finish in found] * 5) == SetupTime(
        0.75, 0.0, 10
    )


# Learned


def test_setup_times_that_grow_with_convolutions_give_a_line_and_others_their_median():
    line = [(n, 2.0 + 5.0 * n) for n in range(1, 11)] * 2
    found = fit_setup([*line, (1, 900.0), (3, 0.0)])
    assert found.seconds_a_network == pytest.approx(2)
    assert found.seconds_a_convolution == pytest.approx(5)
    assert found.networks == 22
    assert found.seconds(4) == pytest.approx(22)
    assert fit_setup([(n, 3.0) for n in range(1, 11)]) == SetupTime(3.0, 0.0, 10)
    falling = [(n, 20.0 - n) for n in range(1, 12)]
    assert fit_setup(falling) == SetupTime(14.0, 0.0, 11)
    assert fit_setup([(2, 3.0)] * 9) is None


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 1e4)), min_size=10, max_size=40))
def test_no_prediction_of_a_setup_is_negative_or_worse_than_the_median(samples):
    found = fit_setup(samples)
    assert min(found.seconds_a_network, found.seconds_a_convolution) >= 0

    def error(setup: SetupTime) -> float:
        return sum(abs(setup.seconds(n) - seconds) for n, seconds in samples)

    middle = sorted(seconds for _, seconds in samples)[len(samples) // 2]
    assert error(found) <= error(SetupTime(middle)) * (1 + 1e-9)


def test_a_fitted_machine_keeps_its_setup_time_and_older_files_get_the_assumption(results):
    facts = {"name": MI250X, "device": "cuda", "networks": 30, "median_error": 0.1}
    write_machines(results, [FittedMachine.of(GPU, setup=SetupTime(1.25, 3.5, 30), **facts)])
    assert machine_for(results, {MI250X}, "cuda").setup == SetupTime(1.25, 3.5, 30)
    text = results.machines_file.read_text()
    assert "format = 5\n" in text
    older = text.split("[devices.setup]")[0].replace("format = 5", "format = 4")
    results.machines_file.write_text(older)
    found = machine_for(results, {MI250X}, "cuda")
    assert found.fitted is not None
    assert found.setup == assumed_setup(MI250X, "cuda")
    assert found.warning is None
    results.machines_file.write_text(text.replace("3.5", "-3.5"))
    assert "setup.seconds_a_convolution" in machine_for(results, {MI250X}, "cuda").warning


def test_amds_kernels_are_assumed_to_be_compiled_for_each_shape_and_nvidias_are_not():
    amd, nvidia = (assumed_setup(name, "cuda").seconds(6) for name in (MI250X, "Tesla V100"))
    assert amd > 30 > 3 > nvidia
    assert assumed_setup("Tesla V100", "cuda", 2.5).seconds_a_convolution == 2.5
    assert assumed_setup("AMD EPYC 7763", "cpu") == SetupTime()


# Planned


def test_each_job_that_trains_a_network_sets_it_up_first():
    shape = JobShape(ranks=1, work_ms=100, start_ms=10, leave_ms=5)
    plain, found = (replay([[150, 20]], shape, setups=s) for s in (None, [[30, 10]]))
    assert plain.spans == ((2, 1),)
    assert found.spans == ((3, 1),)
    assert [(job.setup_ms, job.trained_ms) for job in found.jobs] == [(30, 70), (30, 70), (40, 30)]
    assert (plain.makespan_ms, found.makespan_ms) == (200, 315)
    assert found.setup_share == pytest.approx(100 / 315)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 9000)), min_size=1, max_size=20),
    st.integers(1, 4),
    st.integers(2, 6000),
)
def test_a_plan_with_setup_ends_and_no_job_is_longer_than_its_time(networks, ranks, work_ms):
    shape = JobShape(ranks=ranks, work_ms=work_ms, start_ms=3, leave_ms=4)
    work, setups = zip(*networks, strict=True)
    found = replay([work], shape, setups=[setups])
    assert sum(job.trained_ms for job in found.jobs) == sum(work)
    assert all(job.end_ms - job.begin_ms - 7 <= work_ms for job in found.jobs)
    shares = (found.trained_share, found.setup_share, found.overhead_share, found.idle_share)
    assert sum(shares) == pytest.approx(1)


def words_of(site, results: ResultsFolder) -> str:
    forecast = forecast_campaign(SMOKE, site, results)
    return " ".join(" ".join(plan_lines(make_plan(forecast, FREE))).split())


def test_a_plan_assumes_setup_by_the_gpu_or_the_site_file_until_it_is_measured(
    results, monkeypatch
):
    amd = V100.model_copy(update={"model": "AMD MI250X"})
    text = words_of(a_site(gpu=amd), results)
    assert "setting up a network takes 1 s and 6 s a convolution, an assumption" in text
    own = amd.model_copy(update={"setup_seconds_a_convolution": 2.5})
    assert "1 s and 2.5 s a convolution, an assumption" in words_of(a_site(gpu=own), results)
    monkeypatch.setattr("nnlc.networks.setup_time.FEWEST_MEASURED", 5)
    journal = Journal(results.journal_folder)
    for network in list(SMOKE.networks())[:5]:
        facts = {"device": {"name": MI250X}, "setup_seconds": 7.0}
        journal.write("finish", id=network.spec.id, **facts)
    assert "takes 7 s, measured on 5 networks" in words_of(a_site(gpu=own), results)
    assert "an assumption of the site file" in words_of(a_site(gpu=own), results)
    forecast = forecast_campaign(SMOKE, a_site(gpu=own), results)
    assert {f.setup_seconds for f in forecast.networks} == {7.0}
    assert forecast.seconds_left == pytest.approx(8 * 7 + sum(f.seconds for f in forecast.left))


def test_a_setup_that_no_job_has_time_for_is_planned_with_half_of_each(results):
    endless = V100.model_copy(update={"setup_seconds_a_convolution": 1e7})
    site = a_site(gpu=endless, max_walltime_minutes=60, max_nodes=2)
    plan = make_plan(forecast_campaign(SMOKE, site, results), FREE)
    assert all(job.trained_ms for job in plan.chosen.replay.jobs)
    assert plan.chosen.replay.setup_share > 0.8


def test_setup_is_a_tenth_of_the_papers_time_on_frontier(tmp_path, monkeypatch):
    campaign, networks = paper()
    monkeypatch.setattr(type(campaign), "networks", lambda _: iter(networks[::60]))
    forecast = forecast_campaign(campaign, load_site("frontier"), ResultsFolder(tmp_path))
    setup = sum(f.setup_seconds for f in forecast.networks)
    assert setup == sum(1 + 6 * n.spec.depth for n in networks[::60])
    assert 0.05 < setup / sum(f.seconds_with_setup for f in forecast.networks) < 0.2


def test_no_network_is_started_that_could_not_be_set_up_in_time(tmp_path):
    facts = {"name": "x", "device": "cpu", "networks": 20, "median_error": 0.1}
    machine = FittedMachine.of(CPU, setup=SetupTime(300.0, 0.0, 20), **facts)
    for setup in (False, True):
        folder = tmp_path / str(setup)
        if setup:
            write_machines(Job(folder).results, [machine])
        job = Job(folder, minutes=(START_SECONDS + 200) / 60).begin()
        assert bool(job.handed_out) is not setup
