"""Stream of a process, on which all its work on a GPU is queued.

Work on one stream runs in the order in which it was queued: steps, copies of images and the reading
of sums need no event between them. A step can be captured on any stream but CUDA's default one. All
networks of a process use the same stream, as torch keeps a workspace of cuBLAS for each stream that
it has seen: PyTorch, "CUDA semantics", "cuBLAS workspaces".
"""

import contextlib
import time
from functools import cache

import torch

LONGEST_WAIT_SECONDS = 5.0
"""Longest time that a trainer waits for a GPU before it ends; its agent allows 10 s."""


def enter_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Make the process's stream of a GPU current for this thread, and return it; None on a CPU."""
    if device.type != "cuda":
        return None
    before = torch.cuda.current_stream(device)
    stream = _stream_of(before.device)
    if stream != before:
        stream.wait_stream(before)
        torch.cuda.set_stream(stream)
    return stream


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def wait_for_gpu(device: torch.device) -> None:
    """Wait a short time until a GPU has done what this process has queued, before it ends.

    Under NVIDIA's Multi-Process Service, a process that ends while its work runs can leave the
    service in a state in which other processes on the GPU hang or fail:
    docs.nvidia.com/deploy/mps, "When to Use MPS", "Client Early Termination".
    """
    if device.type != "cuda":
        return
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    # After an error that stays with the process, nothing runs, and each call raises that error.
    with contextlib.suppress(RuntimeError):
        while not torch.cuda.current_stream(device).query() and time.monotonic() < deadline:
            time.sleep(0.002)
