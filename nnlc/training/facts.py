"""What a trainer runs on, and what its tables' bits depend on beside network and campaign."""

import ctypes
import gc
import os
import platform
import re
import resource
import sys
from pathlib import Path
from typing import Any

import torch

import nnlc
from nnlc import wire
from nnlc.environment import DETERMINISM

_C_LIBRARY = ctypes.CDLL(None)
_STATUS = Path("/proc/self/status")
# docs.nvidia.com/deploy/mps: where a control daemon's pipes are, and its process number with them.
_MPS_PIPES = "/tmp/nvidia-mps"  # noqa: S108
_MPS_FILES = ("nvidia-cuda-mps-control.pid", "control")
_RESET_PEAK = "5"  # proc(5), clear_refs


def visible_device(gpu: int | None) -> wire.DeviceFacts:
    """The GPU with this index, or the processor where it is None."""
    facts: wire.DeviceFacts = {
        "gpus": torch.cuda.device_count(),
        "name": processor_name(),
        "processor": f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}",
        "nnlc": nnlc.__version__,
        "torch": str(torch.__version__),  # a class of torch's own
        "cuda": torch.version.cuda,
        "cudnn": None,
    }
    if gpu is not None:
        properties = torch.cuda.get_device_properties(gpu)
        facts["name"] = properties.name
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        facts["uuid"] = str(getattr(properties, "uuid", "unknown"))
        facts["multiprocessors"] = properties.multi_processor_count
        facts["memory_bytes"] = properties.total_memory
        facts["mps"] = has_mps()
    return facts


def made_with(device: torch.device) -> dict[str, dict[str, Any]]:
    """Device, versions and settings for the journal: JSON objects, each of plain values.

    Dropout masks depend on a GPU's multiprocessors, and the kernels of a processor on its
    instruction set.
    """
    seen = visible_device(device.index if device.type == "cuda" else None)
    on_gpu = device.type == "cuda"
    return {
        "device": {
            "name": seen["name"],
            "uuid": seen.get("uuid"),
            "multiprocessors": seen.get("multiprocessors"),
            "mps": seen.get("mps"),
            "instructions": None if on_gpu else torch.backends.cpu.get_cpu_capability(),
        },
        "versions": {
            "nnlc": nnlc.__version__,
            "python": platform.python_version(),
            "torch": seen["torch"],
            "cuda": torch.version.cuda if on_gpu else None,
            "cudnn": seen["cudnn"] if on_gpu else None,
            "driver": _driver_version() if on_gpu else None,
        },
        "settings": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "fp32_precision": "ieee",
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "threads": torch.get_num_threads(),
            **DETERMINISM,
        },
    }


def decides_bits(made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part of `made_with` that must be the same from a network's first step to its last.

    Flat. A device is its model, not the piece of it; a driver only loads what torch brings; and
    the Multi-Process Service shares multiprocessors without dividing them, unless it is told to:
    then there are fewer.
    """
    left_out = {f"device.{key}" for key in ("uuid", "mps")}
    left_out |= {f"versions.{key}" for key in ("nnlc", "python", "driver")}
    flat = {f"{part}.{key}": value for part, facts in made.items() for key, value in facts.items()}
    return {key: value for key, value in flat.items() if key not in left_out}


def has_mps() -> bool:
    """Whether a control daemon of NVIDIA's Multi-Process Service listens to this process."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS_PIPES)
    return any((pipes / name).exists() for name in _MPS_FILES)


def forget_peak_memory(device: torch.device) -> None:
    """From here on `peak_memory` counts anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return  # not Linux, or not allowed: the peak of the whole process is told


def give_back_memory(device: torch.device) -> None:
    """Free what nothing uses any more: a trained network, and what torch keeps for the next one.

    Its parts refer to each other, so only the collector finds them; and what torch keeps of a GPU
    is missing to the trainers that share it.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif hasattr(_C_LIBRARY, "malloc_trim"):  # glibc, which `nnlc.environment` has told to keep it
        _C_LIBRARY.malloc_trim(0)


def peak_memory(device: torch.device) -> int:
    """Bytes: allocated on the GPU, or resident in this process, images included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor_name() -> str:
    """As /proc/cpuinfo has it, or else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.machine()


def _driver_version() -> str | None:
    """NVIDIA's, from its first line under /proc: torch does not tell it."""
    try:
        line = Path("/proc/driver/nvidia/version").read_text().split("\n")[0]
    except OSError:
        return None
    found = re.search(r"\b(\d+(?:\.\d+)+)\b", line)
    return found[1] if found else None
