"""What a trainer tells of device, versions and memory, and which of it a network's bits hang on."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from limits import HANG_SECONDS
from small_networks import CPU, bundled_images, first, loop_on, spec

import nnlc
from nnlc.results.history import _finish
from nnlc.results.makers import makers
from nnlc.system import hardware
from nnlc.system.environment import ALLOCATION, DETERMINISM
from nnlc.system.hardware import processor_name
from nnlc.training import device_info, usable_gpu
from nnlc.training.device_info import (
    _driver_version,
    bit_deciding,
    circumstances,
    describe_device,
    free_memory,
    peak_memory,
    reset_peak_memory,
)
from nnlc.verification.differences import changes, present_circumstances, recorded_circumstances

MIB, GIB = 1 << 20, 1 << 30

pytestmark = pytest.mark.usefixtures("deterministic")


def test_a_table_was_made_with_a_device_versions_and_settings_in_plain_values():
    made = circumstances(CPU)
    assert json.loads(json.dumps(made)) == made
    assert made["device"]["name"] == processor_name() != ""
    assert made["device"]["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert made["versions"]["nnlc"] == nnlc.__version__
    assert made["versions"]["torch"] == str(torch.__version__)
    assert made["settings"].items() >= DETERMINISM.items()
    assert made["settings"]["deterministic_algorithms"] is True
    assert made["settings"]["threads"] == 1
    plain = (str, int, bool, type(None))
    assert all(type(value) in plain for facts in made.values() for value in facts.values())


def test_settings_are_those_that_hold_and_not_those_that_should():
    torch.use_deterministic_algorithms(False)
    try:
        assert circumstances(CPU)["settings"]["deterministic_algorithms"] is False
    finally:
        torch.use_deterministic_algorithms(True)


def test_no_bit_depends_on_the_piece_of_a_device_its_driver_python_or_the_version_of_nnlc():
    made = circumstances(CPU)
    flat = {f"{part}.{key}" for part, facts in made.items() for key in facts}
    left_out = {f"device.{key}" for key in ("uuid", "pci", "mps")}
    left_out |= {f"versions.{key}" for key in ("driver", "python", "nnlc")}
    decisive = bit_deciding(made)
    assert left_out < flat
    assert set(decisive) == flat - left_out
    for name, value in decisive.items():
        part, key = name.split(".")
        assert made[part][key] == value
    for name in left_out:
        part, key = name.split(".")
        assert bit_deciding(made | {part: made[part] | {key: "another"}}) == decisive


def test_a_gpu_tells_its_memory_its_parts_and_whether_trainers_may_share_it(monkeypatch, tmp_path):
    gpu = SimpleNamespace(name="a GPU", uuid="4-2", multi_processor_count=80, total_memory=16 * GIB)
    gpu.pci_domain_id, gpu.pci_bus_id, gpu.pci_device_id = 1, 0xC7, 0
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    monkeypatch.setattr(device_info, "why_unusable", lambda index: None)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    seen = describe_device(0)
    assert (seen["name"], seen["uuid"], seen["pci"]) == ("a GPU", "4-2", "0001:c7:00")
    assert (seen["multiprocessors"], seen["memory_bytes"]) == (80, 16 * GIB)
    assert seen["mps"] is False
    for name in ("control", "nvidia-cuda-mps-control.pid"):
        (tmp_path / name).touch()
        assert describe_device(0)["mps"] is True
        monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
        monkeypatch.setattr(usable_gpu, "_MPS_PIPES", str(tmp_path))
        assert describe_device(0)["mps"] is True
        (tmp_path / name).unlink()
        assert describe_device(0)["mps"] is False
    assert "mps" not in describe_device(None)
    gpu.pci_domain_id, gpu.pci_bus_id, gpu.uuid = 0, 0, "00000000-0000-0000-0000-000000000000"
    assert (describe_device(0)["pci"], describe_device(0)["uuid"]) == (None, "unknown")


def test_an_amd_gpus_architecture_and_hip_decide_bits_and_others_have_neither(monkeypatch):
    gpu = SimpleNamespace(name="AMD Instinct MI250X", uuid="0", multi_processor_count=110)
    gpu.total_memory, gpu.gcnArchName = 64 * GIB, "gfx90a:sramecc+:xnack-"
    gpu.pci_domain_id, gpu.pci_bus_id, gpu.pci_device_id = 0, 0xC1, 0
    monkeypatch.setattr(device_info, "why_unusable", lambda index: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    device = torch.device("cuda", 0)
    new = {"device.architecture", "versions.hip"}
    assert not new & bit_deciding(circumstances(device)).keys()
    monkeypatch.setattr(torch.version, "hip", "7.2.5")
    made = circumstances(device)
    assert new <= bit_deciding(made).keys()
    assert describe_device(0)["architecture"] == gpu.gcnArchName
    made["versions"] |= {"cuda": None, "cudnn": 3005001, "torch": "2.14+rocm7.2"}
    told, _ = makers([_finish(made)])[0]
    assert told.startswith("AMD Instinct MI250X (110 multiprocessors, gfx90a:sramecc+:xnack-), ")
    assert "HIP 7.2.5, MIOpen 3.5.1" in told
    others = present_circumstances(made | {"device": made["device"] | {"architecture": "gfx942"}})
    then = recorded_circumstances(_finish(made))
    assert "architecture" in [change.name for change in changes(then, others)]


def test_a_gpu_that_cannot_be_used_is_told_with_the_reason_and_asked_nothing_more(monkeypatch):
    monkeypatch.setattr(device_info, "why_unusable", lambda index: "an old driver: update it")
    monkeypatch.setattr(torch.cuda, "get_device_properties", None)
    seen = describe_device(0)
    assert seen["unusable"] == "an old driver: update it"
    assert "uuid" not in seen
    monkeypatch.setattr(device_info, "find_gpus", lambda: (0, "no driver: load it"))
    assert describe_device(None)["unusable"] == "no driver: load it"


def test_what_a_network_had_is_given_back_before_the_next_one_begins():
    """Also where its parts refer to each other, as those of a captured step do."""
    loop = loop_on(first(bundled_images(), 200, 100), spec())
    next(iter(loop))
    parameters = [weakref.ref(p) for p in loop.network.parameters()]
    loop.itself = loop
    del loop
    assert all(p() is not None for p in parameters)
    free_memory(CPU)
    assert parameters
    assert all(p() is None for p in parameters)


def test_peak_memory_grows_with_what_is_touched_and_can_be_forgotten():
    may_forget = _may_forget()
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    assert 10 * MIB < before < 1 << 40
    touched = np.ones(200 * MIB, dtype=np.uint8)
    grown = peak_memory(CPU)
    assert grown >= before + 150 * MIB
    del touched
    assert peak_memory(CPU) >= grown - 8 * MIB  # Linux counts pages in batches
    reset_peak_memory(CPU)
    if may_forget:
        assert peak_memory(CPU) < grown - 150 * MIB
    else:
        assert peak_memory(CPU) >= grown - 8 * MIB


def _may_forget():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def test_peak_memory_is_told_where_proc_is_not(monkeypatch):
    real = peak_memory(CPU)
    monkeypatch.setattr(device_info, "read_regular", _missing)
    monkeypatch.setattr(Path, "write_text", _missing)
    reset_peak_memory(CPU)
    assert peak_memory(CPU) >= 0.9 * real


def test_a_processor_has_a_name_where_proc_is_not(monkeypatch):
    monkeypatch.setattr(hardware, "read_regular", _missing)
    assert processor_name() == os.uname().machine


def _missing(path, *_):
    raise FileNotFoundError(2, os.strerror(2), str(path))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC "
            "2023\nGCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n",
            "535.104.05",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  "
            "(dvs-builder@U16-I3-B16-4-3)  Tue Mar  5 22:15:33 UTC 2024\nGCC version:  gcc "
            "version 12.2.0 (Debian 12.2.0-14)\n",
            "550.54.15",
        ),
        ("something else\n", None),
        ("", None),
    ],
)
def test_the_driver_is_read_from_the_line_that_its_module_writes(monkeypatch, text, version):
    asked = []
    monkeypatch.setattr(
        device_info, "read_regular", lambda path: asked.append(path) or text.encode()
    )
    assert _driver_version() == version
    assert asked == ["/proc/driver/nvidia/version"]


def test_there_is_no_driver_version_without_a_driver(monkeypatch):
    monkeypatch.setattr(device_info, "read_regular", _missing)
    assert _driver_version() is None


def test_a_trained_networks_memory_goes_back_to_the_system_although_the_heap_is_kept():
    code = (
        "import re, torch; from pathlib import Path\n"
        "from nnlc.training.device_info import free_memory\n"
        "def held(): return int(re.search(r'VmRSS:\\s+(\\d+)', "
        "Path('/proc/self/status').read_text())[1]) >> 10\n"
        "before = held(); values = torch.ones(100 << 20); kept = torch.ones(1000); del values\n"
        "print(held() - before); free_memory(torch.device('cpu')); print(held() - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ALLOCATION},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    kept, given_back = map(int, run.stdout.split())
    assert kept > 350  # MiB: the next network finds it there
    assert given_back < 50
