"""Hardware of this machine, as its system knows it: no library has to be loaded."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

from nnlc.system.files import read_regular

_GPUS = Path("/proc/driver/nvidia/gpus")
_FILES = Path("/dev")
_AMD_NODES = Path("/sys/class/kfd/kfd/topology/nodes")
_PCI = Path("/sys/bus/pci/drivers/nvidia")
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


def gpus_of_node() -> int:
    """Return the number of NVIDIA or AMD GPUs of this node, those not visible here included.

    A container or a cgroup hides some of the places that list them, seldom NVIDIA's PCI devices.
    """
    nvidia = max(len(_listed(_GPUS)), len(_nvidia_files()))
    return max(nvidia, _amd_gpus()) or sum(":" in path.name for path in _listed(_PCI))


def gpu_for_rank(local_rank: int) -> str | None:
    """Return CUDA_VISIBLE_DEVICES for one of the visible NVIDIA GPUs; None to leave it as it is.

    Ranks of a node that see several GPUs take them in turn.
    """
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is None:
        # The files of GPUs that a cgroup forbids can't be opened, and CUDA doesn't number them.
        visible = [path for path in _nvidia_files() if os.access(path, os.R_OK | os.W_OK)]
        names = list(map(str, range(len(visible))))
    else:
        names = [name.strip() for name in told.split(",")]
    return names[local_rank % len(names)] if len(names) > 1 else None


def _nvidia_files() -> list[Path]:
    return [path for path in _listed(_FILES) if re.fullmatch(r"nvidia\d+", path.name)]


def _amd_gpus() -> int:
    """Return the number of AMD's GPUs; the driver lists processors among its nodes, with ID 0."""
    found = 0
    for node in _listed(_AMD_NODES):
        try:
            found += read_regular(node / "gpu_id").strip() not in (b"", b"0")
        except PermissionError:  # only GPUs can be forbidden, by a cgroup
            found += 1
        except OSError:
            continue
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


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
