"""Device, versions and settings of a trainer, on which its tables' bits depend."""

import contextlib
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
from nnlc.families.arithmetic import FIRST
from nnlc.system import messages
from nnlc.system.environment import fixed, in_words, recorded
from nnlc.system.files import read_regular
from nnlc.system.hardware import processor_name
from nnlc.training.determinism import fp32_precision
from nnlc.training.usable_gpu import find_gpus, mps_runs, why_unusable

_C_LIBRARY = ctypes.CDLL(None)
_RESET_PEAK = "5"  # proc(5), clear_refs


def describe_device(gpu: int | None) -> messages.DeviceFacts:
    """Return the name and other facts of the GPU with this index, or of the CPU if it is None.

    If the GPU can't be used, `unusable` is the reason, and its other facts are left out.
    """
    gpus, unusable = find_gpus()
    info: messages.DeviceFacts = {
        "gpus": gpus,
        "name": processor_name(),
        "processor": f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}",
        "nnlc": nnlc.__version__,
        "torch": str(torch.__version__),  # else an object of torch's own class
        "cuda": torch.version.cuda,
        "cudnn": None,
        "variables": {
            device: in_words(recorded(os.environ, device, _libraries()))
            for device in ("cpu", "cuda")
        },
    }
    if torch.version.hip:
        info["hip"] = torch.version.hip
    if gpu is not None:
        unusable = why_unusable(gpu)
    if unusable:
        info["unusable"] = unusable
    elif gpu is not None:
        properties = torch.cuda.get_device_properties(gpu)
        info["name"] = properties.name
        info["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        uuid = str(getattr(properties, "uuid", "unknown"))
        info["uuid"] = uuid if uuid.strip("0-") else "unknown"
        info["pci"] = _pci_address(properties)
        info["multiprocessors"] = properties.multi_processor_count
        info["memory_bytes"] = properties.total_memory
        if torch.version.hip:
            info["architecture"] = properties.gcnArchName
        info["mps"] = mps_runs()
    return info


def circumstances(device: torch.device, arithmetic: str | None = None) -> dict[str, dict[str, Any]]:
    """Return device, versions and settings for the journal, as objects of JSON.

    Dropout masks depend on the number of a GPU's multiprocessors, and a CPU's kernels on its
    instruction set. Only AMD's GPUs have an architecture and a version of HIP here: kernels depend
    on the architecture with its features, such as "gfx90a:sramecc+:xnack-", and cudnn is the
    version of MIOpen.

    Args:
        device: the device that trains.
        arithmetic: a network's arithmetic; None if no network is trained.
    """
    seen = describe_device(device.index if device.type == "cuda" else None)
    on_gpu = device.type == "cuda"
    return {
        "device": {
            "name": seen["name"],
            "uuid": seen.get("uuid"),
            "pci": seen.get("pci"),
            "multiprocessors": seen.get("multiprocessors"),
            "mps": seen.get("mps"),
            "instructions": None if on_gpu else torch.backends.cpu.get_cpu_capability(),
            **({"architecture": seen["architecture"]} if "architecture" in seen else {}),
        },
        "versions": {
            **({"arithmetic": arithmetic} if arithmetic else {}),
            "nnlc": nnlc.__version__,
            "python": platform.python_version(),
            "torch": seen["torch"],
            "cuda": torch.version.cuda if on_gpu else None,
            "cudnn": seen["cudnn"] if on_gpu else None,
            "driver": _driver_version() if on_gpu else None,
            **({"hip": seen["hip"]} if "hip" in seen and on_gpu else {}),
        },
        "settings": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "fp32_precision": fp32_precision(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "threads": torch.get_num_threads(),
            **{name: os.environ.get(name) for name in fixed(_libraries() if on_gpu else ())},
            **recorded(os.environ, device.type, _libraries()),
        },
    }


@cache
def _libraries() -> frozenset[str]:
    """Return the libraries that torch uses, of "mkl", "mkldnn" (oneDNN), "blas" and "miopen"."""
    blas = "mkl" if torch.backends.mkl.is_available() else "blas"  # type: ignore[no-untyped-call]
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    others = {"mkldnn": onednn, "miopen": torch.version.hip}
    return frozenset({blas, *(name for name, has in others.items() if has)})


def bit_deciding(made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the part of `circumstances` that bits depend on, with dotted keys.

    These values must be equal from a network's first step to its last. Left out are a device's
    UUID and PCI bus ID, since devices of one model compute alike; the driver, which only loads
    torch's kernels; and the use of MPS, since a limit that MPS sets shows in the number of
    multiprocessors. A CPU's instruction set counts as torch uses it, so the variable that chooses
    it is left out. The first arithmetic is left out, as checkpoints of 0.1.0 do not have it.
    """
    left_out = {f"device.{key}" for key in ("uuid", "pci", "mps")}
    left_out |= {f"versions.{key}" for key in ("nnlc", "python", "driver")}
    if made["device"]["instructions"] is not None:
        left_out.add("settings.ATEN_CPU_CAPABILITY")
    if made["versions"].get("arithmetic") == FIRST:
        left_out.add("versions.arithmetic")
    flat = {f"{part}.{key}": value for part, info in made.items() for key, value in info.items()}
    return {key: value for key, value in flat.items() if key not in left_out}


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of `peak_memory`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    # Else not Linux, or not allowed: `peak_memory` is that of the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)


def free_memory(device: torch.device) -> None:
    """Free the memory of a trained network or of loading images, and what torch keeps of it.

    A network's objects refer to each other, so only the garbage collector frees them. GPU memory
    that torch keeps is not available to other trainers on that GPU.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if hasattr(_C_LIBRARY, "malloc_trim"):  # glibc keeps it: `nnlc.system.environment`
        _C_LIBRARY.malloc_trim(0)


def peak_reserved_memory(gpu: torch.device) -> int:
    """Return the peak bytes that torch has reserved on a GPU: `peak_memory`, and gaps in between.

    They are all that this process needs there beside its CUDA context and loaded kernels.
    """
    return torch.cuda.max_memory_reserved(gpu)


def peak_memory(device: torch.device) -> int:
    """Return the peak bytes allocated on a GPU, or resident in this process, with the images."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        status = read_regular("/proc/self/status")
        if found := re.search(rb"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _pci_address(of: Any) -> str | None:  # torch's own types of properties lack these
    """Return domain, bus and device of a GPU in hexadecimal; None if its driver has only zeros."""
    parts = [getattr(of, f"pci_{part}_id", 0) for part in ("domain", "bus", "device")]
    return "{:04x}:{:02x}:{:02x}".format(*parts) if any(parts) else None


def _driver_version() -> str | None:
    """Return the version of NVIDIA's driver from /proc, as torch does not have it, or None."""
    try:
        line = read_regular("/proc/driver/nvidia/version").decode().split("\n")[0]
    except OSError:
        return None
    found = re.search(r"\b(\d+(?:\.\d+)+)\b", line)
    return found[1] if found else None
