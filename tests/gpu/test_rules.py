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
BUSY, NO_DEVICE, OLD_DRIVER = 46, 100, 35
NOT_AFTER_FORK, LAUNCH_FAILURE, ILLEGAL_ADDRESS = 3, 719, 700
OUT_OF_MEMORY = rule_cases.OUT_OF_MEMORY
FAILURES = ("begin:1", "captured-launch:5", "captured-malloc:1", "capture:1", "instantiate:1")
"""Failures before the first replay of a network's steps."""


def run(*words: object, **settings: object) -> str:
    """Return what a Python says that finds the stub's GPUs."""
    made = {**os.environ, **stub_driver.environment(**settings)}
    done = subprocess.run(
        [sys.executable, *words], env=made, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tell(code: str, **settings: object) -> object:
    """Return the value of an expression over `cuda`, the runtime, and `n`, an int for results."""
    whole = (
        "import ctypes, json, os; cuda = ctypes.CDLL('libstub.so'); n = ctypes.c_int(); "
        f"m = ctypes.byref(ctypes.c_void_p()); print(json.dumps({code}))"
    )
    return json.loads(run("-c", whole, **settings))


@pytest.fixture(scope="module")
def cases():
    return json.loads(run(FOLDER / "rule_cases.py"))


@pytest.fixture(scope="module")
def torch_cases():
    return json.loads(run(FOLDER / "torch_cases.py", *FAILURES))


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


@pytest.mark.parametrize("fail", FAILURES)
def test_a_step_or_its_capture_fails_where_it_is_told_to(fail, torch_cases):
    assert torch_cases[fail]["failures"] == 1
    assert torch_cases[fail]["cudaGraphLaunch"] == 0


def test_an_error_that_sticks_spoils_the_process(torch_cases):
    assert ["illegal memory access" in text for text in torch_cases["sticky"]] == [True, True]


def test_cudnn_is_off_unless_asked_for(torch_cases):
    assert torch_cases["cudnn"] is False
    assert torch_cases["usual"]["cudnnBackendExecute"] == 0
    code = (
        "import torch; torch.nn.Conv2d(3, 5, 3).cuda()(torch.ones(1, 3, 8, 8, device='cuda')); "
        "print(torch.backends.cudnn.enabled, torch.cuda.max_memory_allocated())"
    )
    enabled, peak = run("-c", code, cudnn_megabytes=64).split()
    assert enabled == "True"
    assert int(peak) > 64 * 2**20


def test_kernels_for_another_architecture_are_not_launched():
    code = (
        "import torch\n"
        "try: torch.ones(2, device='cuda')\n"
        "except RuntimeError as problem: print(problem)"
    )
    assert "no kernel image" in run("-W", "ignore", "-c", code, capability=(6, 0))


COUNT = "[cuda.cudaGetDeviceCount(ctypes.byref(n)), n.value]"
NVML = "[cuda.nvmlDeviceGetCount_v2(ctypes.byref(n)), n.value]"
PCI = "[cuda.cudaDeviceGetPCIBusId(s := ctypes.create_string_buffer(16), 16, 0), s.value.decode()]"
ALLOCATE = "cuda.cudaMalloc(m, ctypes.c_size_t(2 << 20))"
THRICE = f"[{ALLOCATE} for _ in range(3)]"
GIGABYTES = "[cuda.cudaMalloc(m, ctypes.c_size_t(size << 30)) for size in (50, 31, 29)]"
FORK = f"[{ALLOCATE}, (p := os.fork()) or os._exit({ALLOCATE}), os.waitpid(p, 0)[1] >> 8][::2]"
PROMISES = {
    "there_are_as_many_gpus_as_asked_for": (COUNT, {"gpus": 3}, [0, 3]),
    "a_pci_bus_id_may_be_missing": (PCI, {"pci": False}, [0, "0000:00:00.0"]),
    "memory_has_a_limit_and_takes_none_until_it_is_written": (
        *(GIGABYTES, {"memory_gigabytes": 80}, [0, OUT_OF_MEMORY, 0]),
    ),
    "an_old_driver_is_counted_by_nvml_and_refused_by_cuda": (
        *(f"[{NVML}, {COUNT}, {ALLOCATE}]", {"driver": 11040}),
        [[0, 1], [OLD_DRIVER, 0], OLD_DRIVER],
    ),
    "a_gpu_can_be_counted_and_yet_not_be_used": (
        *(f"[{COUNT}, {ALLOCATE}]", {"fail": "init"}, [[0, 1], OLD_DRIVER]),
    ),
    "it_can_be_busy": (f"[{COUNT}, cuda.cudaSetDevice(0)]", {"fail": "init:46"}, [[0, 1], BUSY]),
    "a_context_does_not_survive_a_fork": (FORK, {}, [0, NOT_AFTER_FORK]),
    "the_second_call_fails": (THRICE, {"fail": "malloc:2"}, [0, OUT_OF_MEMORY, 0]),
    "it_fails_with_this_code": (THRICE, {"fail": "malloc:2:999"}, [0, 999, 0]),
    "all_calls_fail_after_an_error_that_sticks": (
        *(THRICE, {"fail": "sticky-malloc:1"}, [0, ILLEGAL_ADDRESS, ILLEGAL_ADDRESS]),
    ),
    "waiting_fails": ("cuda.cudaDeviceSynchronize()", {"fail": "wait:1"}, LAUNCH_FAILURE),
    "a_copy_fails": ("cuda.cudaMemcpy(None, None, 0, 4)", {"fail": "copy:1"}, 999),
    "an_unknown_failure_is_refused": ("cuda.nnlc_stub_fail(b'nonsense:1')", {}, 0),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_process_finds_what_its_variables_say(promise):
    code, settings, found = PROMISES[promise]
    assert tell(code, **settings) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        *[("", [NO_DEVICE, 0]), ("-1", [NO_DEVICE, 0]), ("nonsense", [NO_DEVICE, 0])],
        *[("1,0", [0, 2]), ("0,0", [NO_DEVICE, 0])],
        ("1,7,0", [0, 1]),  # only the devices before a wrong index
        *[("GPU-01122334", [0, 1]), ("GPU-99", [NO_DEVICE, 0])],
    ],
)
def test_cuda_visible_devices_chooses_among_them(value, found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert tell(COUNT, gpus=2) == found


def test_a_gpu_keeps_its_pci_bus_id_whatever_its_index(monkeypatch):
    assert tell(PCI, gpus=2) == [0, "0000:18:00.0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert tell(PCI, gpus=2) == [0, "0000:29:00.0"]


def test_one_process_at_a_time_has_a_gpu_in_exclusive_mode():
    child = (
        "import ctypes, subprocess, sys; cuda = ctypes.CDLL('libstub.so'); "
        "m = ctypes.byref(ctypes.c_void_p()); print(cuda.cudaMalloc(m, 64), flush=True); "
    )
    again = f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert run("-c", child + again, exclusive=True).split() == ["0", str(BUSY)]
    assert run("-c", child + again).split() == ["0", "0"]


@pytest.mark.parametrize("end", ["", "; os._exit(0)"])
def test_a_process_writes_its_counters_at_its_end_however_it_ends(end, tmp_path):
    code = f"import ctypes, os; cuda = ctypes.CDLL('libstub.so'); cuda.cudaFree(None){end}"
    run("-c", code, counters=tmp_path / "counters")
    [line] = (tmp_path / "counters").read_text().splitlines()
    assert json.loads(line)["cudaFree"] == 1
