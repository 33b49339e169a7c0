"""A device trains a small network twice before a job's first network, and gives the same bytes."""

import pytest
import torch
from gatherer_jobs import Job, facts, place
from small_networks import CPU

from nnlc.campaign.campaign import TrainingSection
from nnlc.errors import ExitStatus
from nnlc.families.article import DROPOUT, POOLING, RELU, Layer, walk_network
from nnlc.families.article.conditions import conditions_of
from nnlc.families.article.convolution_plan import plan_convolution
from nnlc.families.article.layers import Convolution
from nnlc.training import device_check
from nnlc.training.device_check import check_device
from nnlc.training.training_steps import Steps

pytestmark = pytest.mark.usefixtures("deterministic")


def test_a_device_that_repeats_its_bytes_passes_and_its_seconds_are_told():
    found = check_device(TrainingSection(), CPU)
    assert found.keys() == {"device_seconds"}
    assert found["device_seconds"] > 0


def test_one_wrong_bit_in_one_weight_is_found(monkeypatch):
    steps = []
    train = Steps.train

    def flip(self, *of_step):
        train(self, *of_step)
        steps.append(self)
        if len(steps) == device_check._STEPS + 2:
            with torch.no_grad():
                weights, first = self._network[0].weight, (0, 0, 0, 0)
                weights[first] = torch.nextafter(weights[first], torch.tensor(9.0))

    monkeypatch.setattr(Steps, "train", flip)
    assert "other bytes" in check_device(TrainingSection(), CPU)["device_problem"]
    assert len(steps) == 2 * device_check._STEPS


def test_a_device_that_is_slow_makes_fewer_steps_but_as_many_the_second_time(monkeypatch):
    taken = []
    train = Steps.train
    monkeypatch.setattr(Steps, "train", lambda *words: (taken.append(1), train(*words)))
    monkeypatch.setattr(device_check, "LONGEST_SECONDS", -1)
    assert "device_problem" not in check_device(TrainingSection(), CPU)
    assert len(taken) == 2


def test_a_device_that_cannot_train_is_told_with_its_error(monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel")

    monkeypatch.setattr(Steps, "train", fail)
    problem = check_device(TrainingSection(), CPU)["device_problem"]
    assert problem.endswith("(CUDA error: an illegal memory access was encountered)")


def test_the_network_has_every_kind_of_layer_and_of_convolution():
    network, images = device_check._NETWORK, device_check._IMAGES
    assert set(network.layer_types) == {RELU + POOLING + DROPOUT, RELU + DROPOUT}
    conditions = conditions_of(network, TrainingSection(), "cuda")
    layers: list[Layer] = list(walk_network(network, images).layers)
    first, second = (
        plan_convolution(each, conditions).ways for each in layers if isinstance(each, Convolution)
    )
    assert set(first) == {"direct"}
    assert set(second) == {"fourier"}


# --- Who makes the check, and what becomes of it ------------------------------------------------


def gpu_job(folder, *devices: dict, host: str = "n0") -> Job:
    job = Job(folder, len(devices), greet=False)
    for rank, device in enumerate(devices):
        hello = place(rank, 1, devices=[facts(1, **device)], host=host)
        job.say(rank, kind="hello", **hello)
    return job


def checks(job: Job) -> dict[int, dict]:
    return {rank: m for rank, m in job.sent if m["kind"] == "check"}


def test_each_gpu_is_checked_once_and_each_host_sees_to_its_images_once(tmp_path):
    shared = {"pci": "0000:17:00", "uuid": "0"}
    job = gpu_job(tmp_path, shared, {"pci": "0000:18:00", "uuid": "0"}, shared)
    asked = checks(job)
    assert [rank for rank, m in asked.items() if m.get("trains_twice")] == [0, 1]
    assert [rank for rank, m in asked.items() if "mark" in m] == [0]
    for rank in range(3):
        job.idle(rank)
    job.say(0, kind="checked", trainer=0, go_on=[], foreign=[], device_seconds=1.5)
    assert not job.handed_out
    job.say(1, kind="checked", trainer=0, device_seconds=2.5)
    assert len(job.handed_out) == 3
    assert {e["rank"]: e["seconds"] for e in job.events("check")} == {0: 1.5, 1: 2.5}


def test_mig_instances_of_a_gpu_are_checked_each(tmp_path):
    parts = ({"pci": "0000:17:00", "uuid": uuid} for uuid in "ab")
    assert list(checks(gpu_job(tmp_path, *parts))) == [0, 1]


def test_on_processors_nothing_is_trained_twice(tmp_path):
    job = Job(tmp_path, 2)
    assert not any(m.get("trains_twice") for m in checks(job).values())


def test_a_device_that_failed_its_check_ends_the_job_by_name(tmp_path):
    job = gpu_job(tmp_path, {"pci": "0000:17:00", "uuid": "a"}, {"pci": "0000:18:00", "uuid": "b"})
    job.say(0, kind="checked", trainer=0, go_on=[], foreign=[], device_seconds=1.5)
    job.say(1, kind="checked", trainer=0, device_seconds=1.5, device_problem="it computed others")
    assert job.part() == ExitStatus.ERROR
    [told] = [m for m in job.progress.messages if m.startswith("error:")]
    assert "rank 1 on n0" in told
    assert "a GPU, PCI 0000:18:00, UUID b" in told
    assert "it computed others" in told
    assert "ECC" in told
    assert "another node" in told
    assert not job.handed_out
