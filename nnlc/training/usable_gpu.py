"""Use of GPUs: whether a first kernel runs on one; if not, the reason, and what to do.

Torch counts GPUs that it can't use: under an old driver, in exclusive mode, or without kernels.
"""

import contextlib
import os
import pwd
import re
import warnings
from functools import cache
from pathlib import Path

import torch

from nnlc.system.files import read_regular

# Folder of the MPS control daemon's pipes, and files in it: docs.nvidia.com/deploy/mps.
_MPS_PIPES = "/tmp/nvidia-mps"  # noqa: S108
_MPS_FILES = ("nvidia-cuda-mps-control.pid", "control")
_TURING = (7, 5)
# github.com/pytorch/pytorch, issues 172352 and 190385: only wheels for CUDA 12.6 have kernels for
# GPUs before Turing, and torch 2.14 is the last release with such wheels.
_FOR_OLD = (
    "pip install --force-reinstall 'torch<2.15' --index-url https://download.pytorch.org/whl/cu126"
)
_ADVICE = (
    (
        "too old|insufficient",
        f"have the driver updated, or install a torch that drivers for CUDA 12 can use: {_FOR_OLD}",
    ),
    (
        "busy or unavailable",
        "a GPU in exclusive mode refuses all processes but one ('nvidia-smi -q -d COMPUTE' shows "
        "the mode, 'nvidia-smi' the process): end that one or take another GPU; give each rank a "
        "GPU of its own, and start several trainers of a rank with --mps",
    ),
    ("no kernel image", f"install a torch that has; for NVIDIA's before Turing: {_FOR_OLD}"),
    ("out of memory", "end the process that fills its memory ('nvidia-smi'), or take another GPU"),
    (
        "CUDA GPUs are available|[Ii]nvalid device",
        "let CUDA_VISIBLE_DEVICES name only GPUs that 'nvidia-smi' lists, or remove it",
    ),
    ("", "find out with 'nvidia-smi' whether the driver works, or take another node"),
)
"""Patterns in torch's words on a trouble with CUDA, and what to do about it."""


@cache  # torch gives its reason only once
def find_gpus() -> tuple[int, str | None]:
    """Return the number of visible GPUs; and if there are none, what keeps CUDA from counting."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            count = torch.cuda.device_count()
        except RuntimeError as problem:  # variables of ROCm that contradict each other
            return 0, _with_advice(problem)
    if not count:  # else torch says it again when it counts GPUs for itself
        warnings.filterwarnings("ignore", "CUDA initialization")
    return count, None if count or not told else _with_advice(told[0].message)


@cache  # a process that CUDA refused once does not ask again
def why_unusable(gpu: int) -> str | None:
    """Return why the GPU with this index can't be used, and what to do; None if it can.

    After this, the process has a context on the GPU.
    """
    if stranger := _foreign_daemon():  # asked first: CUDA might wait for it
        return stranger
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own on the same troubles
        try:
            properties = torch.cuda.get_device_properties(gpu)
            capability = properties.major, properties.minor
            if torch.version.hip is None and not _has_kernels(*capability):
                return (
                    f"torch {torch.__version__} has no kernels for {properties.name}, of compute "
                    f"capability {capability[0]}.{capability[1]}, only for "
                    f"{' '.join(torch.cuda.get_arch_list())}: install a torch that has, on all "
                    f"nodes: {_FOR_OLD if capability < _TURING else 'pip install -U torch'}"
                )
            torch.ones(1, device=f"cuda:{gpu}").add_(1).cpu()
        except Exception as problem:  # torch raises errors of many kinds here
            return _with_advice(problem)
    return None


def mps_runs() -> bool:
    """Return True if an MPS control daemon serves this process."""
    return _daemon_file() is not None


def _has_kernels(major: int, minor: int) -> bool:
    """Return True if torch has kernels for a compute capability.

    Kernels run on devices of the same major version that are not older. PTX is compiled for all
    newer devices: CUDA C++ programming guide, "Application compatibility".
    """
    known = [re.match(r"(sm|compute)_(\d+)(\d)", each) for each in torch.cuda.get_arch_list()]
    versions = [(each[1], int(each[2]), int(each[3])) for each in known if each]
    return not versions or any(
        (first == major or kind == "compute") and (first, second) <= (major, minor)
        for kind, first, second in versions
    )


def _daemon_file() -> Path | None:
    """Return a file that a running MPS control daemon has, if this process can see it."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS_PIPES)
    try:
        return next((pipes / name for name in _MPS_FILES if (pipes / name).exists()), None)
    except OSError:  # CUDA can't see it either, and does without MPS
        return None


def _foreign_daemon() -> str | None:
    """Return what another user's MPS daemon means for this process, or None.

    A daemon runs a server for one user at a time. Root's may serve anyone, after the clients of the
    user before have ended: nvidia-cuda-mps-control(1).
    """
    file = _daemon_file()
    try:
        if file is None or (owner := file.stat().st_uid) in (0, os.getuid()):
            return None
    except OSError:  # it has ended meanwhile
        return None
    process = b""  # unknown: it may run
    if file.suffix == ".pid":
        with contextlib.suppress(OSError):
            process = read_regular(file).strip()
    if process.isdigit() and not Path(f"/proc/{int(process)}").exists():
        return None  # it was killed
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    return (
        f"an MPS daemon of user {user} runs there ({file.parent}), and CUDA would wait until that "
        "user's programs have ended: start with --mps for a daemon of the job's own, or set "
        "CUDA_MPS_PIPE_DIRECTORY to an empty folder to do without, or take another node"
    )


def _with_advice(problem: Warning | Exception | str) -> str:
    words = re.sub(r"^CUDA (error|initialization): ", "", str(problem).strip().split("\n")[0])
    words = re.sub(r" Please update your GPU driver.*", "", words).rstrip(". ")
    return f"{words}: {next(advice for found, advice in _ADVICE if re.search(found, words))}"
