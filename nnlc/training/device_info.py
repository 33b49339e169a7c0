"""What a trainer runs on, and what its tables' bits depend on beside network and campaign."""

import ctypes
import gc
import os
import platform
import re
import resource
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

import nnlc
from nnlc.networks.arithmetic import FIRST
from nnlc.system import messages
from nnlc.system.environment import DETERMINISM, in_words, recorded
from nnlc.system.files import read_regular
from nnlc.training.determinism import fp32_precision

_C_LIBRARY = ctypes.CDLL(None)
_STATUS = "/proc/self/status"
# docs.nvidia.com/deploy/mps: where a control daemon's pipes are, and its process number with them.
_MPS_PIPES = "/tmp/nvidia-mps"  # noqa: S108
_MPS_FILES = ("nvidia-cuda-mps-control.pid", "control")
_RESET_PEAK = "5"  # proc(5), clear_refs


def visible_device(gpu: int | None) -> messages.DeviceFacts:
    """The GPU with this index, or the processor where it is None."""
    facts: messages.DeviceFacts = {
        "gpus": torch.cuda.device_count(),
        "name": processor_name(),
        "processor": f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}",
        "nnlc": nnlc.__version__,
        "torch": str(torch.__version__),  # a class of torch's own
        "cuda": torch.version.cuda,
        "cudnn": None,
        "variables": {
            device: in_words(recorded(os.environ, device, _libraries()))
            for device in ("cpu", "cuda")
        },
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


def made_with(device: torch.device, arithmetic: str | None = None) -> dict[str, dict[str, Any]]:
    """Device, versions and settings for the journal: JSON objects, each of plain values.

    Dropout masks depend on a GPU's multiprocessors, and the kernels of a processor on its
    instruction set.

    Args:
        device: that trains.
        arithmetic: of the network, where there is one.
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
            **({"arithmetic": arithmetic} if arithmetic else {}),
            "nnlc": nnlc.__version__,
            "python": platform.python_version(),
            "torch": seen["torch"],
            "cuda": torch.version.cuda if on_gpu else None,
            "cudnn": seen["cudnn"] if on_gpu else None,
            "driver": _driver_version() if on_gpu else None,
        },
        "settings": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "fp32_precision": fp32_precision(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "threads": torch.get_num_threads(),
            **{name: os.environ.get(name) for name in DETERMINISM},
            **recorded(os.environ, device.type, _libraries()),
        },
    }


@cache
def _libraries() -> frozenset[str]:
    """Return what torch computes with on CPUs: of MKL, oneDNN ("mkldnn") and another BLAS."""
    blas = "mkl" if torch.backends.mkl.is_available() else "blas"  # type: ignore[no-untyped-call]
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return frozenset({blas, "mkldnn"} if onednn else {blas})


def decides_bits(made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part of `made_with` that must be the same from a network's first step to its last.

    Flat. A device is its model, not the piece of it; a driver only loads what torch brings; and
    the Multi-Process Service shares multiprocessors without dividing them, unless it is told to:
    then there are fewer. A processor's instructions are those that torch uses, whoever chose them.
    The first arithmetic is not said, as in the checkpoints of 0.1.0.
    """
    left_out = {f"device.{key}" for key in ("uuid", "mps")}
    left_out |= {f"versions.{key}" for key in ("nnlc", "python", "driver")}
    if made["device"]["instructions"] is not None:
        left_out.add("settings.ATEN_CPU_CAPABILITY")
    if made["versions"].get("arithmetic") == FIRST:
        left_out.add("versions.arithmetic")
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
    elif hasattr(_C_LIBRARY, "malloc_trim"):  # glibc keeps it: `nnlc.system.environment`
        _C_LIBRARY.malloc_trim(0)


def peak_memory(device: torch.device) -> int:
    """Bytes: allocated on the GPU, or resident in this process, images included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(rb"^VmHWM:\s+(\d+) kB$", read_regular(_STATUS), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor_name() -> str:
    """As /proc/cpuinfo has it, or else the architecture."""
    try:
        lines = read_regular("/proc/cpuinfo").decode(errors="replace").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.machine()


def _driver_version() -> str | None:
    """NVIDIA's, from its first line under /proc: torch does not tell it."""
    try:
        line = read_regular("/proc/driver/nvidia/version").decode().split("\n")[0]
    except OSError:
        return None
    found = re.search(r"\b(\d+(?:\.\d+)+)\b", line)
    return found[1] if found else None
