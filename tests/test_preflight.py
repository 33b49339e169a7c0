"""What a job looks at in its first seconds, and what it says when something is wrong."""

from pathlib import Path

import pytest
from gatherer_jobs import Job, facts, place
from worker_jobs import run_worker, write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import DeviceError, ExitStatus
from nnlc.ranks.preflight import check_ranks, choose_device, report, warnings
from nnlc.ranks.trial_folder import TrialFolder
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal


def hellos(*gpus: int, **others: object) -> dict[int, dict]:
    return {rank: place(rank, count, **others) for rank, count in enumerate(gpus)}


@pytest.mark.parametrize(
    ("asked", "gpus", "chosen"),
    [
        ("auto", (0, 0), "cpu"),
        ("auto", (1, 1), "cuda"),
        ("cuda", (6, 6), "cuda"),
        ("cpu", (1, 0), "cpu"),
    ],
)
def test_all_ranks_train_on_the_same_kind_of_device(asked, gpus, chosen):
    assert choose_device(asked, hellos(*gpus)) == chosen


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_ranks_that_see_no_gpu_where_others_do_are_named(asked):
    with pytest.raises(DeviceError, match=r"2 of 4 ranks see no GPU .*rank 1 on n1, 3 on n3.*-g 1"):
        choose_device(asked, hellos(1, 0, 1, 0))


def test_a_gpu_that_is_nowhere_is_refused_when_asked_for():
    with pytest.raises(DeviceError, match="--device cpu"):
        choose_device("cuda", hellos(0, 0))


@pytest.mark.parametrize(
    ("place_of_it", "words"),
    [
        ({"node_gpus": 6}, "n0 has 6 GPUs, but rank 0 there was given none"),
        ({"node_gpus": 1, "visible": "CUDA_VISIBLE_DEVICES=''"}, "sees none with CUDA_VISIBLE"),
        ({"node_gpus": 1, "devices": [facts(0, cuda=None)]}, "has torch 2, .*built without CUDA"),
        ({"launcher": "jsrun"}, "jsrun gives its ranks no GPU"),
    ],
)
def test_a_gpu_that_the_launcher_keeps_back_is_no_reason_to_train_on_the_processor(
    place_of_it, words
):
    withheld = hellos(0, 0, **place_of_it)
    with pytest.raises(DeviceError, match=rf"{words}.*, or start with --device cpu"):
        choose_device("auto", withheld)
    with pytest.raises(DeviceError, match=r', or write device = "cpu" into the site file of ours$'):
        choose_device("auto", withheld, "ours")
    assert choose_device("cpu", withheld) == "cpu"


@pytest.mark.parametrize("asked", ["auto", "cuda"])
@pytest.mark.parametrize("gpus", [0, 1])
def test_a_gpu_that_cannot_be_used_is_no_reason_to_train_on_the_processor(asked, gpus):
    ranks = hellos(1, 1, 1)
    for rank in (1, 2):
        ranks[rank]["devices"] = [facts(1), facts(gpus, unusable="an old driver: update it")]
        ranks[rank]["node_gpus"] = 4
    with pytest.raises(
        DeviceError,
        match=r"rank 1 on n1 can't use its GPU, and 1 more rank theirs: an old driver: update it; "
        ".*--device cpu",
    ):
        choose_device(asked, ranks)
    assert choose_device("cpu", ranks) == "cpu"


def test_trouble_of_cuda_on_a_machine_without_gpus_is_told_only_to_those_who_ask_for_one():
    ranks = hellos(0, devices=[facts(0, unusable="the driver is a stub library: ...")])
    assert choose_device("auto", ranks) == "cpu"
    with pytest.raises(DeviceError, match="stub library"):
        choose_device("cuda", ranks)


def with_devices(*devices: dict, **others: object) -> dict[int, dict]:
    return {rank: place(rank, devices=[d], **others) for rank, d in enumerate(devices)}


def on_gpus(*uuids: str, node_gpus: int) -> dict[int, dict]:
    devices = [facts(1, uuid=uuid) for uuid in uuids]
    return with_devices(*devices, host="n0", node_gpus=node_gpus)


def test_two_ranks_on_one_gpu_are_refused_where_another_idles():
    shared = on_gpus("GPU-1", "GPU-1", node_gpus=2)
    with pytest.raises(DeviceError, match=r"ranks 0, 1 on n0 have the same GPU \(GPU-1\)"):
        check_ranks(shared, "cuda")
    check_ranks(shared, "cpu")
    check_ranks(on_gpus("GPU-1", "GPU-1", node_gpus=1), "cuda")
    check_ranks(on_gpus("GPU-1", "GPU-2", "GPU-1", node_gpus=2), "cuda")
    check_ranks(on_gpus("GPU-1", "GPU-2", node_gpus=4), "cuda")
    check_ranks(with_devices(facts(1), facts(1), host="n0", node_gpus=2), "cuda")  # they may differ


def test_gpus_are_told_apart_by_their_pci_bus_ids_and_the_parts_of_one_by_their_uuids():
    def ranks(*devices, gpus=1, node_gpus=4):
        named = [facts(gpus, pci=pci, uuid=uuid) for pci, uuid in devices]
        return with_devices(*named, host="n0", node_gpus=node_gpus)

    one, other, no_uuid = "0000:17:00", "0000:18:00", "00000000-0000"
    check_ranks(ranks((one, no_uuid), (other, no_uuid)), "cuda")
    check_ranks(ranks((one, "MIG a"), (one, "MIG b")), "cuda")
    same = rf"ranks 0, 1 on n0 have the same GPU \({one}\)"
    for uuid in (no_uuid, "unknown"):
        with pytest.raises(DeviceError, match=same):
            check_ranks(ranks((one, uuid), (one, uuid)), "cuda")
    with pytest.raises(DeviceError, match=same):  # where a container hides what a node has
        check_ranks(ranks((one, "a"), (one, "a"), gpus=2, node_gpus=0), "cuda")


@pytest.mark.parametrize(
    ("key", "device"),
    [
        ("torch", "cpu"),
        ("nnlc", "cpu"),
        ("processor", "cpu"),
        ("name", "cuda"),
        ("multiprocessors", "cuda"),
        ("architecture", "cuda"),
        ("hip", "cuda"),
    ],
)
def test_ranks_that_would_give_other_tables_are_refused_by_name(key, device):
    different = with_devices(facts(1), facts(1), facts(1, **{key: "another"}))
    with pytest.raises(DeviceError, match=rf"{key}: .* on rank 0 .*another on rank 2 \(n2\)"):
        check_ranks(different, device)


def test_fewer_cores_than_trainers_are_told_and_no_reason_to_stop():
    [warning] = warnings({0: place(0, cores=1), 1: place(1, cores=4)}, {0: 4, 1: 4}, "cpu")
    assert "rank 0 on n0 has 1 cores for 4 trainers" in warning


def test_a_service_that_was_asked_for_and_is_not_to_be_had_is_told_once_for_all_ranks():
    ranks = {r: place(r, 1, without_mps="no such program" if r else None) for r in range(3)}
    counts = dict.fromkeys(ranks, 1)
    [warning] = warnings(ranks, counts, "cuda")
    assert "no effect on 2 of 3 ranks, such as rank 1 on n1: no such program" in warning
    assert not list(warnings(ranks, counts, "cpu"))


def test_every_host_looks_at_its_images_and_the_folder_before_anything_begins(tmp_path):
    job = Job(tmp_path, 3)
    checks = [(rank, m) for rank, m in job.sent if m["kind"] == "check"]
    assert [rank for rank, _ in checks] == [0, 1, 2]
    mark = checks[0][1]["mark"]
    assert list(job.results.checkpoints_folder.iterdir()) == [job.results.checkpoints_folder / mark]
    for rank in (0, 1):
        job.idle(rank)
        job.say(rank, kind="checked", trainer=0)
    assert not job.handed_out
    job.say(2, kind="checked", trainer=0)
    assert len(job.handed_out) == 2
    assert not list(job.results.checkpoints_folder.iterdir())


def test_the_preflight_alone_names_every_rank_and_leaves_nothing(tmp_path):
    campaign, results = write_campaign(tmp_path), tmp_path / "results" / "r"
    job = run_worker(campaign, "--results", results, "--preflight", ranks=2)
    assert job.returncode == ExitStatus.DONE, job.stdout + job.stderr
    assert "rank 1 on" in job.stdout
    assert "preflight passed: 2 ranks can begin" in job.stdout
    assert [path.name for path in tmp_path.iterdir()] == [Path(campaign).name]


@pytest.mark.parametrize("begun", [True, False])
def test_a_preflight_removes_what_it_made_and_nothing_of_others(begun, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.path.mkdir()
    results.costs_file.write_text("{}")
    trial = TrialFolder(results.path)
    results.open(load_campaign(write_campaign(tmp_path)))
    if begun:
        Journal(results.journal_folder).write("job")
    trial.finish(0)
    assert results.has_campaign == begun
    assert results.costs_file.exists()
    assert len(list(results.path.iterdir())) > 1 or not begun


def test_a_line_a_rank_says_where_it_is_and_what_it_has():
    [line] = report({0: place(0, devices=[facts(1, uuid="GPU-1")])}, {0: 1}, "cuda")
    assert line == "rank 0 on n0: 8 cores, 1 trainer on a GPU GPU-1, torch 2, nnlc 1"
    [line] = report({0: place(0, devices=[facts(1, uuid="GPU-1", mps=True)])}, {0: 3}, "cuda")
    assert "3 trainers on a GPU GPU-1 under MPS, " in line


def test_a_folder_that_a_node_does_not_share_with_rank_0_is_refused(tmp_path, monkeypatch):
    from nnlc.errors import ResultsError
    from nnlc.training import shared_folder

    monkeypatch.setattr(shared_folder, "VISIBLE_SECONDS", 0)
    (tmp_path / "mark").touch()
    shared_folder.check_shared_folder(tmp_path / "mark")
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
    with pytest.raises(ResultsError, match="file system that all nodes share"):
        shared_folder.check_shared_folder(tmp_path / "another")
