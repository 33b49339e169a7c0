"""Hardware of this machine, as its system knows it: no library has to be loaded."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

from nnlc.system.files import read_regular

_GPUS = Path("/proc/driver/nvidia/gpus")
_CORES = Path("/sys/devices/system/cpu")


def processor_name() -> str:
    """Return the CPU's model name from /proc/cpuinfo, or else its architecture."""
    try:
        lines = read_regular("/proc/cpuinfo").decode(errors="replace").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.machine()


def gpu_names() -> list[str]:
    """Return the model of each NVIDIA GPU, or none if the environment hides them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    texts = [read_regular(path) for path in sorted(_GPUS.glob("*/information"))]
    found = (re.search(r"^Model:\s+(\S.*)$", text.decode(errors="replace"), re.M) for text in texts)
    return [match[1].strip() for match in found if match]


def core_count() -> int:
    """Return the number of cores that this process may use; the threads of a core count once."""
    usable = os.sched_getaffinity(0)
    cores = set()
    for number in usable:
        siblings = str(number).encode()
        with suppress(OSError):
            siblings = read_regular(_CORES / f"cpu{number}/topology/thread_siblings_list")
        cores.add(siblings)
    return len(cores)


def main_memory_bytes() -> int:
    """Return the size of this machine's main memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
