"""Which GPU a rank has, whether it can be used, and what a job says before its first network."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import stub_driver
from worker_jobs import ONE, TWO, events, meddling, run_worker, write_campaign

from nnlc.ranks import mps

pytestmark = pytest.mark.needs("stub driver")

NOBODY = 65_534
CPU, CUDA = ("--device", "cpu"), ("--device", "cuda")


def job(folder: Path, *words: object, ranks: int | None = None, text: str = ONE, **environment):
    """A job in its results folder; returns how it ended, and the errors that it said."""
    words = [write_campaign(folder, text), "--results", folder / "r", *words]
    done = run_worker(*words, ranks=ranks, **environment)
    return done, re.findall(r"error: .*", done.stdout + done.stderr)


def refusal(folder: Path, *words: object, ranks: int | None = None, **environment) -> str:
    """What a job says that begins no network: one line of one rank."""
    done, errors = job(folder, *words, ranks=ranks, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(errors) == 1
    assert not events(folder / "r", "start")
    assert "Traceback" not in done.stdout + done.stderr
    return errors[0]


def fake_node(folder: Path, gpus: int) -> str:
    """Code for agents, to whom a node seems to have so many GPUs."""
    files = folder / "dev"
    files.mkdir()
    for number in range(gpus):
        (files / f"nvidia{number}").touch()
    return (
        f"from pathlib import Path\nfrom nnlc.system import hardware\n"
        f"hardware._FILES = Path({str(files)!r})\n"
    )


def test_a_gpu_that_cannot_be_used_is_no_matter_to_a_job_on_processors(tmp_path):
    counters = tmp_path / "counters"
    stub = stub_driver.environment(fail="init", counters=counters)
    done, _ = job(tmp_path, *CPU, text=TWO, **stub)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(events(tmp_path / "r", "finish")) == 2
    assert not done.stderr
    told = map(json.loads, counters.read_text().splitlines()) if counters.exists() else []
    for each in told:  # autograd counts GPUs; nothing gets a context or memory on one
        calls = {name for name in each if name.startswith("cuda")}
        assert calls <= {"cudaGetDeviceCount", "cudaGetLastError"}


def test_a_gpu_that_cannot_be_used_is_told_and_never_replaced_by_a_processor(tmp_path):
    said = refusal(tmp_path, "--device", "auto", **stub_driver.environment(fail="init"))
    assert "rank 0 on" in said
    assert "can't use its GPU: CUDA driver version is insufficient" in said
    assert "have the driver updated" in said
    assert "--device cpu" in said


def test_a_driver_that_is_too_old_to_count_gpus_is_told(tmp_path):
    said = refusal(tmp_path, **stub_driver.environment(driver=11040))
    assert "driver on your system is too old (found version 11040)" in said
    assert "whl/cu126" in said


def test_gpus_without_kernels_are_told_for_all_ranks_at_once_with_the_wheel(tmp_path):
    stub = stub_driver.environment(gpus=2, capability=(6, 0), name="Tesla P100")
    said = refusal(tmp_path, ranks=2, **stub)
    assert re.search(
        r"rank 0 on \S+ can't use its GPU, and 1 more rank theirs: torch \S+ has no kernels for "
        r"Tesla P100, of compute capability 6\.0, only for sm_\d+ .*whl/cu126",
        said,
    )


def test_a_gpu_in_exclusive_mode_takes_one_trainer_and_is_named_as_such_for_the_second(tmp_path):
    stub = stub_driver.environment(exclusive=True)
    said = refusal(tmp_path, *CUDA, "--trainers", 2, **stub)
    assert "exclusive mode" in said
    assert "--mps" in said
    done, _ = job(tmp_path, *CUDA, **stub)
    assert done.returncode == 0, done.stdout + done.stderr


def test_variables_that_hide_all_gpus_are_named(tmp_path):
    stub = stub_driver.environment(gpus=2)
    stub |= meddling(tmp_path, "", agents=fake_node(tmp_path, 2))
    said = refusal(tmp_path, **stub, CUDA_VISIBLE_DEVICES="")
    assert "has 2 GPUs, but rank 0 there sees none with CUDA_VISIBLE_DEVICES=''" in said
    said = refusal(tmp_path, *CUDA, **stub, CUDA_VISIBLE_DEVICES="7")
    assert "CUDA_VISIBLE_DEVICES=7" in said


def test_gpus_without_uuids_are_told_apart_and_each_is_checked_once(tmp_path):
    stub = stub_driver.environment(gpus=2, uuids=False)
    stub |= meddling(tmp_path, "", agents=fake_node(tmp_path, 2))
    done, _ = job(tmp_path, *CUDA, ranks=3, **stub)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(event["rank"] for event in events(tmp_path / "r", "check")) == [0, 1]
    [begun] = events(tmp_path / "r", "job")
    gpus = [rank["devices"][0]["pci"] for rank in begun["ranks"]]
    assert gpus[0] == gpus[2] != gpus[1]
    other = tmp_path / "other"
    other.mkdir()
    said = refusal(other, *CUDA, ranks=2, **stub, CUDA_VISIBLE_DEVICES="1")
    assert f"ranks 0, 1 on {begun['ranks'][0]['host']} have the same GPU ({gpus[1]})" in said


WRONG = """
import torch
from nnlc.training.training_steps import Steps
train, done = Steps.train, []
def wrongly(self, indices, *changes):
    train(self, indices, *changes)
    done.append(indices)
    if len(done) == 10:  # in the second training
        bias = self._network[0].bias.detach()
        bias.copy_(torch.ones(len(bias)))
Steps.train = wrongly
"""


def test_a_gpu_that_gives_other_bytes_the_second_time_ends_the_job_by_its_name(tmp_path):
    said = refusal(tmp_path, *CUDA, **stub_driver.environment(), **meddling(tmp_path, WRONG))
    assert re.search(r"rank 0 on \S+: its GPU, NVIDIA Stub, PCI 0000:\S+, UUID \S+, did not", said)
    assert "other bytes" in said
    assert "ECC" in said


@pytest.mark.needs("root")
def test_an_mps_daemon_of_another_user_ends_a_job_by_that_name(tmp_path):
    file = tmp_path / f"{mps.PROGRAM}.pid"
    file.write_text(str(os.getpid()))
    os.chown(file, NOBODY, -1)
    said = refusal(tmp_path, **stub_driver.environment(), CUDA_MPS_PIPE_DIRECTORY=str(tmp_path))
    assert f"an MPS daemon of user nobody runs there ({tmp_path})" in said
    assert "start with --mps" in said


STAND_IN = f"""#!{sys.executable}
import os, sys, time
from pathlib import Path
folder = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
if "-f" in sys.argv:
    Path(os.environ["SEEN"]).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    (folder / "nvidia-cuda-mps-control.pid").write_text(str(os.getpid()))
    while not (folder / "quit").exists() and os.getppid() > 1:
        time.sleep(0.01)
else:
    (folder / "quit").touch()
"""


def test_trainers_share_a_gpu_in_exclusive_mode_under_mps(tmp_path):
    program = tmp_path / "bin" / mps.PROGRAM
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    stub = stub_driver.environment(exclusive=True, memory_gigabytes=80)
    words = (*CUDA, "--mps", "--trainers", 2)
    done, _ = job(tmp_path, *words, text=TWO_ALIKE, **stub, PATH=path, SEEN=str(tmp_path / "seen"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {event["trainer"] for event in events(tmp_path / "r", "start")} == {0, 1}
    assert len(events(tmp_path / "r", "check")) == 1
    assert len(events(tmp_path / "r", "finish")) == 2
    assert all(event["device"]["mps"] for event in events(tmp_path / "r", "finish"))
    assert (tmp_path / "seen").exists()


TWO_ALIKE = ONE.replace("networks_per_depth = 1", "networks_per_depth = 2")
