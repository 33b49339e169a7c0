"""The stub driver keeps CUDA's rules, as the manual has them, and fails when it is asked to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rule_cases
import stub_driver
from limits import HANG_SECONDS

pytestmark = pytest.mark.needs("stub driver")

FOLDER = Path(__file__).parent
NO_DEVICE, OLD_DRIVER, BUSY, NO_KERNEL, ILLEGAL_ADDRESS = 100, 35, 46, 209, 700
OUT_OF_MEMORY = rule_cases.OUT_OF_MEMORY


def run(*words: object, **settings: object) -> str:
    """Return what a Python says that finds the stub's GPUs."""
    made = {**os.environ, **stub_driver.environment(**settings)}
    done = subprocess.run(
        [sys.executable, *words], env=made, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tell(code: str, **settings: object) -> object:
    """Return the value of an expression over `cuda`, the runtime, and a reference to an int `n`."""
    whole = (
        "import ctypes, json, os; cuda = ctypes.CDLL('libstub.so'); n = ctypes.c_int(); "
        f"m = ctypes.byref(ctypes.c_void_p()); print(json.dumps({code}))"
    )
    return json.loads(run("-c", whole, **settings))


COUNT = "[cuda.cudaGetDeviceCount(ctypes.byref(n)), n.value]"
ALLOCATE = "cuda.cudaMalloc(m, ctypes.c_size_t(2 << 20))"


@pytest.fixture(scope="module")
def cases():
    return json.loads(run(FOLDER / "rule_cases.py"))


@pytest.fixture(scope="module")
def torch_cases():
    return json.loads(run(FOLDER / "torch_cases.py"))


@pytest.mark.parametrize("name", rule_cases.RULES)
def test_a_rule_of_the_manual_is_kept(name, cases):
    assert cases[name] is None, f"{rule_cases.RULES[name].PAGE}\n{cases[name]}"


def test_the_usual_training_step_is_captured_and_replayed(torch_cases):
    usual = torch_cases["usual"]
    assert (usual["error"], usual["captures"], usual["refused"]) == (None, 1, 0)
    assert (usual["graphs"], usual["cudaGraphLaunch"]) == (1, 2)


def test_a_training_step_that_waits_for_a_value_fails_in_its_capture(torch_cases):
    assert torch_cases["item"]["captures"] == torch_cases["item"]["refused"] == 1
    assert torch_cases["item"]["graphs"] == torch_cases["item"]["cudaGraphLaunch"] == 0


def test_a_copy_from_pageable_memory_is_not_captured(torch_cases):
    assert "Cannot copy" in torch_cases["pageable"] or "captur" in torch_cases["pageable"]


def test_an_error_that_sticks_spoils_the_process(torch_cases):
    assert ["illegal memory access" in text for text in torch_cases["sticky"]] == [True, True]


def test_no_process_with_the_stub_uses_cudnn(torch_cases):
    assert torch_cases["cudnn"] is False


# Device Management, and CUDA Environment Variables of the guide.


def test_devices_are_as_many_as_asked_for():
    assert tell(COUNT, gpus=3) == [0, 3]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", [NO_DEVICE, 0]),
        ("-1", [NO_DEVICE, 0]),
        ("nonsense", [NO_DEVICE, 0]),
        ("1,0", [0, 2]),
        ("1,7,0", [0, 1]),  # only the devices before a wrong index
        ("0,0", [NO_DEVICE, 0]),
        ("GPU-01122334", [0, 1]),
        ("GPU-99", [NO_DEVICE, 0]),
    ],
)
def test_cuda_visible_devices_chooses_among_them(value, found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert tell(COUNT, gpus=2) == found


PCI = "[cuda.cudaDeviceGetPCIBusId(s := ctypes.create_string_buffer(16), 16, 0), s.value.decode()]"


def test_a_device_keeps_its_pci_bus_id_whatever_its_index(monkeypatch):
    first = tell(PCI, gpus=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    second = tell(PCI, gpus=2)
    assert [first, second] == [[0, "0000:18:00.0"], [0, "0000:29:00.0"]]
    assert tell(PCI, gpus=2, pci=False) == [0, "0000:00:00.0"]


def test_a_driver_older_than_the_runtime_is_counted_by_nvml_and_refused_by_cuda():
    nvml = "[cuda.nvmlDeviceGetCount_v2(ctypes.byref(n)), n.value]"
    assert tell(f"[{nvml}, {COUNT}, {ALLOCATE}]", driver=11040) == [
        [0, 1],
        [OLD_DRIVER, 0],
        OLD_DRIVER,
    ]


def test_a_gpu_can_be_counted_and_yet_not_be_used():
    assert tell(f"[{COUNT}, {ALLOCATE}]", fail="init") == [[0, 1], OLD_DRIVER]
    assert tell(f"[{COUNT}, cuda.cudaSetDevice(0)]", fail="init:46") == [[0, 1], BUSY]


def test_one_process_at_a_time_has_a_gpu_in_exclusive_mode():
    child = (
        "import ctypes, subprocess, sys; cuda = ctypes.CDLL('libstub.so'); "
        "m = ctypes.byref(ctypes.c_void_p()); print(cuda.cudaMalloc(m, 64), flush=True); "
    )
    again = f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert run("-c", child + again, exclusive=True).split() == ["0", str(BUSY)]
    assert run("-c", child + again).split() == ["0", "0"]


def test_a_context_does_not_survive_a_fork():
    code = f"[{ALLOCATE}, (p := os.fork()) or os._exit({ALLOCATE}), os.waitpid(p, 0)[1] >> 8]"
    assert tell(code)[2] == 3  # cudaErrorInitializationError


def test_kernels_for_another_architecture_are_not_launched():
    code = (
        "import torch\n"
        "try: torch.ones(2, device='cuda')\n"
        "except RuntimeError as problem: print(problem)"
    )
    assert "no kernel image" in run("-W", "ignore", "-c", code, capability=(7, 0))


# Failures on demand.


@pytest.mark.parametrize(
    ("fail", "code", "found"),
    [
        ("malloc:2", f"[{ALLOCATE} for _ in range(3)]", [0, OUT_OF_MEMORY, 0]),
        ("malloc:1:999", ALLOCATE, 999),
        ("sticky-malloc:1", f"[{ALLOCATE} for _ in range(3)]", [0, *[ILLEGAL_ADDRESS] * 2]),
        ("wait:1", "[cuda.cudaDeviceSynchronize() for _ in range(2)]", [719, 0]),
    ],
)
def test_a_call_fails_where_it_is_told_to(fail, code, found):
    assert tell(code, fail=fail) == found


def test_an_unknown_failure_is_named():
    assert tell("cuda.nnlc_stub_fail(b'nonsense:1')") == 0


def test_memory_has_a_limit_and_takes_none_until_it_is_written():
    most = "[cuda.cudaMalloc(m, ctypes.c_size_t(gigabytes << 30)) for gigabytes in (50, 31, 29)]"
    assert tell(most, memory_gigabytes=80) == [0, OUT_OF_MEMORY, 0]


def test_a_process_writes_its_counters_at_its_end_however_it_ends(tmp_path):
    for end in ("", "; os._exit(0)"):
        file = tmp_path / f"counters{len(end)}"
        code = f"import ctypes, os; cuda = ctypes.CDLL('libstub.so'); cuda.cudaFree(None){end}"
        run("-c", code, counters=file)
        [line] = file.read_text().splitlines()
        assert json.loads(line)["cudaFree"] == 1
