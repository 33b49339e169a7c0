"""Which GPUs can be used, asked before anything else of CUDA; and what is said of the others."""

import os
import pwd
import re
import warnings
from types import SimpleNamespace

import pytest
import torch

from nnlc import load_campaign
from nnlc.errors import DeviceError
from nnlc.training import step_timing, trainer, usable_gpu
from nnlc.training.usable_gpu import find_gpus, why_unusable

TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 12020). Please update your GPU "
    "driver by downloading and installing a new version from the URL: ..."
)
BUSY = "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might"
WHEEL = "pip install --force-reinstall 'torch<2.15' --index-url .*/cu126"


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch, tmp_path):
    """A V100 with a torch for newer GPUs too; returns what torch is to be asked of it."""
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    find_gpus.cache_clear()
    why_unusable.cache_clear()
    gpu = SimpleNamespace(name="Tesla V100", major=7, minor=0)
    architectures = ["sm_70", "sm_75", "sm_90"]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: architectures)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda n, device: ones(n))
    yield SimpleNamespace(gpu=gpu, architectures=architectures)
    find_gpus.cache_clear()
    why_unusable.cache_clear()


def refuse(monkeypatch, words: str, kind: type[Exception] = RuntimeError) -> str:
    """What is said once a first use of CUDA has failed."""

    def fail(*_, **__):
        raise kind(words)

    monkeypatch.setattr(torch, "ones", fail)
    said = why_unusable(0)
    assert said is not None
    assert "\n" not in said
    return said


def test_a_gpu_on_which_a_first_kernel_runs_can_be_used():
    assert why_unusable(0) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (TOO_OLD, rf"^The NVIDIA driver .* too old \(found version 12020\): .*updated.*{WHEEL}"),
        (BUSY, r"^CUDA-capable device\(s\) is/are busy or unavailable: .*exclusive mode.*--mps"),
        ("CUDA error: no kernel image is available for execution", f"available.*: .*{WHEEL}"),
        ("CUDA error: out of memory", "^out of memory: end the process"),
        ("No CUDA GPUs are available", "CUDA_VISIBLE_DEVICES name only GPUs"),
        ("CUDA error: invalid device ordinal", "CUDA_VISIBLE_DEVICES name only GPUs"),
        ("CUDA error: unknown error", "^unknown error: find out with 'nvidia-smi'"),
    ],
)
def test_each_trouble_of_a_first_kernel_is_told_in_one_line_with_what_to_do(
    monkeypatch, words, said
):
    assert re.search(said, refuse(monkeypatch, words))


def test_errors_of_any_kind_are_no_tracebacks(monkeypatch):
    assert refuse(monkeypatch, "Invalid device id", AssertionError).startswith("Invalid device id:")


@pytest.mark.parametrize(
    ("capability", "architectures", "advice"),
    [
        ((7, 0), ["sm_75", "sm_80", "sm_90"], "torch<2.15"),
        ((12, 0), ["sm_75", "sm_80", "sm_90"], "pip install -U torch"),
        ((8, 0), ["sm_75", "sm_86", "compute_90"], "pip install -U torch"),
    ],
)
def test_a_gpu_without_kernels_is_named_with_its_capability_what_torch_has_and_the_wheel(
    a_gpu, monkeypatch, capability, architectures, advice
):
    a_gpu.gpu.major, a_gpu.gpu.minor = capability
    a_gpu.architectures[:] = architectures
    said = why_unusable(0)
    assert f"for Tesla V100, of compute capability {capability[0]}.{capability[1]}" in said
    assert f"only for {' '.join(architectures)}" in said
    assert advice in said


@pytest.mark.parametrize(
    ("capability", "architectures"),
    [
        ((8, 9), ["sm_80", "sm_90"]),
        ((12, 1), ["sm_90", "compute_120"]),
        ((10, 3), ["sm_100a"]),
        ((9, 0), []),
        ((9, 0), ["gfx90a"]),
    ],
)
def test_kernels_of_the_same_major_version_and_ptx_of_any_older_one_are_enough(
    a_gpu, capability, architectures
):
    a_gpu.gpu.major, a_gpu.gpu.minor = capability
    a_gpu.architectures[:] = architectures
    assert why_unusable(0) is None


def test_torch_says_nothing_beside_that(monkeypatch):
    def ones(_, device):
        warnings.warn("this GPU is not compatible", stacklevel=1)
        raise RuntimeError(BUSY)

    monkeypatch.setattr(torch, "ones", ones)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "exclusive mode" in why_unusable(0)


def test_what_keeps_cuda_from_counting_gpus_is_told_and_no_gpu_is_no_trouble(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert find_gpus() == (0, None)

    def count():
        warnings.warn(f"CUDA initialization: {TOO_OLD}", stacklevel=1)
        return 0

    find_gpus.cache_clear()
    monkeypatch.setattr(torch.cuda, "device_count", count)
    gpus, trouble = find_gpus()
    assert gpus == 0
    assert trouble.startswith("The NVIDIA driver on your system is too old (found version 12020):")
    assert find_gpus() == (gpus, trouble), "torch would not say it again"


def test_an_mps_daemon_of_another_user_is_told_before_cuda_could_wait_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "get_device_properties", None)
    file = tmp_path / "nvidia-cuda-mps-control.pid"
    file.write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_001)
    if file.stat().st_uid == 0:
        os.chown(file, 4_000_002, -1)
    said = why_unusable(0)
    names = {each.pw_uid: each.pw_name for each in pwd.getpwall()}
    user = names.get(file.stat().st_uid, file.stat().st_uid)
    assert said.startswith(f"an MPS daemon of user {user} runs there ({tmp_path}), and CUDA would")
    assert "--mps" in said
    assert "CUDA_MPS_PIPE_DIRECTORY" in said


def test_a_daemon_whose_file_can_not_be_read_may_run(monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    file = tmp_path / "nvidia-cuda-mps-control.pid"
    file.write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_001)
    if file.stat().st_uid == 0:
        os.chown(file, 4_000_002, -1)
    monkeypatch.setattr(usable_gpu, "read_regular", refuse)
    assert why_unusable(0).startswith("an MPS daemon of user ")


def test_no_other_daemon_is_in_the_way(monkeypatch, tmp_path):
    def fresh():
        why_unusable.cache_clear()
        return why_unusable(0)

    file = tmp_path / "nvidia-cuda-mps-control.pid"
    file.write_text(f"{os.getpid()}\n")
    assert fresh() is None, "the user's own, or root's"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_001)
    if file.stat().st_uid == 0:
        os.chown(file, 4_000_002, -1)
    assert fresh() is not None
    file.write_text("4999999\n")  # beyond the greatest number of a process
    assert fresh() is None, "one that was killed"
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "none"))
    assert fresh() is None


# --- Whoever else is to use one -----------------------------------------------------------------


def test_a_trainer_that_is_to_use_such_a_gpu_says_so_and_ends(monkeypatch):
    monkeypatch.setattr(trainer, "find_gpus", lambda: (1, None))
    monkeypatch.setattr(trainer, "why_unusable", lambda gpu: "an old driver: update it")
    campaign = load_campaign("smoke").model_dump(mode="json")
    told = {"campaign": campaign, "images": "none", "checkpoints": "none"}
    trainer.Trainer(None, None, 0)._configure({**told, "device": "cpu"})
    with pytest.raises(DeviceError, match="can't be used: an old driver: update it"):
        trainer.Trainer(None, None, 0)._configure({**told, "device": "cuda"})


def test_a_probe_does_not_time_steps_on_such_a_gpu(monkeypatch):
    monkeypatch.setattr(step_timing, "find_gpus", lambda: (1, None))
    monkeypatch.setattr(step_timing, "describe_device", lambda gpu: {"unusable": f"{gpu}: no"})
    with pytest.raises(DeviceError, match="0: no"):
        next(step_timing.answers({"device": "cuda", "number": 0}))
