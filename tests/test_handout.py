"""Who gets which network next."""

from dataclasses import asdict, replace

import pytest
from gatherer_jobs import Job

from nnlc.calibration.machines import FittedMachine, write_machines
from nnlc.errors import ExitStatus
from nnlc.families.article.family import ARTICLE, ArticleFamily
from nnlc.networks.machine import CPU, Machine
from nnlc.ranks.backlog import Backlog
from nnlc.ranks.handout import FIRST_STEPS, START_SECONDS
from nnlc.ranks.time_left import MARGIN_SECONDS
from nnlc.results.journal import Journal


def seconds_of(job) -> dict[int, float]:
    return {
        n.index: ARTICLE.predict_seconds(n.spec, n.images, 1, CPU, job.campaign.training, "cpu")
        for n in job.networks
    }


def step_seconds(job, network) -> float:
    return ARTICLE.predict_step_seconds(
        network.spec, network.images, CPU, job.campaign.training, "cpu"
    )


@pytest.mark.parametrize(("order", "sign"), [("longest", -1), ("shortest", 1)])
def test_networks_are_handed_out_in_the_order_that_is_asked_for(tmp_path, order, sign):
    job = Job(tmp_path, order=order).begin()
    assert job.train_all() == ExitStatus.DONE
    seconds = seconds_of(job)
    assert [i for _, i in job.handed_out] == sorted(seconds, key=lambda i: (sign * seconds[i], i))
    assert len(set(seconds.values())) > 1


def test_a_network_that_ended_badly_is_not_given_to_its_rank_while_another_network_waits(tmp_path):
    job = Job(tmp_path).begin()
    [(_, bad)] = job.handed_out
    job.fail(0, bad)
    for _ in range(5):
        assert job.handed_out[-1] != (0, bad)
        job.finish(*job.handed_out[-1])
    assert job.handed_out[-1] == (0, bad)  # better than to end without it


def test_another_rank_gets_a_network_that_ended_badly_in_its_turn(tmp_path):
    job = Job(tmp_path, 2).begin()
    [(_, bad), (_, other)] = job.handed_out
    job.fail(0, bad)
    job.finish(1, other)
    assert job.handed_out[-1] == (1, bad)


def test_a_network_that_ended_badly_goes_to_another_rank_that_is_idle_before_its_own(tmp_path):
    """Rank 0 has two trainers, and its idle one has waited for longer than rank 1's."""
    job = Job(tmp_path, 2, trainers=2)
    job.idle(0, 0)
    job.checked()
    [(_, bad)] = job.handed_out
    while len(job.handed_out) < 6:
        job.idle(1, 0)
        job.finish(1, job.handed_out[-1][1], idle=False)
    job.idle(0, 1)
    job.idle(1, 0)
    job.fail(0, bad)
    assert job.handed_out[-1] == (1, bad)


def test_an_idle_trainer_that_ends_is_not_given_a_network(tmp_path):
    job = Job(tmp_path, 3, networks_per_depth=1).begin()
    [(_, bad), _] = job.handed_out
    job.say(2, kind="died", trainer=0, index=None, reason="killed")
    job.fail(0, bad)
    assert job.handed_out[2:] == [(0, bad)]


def test_the_agent_is_told_by_what_to_judge_a_silence(tmp_path):
    job = Job(tmp_path, run="hang_minutes = 2").begin()
    [message] = [m for _, m in job.sent if m["kind"] == "train"]
    network = job.networks[message["index"]]
    assert message["hang_seconds"] == 120
    assert message["step_seconds"] == step_seconds(job, network)


def test_no_network_is_started_that_would_not_get_as_far_as_to_a_checkpoint(tmp_path):
    """The same moment before the end, for a job that is as fast as predicted and a slow one."""
    for slowness, goes_on in ((1.0, True), (1e5, False)):
        job = Job(tmp_path / str(goes_on), 2, minutes=60).begin()
        [(_, first), (_, second)] = job.handed_out
        seconds = seconds_of(job)[first] / 2
        job.tick(3600 - MARGIN_SECONDS - START_SECONDS - 50)
        job.row(first, 1, seconds=slowness * seconds)
        job.row(first, 2, seconds=slowness * seconds)
        job.say(0, kind="finished", trainer=0, index=first, seconds=1.0)
        job.idle(0)
        network = min(job.networks, key=lambda n: step_seconds(job, n))
        step = step_seconds(job, network)
        assert (FIRST_STEPS * slowness * step < 50) == goes_on
        assert (len(job.handed_out) == 3) == goes_on
        assert not job.leaving  # rank 1 has time to save
        for half_epoch in (1, 2):
            slow = slowness * seconds_of(job)[second] / 2
            job.row(second, half_epoch, rank=1, seconds=slow)
        job.say(1, kind="finished", trainer=0, index=second, seconds=1.0)
        assert job.leaving == (not goes_on)


def test_where_the_longest_network_does_not_fit_a_shorter_one_is_started(tmp_path):
    job = Job(tmp_path, 1, minutes=60).begin()
    steps = {n.index: step_seconds(job, n) for n in job.networks}
    [(_, first)] = job.handed_out
    waiting = [i for i in sorted(seconds_of(job), key=lambda i: -seconds_of(job)[i]) if i != first]
    fitting = min(waiting, key=steps.get)
    others = min(steps[i] for i in waiting if i != fitting)
    slowness = 40 / FIRST_STEPS / ((steps[fitting] + others) / 2)
    job.tick(3600 - MARGIN_SECONDS - START_SECONDS - 40)
    for half_epoch in (1, 2):
        job.row(first, half_epoch, seconds=slowness * seconds_of(job)[first] / 2)
    job.say(0, kind="finished", trainer=0, index=first, seconds=1.0)
    job.idle(0)
    assert fitting != waiting[0]
    assert job.handed_out[-1] == (0, fitting)


def predict(_, spec, *__) -> float:
    """Seconds: of odd ones from 10 on, of even ones from 1 on, so of two sizes."""
    number = int(spec.id[-6:])
    return (1 + number / 1000) * (10 if number % 2 else 1)


@pytest.fixture
def two_sizes(monkeypatch):
    monkeypatch.setattr(ArticleFamily, "predict_seconds", predict)


def test_what_a_kind_of_network_is_measured_to_take_changes_which_is_next(tmp_path, two_sizes):
    """A large one waits again; by then large ones are known to take a thousandth."""
    job = Job(tmp_path, 30, networks_per_depth=20).begin()
    seconds = {n.index: predict(None, n.spec) for n in job.networks}
    begun = {index: rank for rank, index in job.handed_out}
    assert sum(index % 2 for index in begun) == 20
    for index, rank in begun.items():
        took = seconds[index] * (0.001 if index % 2 else 1.0)
        job.row(index, 1, rank=rank, seconds=took / 2)
    job.say(begun[39], kind="returned", trainer=0, index=39)
    job.idle(begun[39])
    waiting = set(seconds) - begun.keys()
    assert job.handed_out[-1] == (begun[39], max(waiting, key=seconds.get))


@pytest.mark.parametrize(("device", "known"), [("x", True), ("another", False)])
def test_a_job_knows_what_earlier_ones_have_measured_on_its_device(
    tmp_path, two_sizes, device, known
):
    first = Job(tmp_path, networks_per_depth=20)
    journal = Journal(first.results.journal_folder)
    for network in first.networks[:30]:
        took = predict(None, network.spec) * (0.001 if network.index % 2 else 1.0)
        journal.write("finish", id=network.spec.id, seconds=took, device={"name": device})
    job = Job(tmp_path, 40, networks_per_depth=20).begin()
    larger_first = [index % 2 == 1 for _, index in job.handed_out]
    assert larger_first == [not known] * 20 + [known] * 20


def test_an_earlier_job_s_word_without_seconds_or_device_is_passed_over(tmp_path):
    first = Job(tmp_path, networks_per_depth=20)
    journal = Journal(first.results.journal_folder)
    for index, facts in enumerate([{}, {"seconds": 1.0}, {"device": {"name": "x"}}]):
        journal.write("finish", id=first.id(index), **facts)
    job = Job(tmp_path, 40, networks_per_depth=20).begin()
    seconds = seconds_of(job)
    assert [i for _, i in job.handed_out] == sorted(seconds, key=lambda i: (-seconds[i], i))


def test_of_what_earlier_jobs_have_measured_the_newest_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("nnlc.ranks.handout.REMEMBERED_NETWORKS", 3)
    first = Job(tmp_path, networks_per_depth=20)
    journal, seconds = Journal(first.results.journal_folder), seconds_of(first)
    for index in range(10):
        took = (1.0 if index < 7 else 50.0) * seconds[index]
        journal.write("finish", id=first.id(index), seconds=took, device={"name": "x"})
    job = Job(tmp_path, networks_per_depth=20)
    expected = job.progress.waiting
    assert expected[20] == pytest.approx(50 * seconds[20])


def test_a_job_predicts_with_the_machine_that_was_fitted_to_its_device(tmp_path):
    for name, factor in (("x", 50.0), ("another", 1.0)):
        first = Job(tmp_path / name)
        slow = Machine(**{key: rate / 50.0 for key, rate in asdict(CPU).items()})
        slow = replace(slow, seconds_a_kernel=50.0 * CPU.seconds_a_kernel)
        fitted = FittedMachine.of(slow, name=name, device="cpu", networks=20, median_error=0.1)
        write_machines(first.results, [fitted])
        expected = Job(tmp_path / name).progress.waiting
        assert dict(expected) == pytest.approx(
            {index: factor * seconds for index, seconds in seconds_of(first).items()}
        )


def test_a_damaged_file_of_machines_is_named_and_passed_over(tmp_path):
    Job(tmp_path).results.machines_file.write_text("format = 1\ndevices = 7\n")
    job = Job(tmp_path)
    assert dict(job.progress.waiting) == pytest.approx(seconds_of(job))
    assert any("machines.toml" in text for text in job.progress.messages)
    assert job.begin().train_all() == ExitStatus.DONE


def test_a_slow_machine_s_steps_are_given_more_time_before_they_count_as_hung(tmp_path):
    for slowness, told in ((30.0, 30.0), (0.1, 1.0)):
        job = Job(tmp_path / str(slowness), 1).begin()
        [(_, first)] = job.handed_out
        job.row(first, 1, seconds=slowness * seconds_of(job)[first] / 2)
        job.fail(0, first)
        message = [m for _, m in job.sent if m["kind"] == "train"][-1]
        network = job.networks[message["index"]]
        step = step_seconds(job, network)
        assert message["step_seconds"] == pytest.approx(told * step)


def test_a_job_with_no_time_for_any_network_and_none_under_way_leaves_at_once(tmp_path):
    job = Job(tmp_path, 2, minutes=(START_SECONDS - 1) / 0.9 / 60)
    job.idle(0)
    assert not job.leaving  # the images are not checked yet
    job.checked()
    assert job.leaving
    assert "too little time left" in job.progress.messages[-1]
    assert job.part() == ExitStatus.UNFINISHED
    assert job.handed_out == []


def test_with_no_time_for_any_network_those_that_wait_are_not_gone_through(tmp_path, monkeypatch):
    """Every message that comes would have rank 0 do it again."""
    job = Job(tmp_path, 2, minutes=60)
    job.idle(0)
    job.checked()
    job.tick(3600 - MARGIN_SECONDS - START_SECONDS)
    monkeypatch.setattr(Backlog, "take", lambda *_, **__: pytest.fail("it was gone through"))
    job.idle(1)
    job.row(job.handed_out[0][1], 1)
    assert not job.leaving


def test_one_network_under_way_keeps_a_job_that_has_no_time_for_another(tmp_path):
    job = Job(tmp_path, 2, minutes=60)
    job.idle(0)
    job.checked()
    job.tick(3600 - MARGIN_SECONDS - START_SECONDS)
    job.idle(1)
    assert len(job.handed_out) == 1
    assert not job.leaving
    job.finish(*job.handed_out[0])
    assert job.leaving
    assert job.part() == ExitStatus.UNFINISHED
    assert len(job.with_tables) == 1


def test_a_job_waits_for_trainers_that_are_on_their_way(tmp_path):
    job = Job(tmp_path).begin()
    [(_, bad)] = job.handed_out
    job.say(0, kind="died", trainer=0, index=bad, reason="killed")
    job.tick(1000)
    assert not job.leaving
    job.idle(0)
    assert len(job.handed_out) == 2
