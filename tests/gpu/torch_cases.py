"""What torch and training steps of nnlc do by CUDA's rules: `test_rules.py` runs this file.

Arguments are failures on demand, with each of which a network takes steps.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the helpers of all tests

import torch
from small_networks import SAMPLE, bundled_images, first, spec

from nnlc.families.article.family import ARTICLE
from nnlc.networks.recipe import TrainingSection
from nnlc.training.device_info import free_memory
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

GPU = torch.device("cuda", 0)
STUB = ctypes.CDLL("libstub.so")
# Without dropout, whose generator stays in its capture on torch 2.9 if the capture fails.
NETWORK = spec(
    train_gpu=True, layer_types=(1,), dropout_rate=0,
    pool_kernels=(), pool_strides=(), pool_paddings=()
)  # fmt: skip
COUNTERS = ("captures", "refused", "graphs", "cudaGraphLaunch", "failures", "cudnnBackendExecute")


def counters() -> dict[str, int]:
    return {name: STUB.nnlc_stub_counter(name.encode()) for name in COUNTERS}


def error_of(function: Callable[[], object]) -> str | None:
    try:
        function()
    except Exception as problem:
        return str(problem).split("\n")[0]
    return None


def take_steps(hook: Callable[[torch.Tensor], object] | None = None) -> dict[str, object]:
    """Take five training steps of a network; `hook` gets its scores in each, and returns None."""
    before, settings = counters(), TrainingSection()
    images = DeviceImages(first(bundled_images(), 200, 100), settings, GPU)
    loops = [HalfEpochLoop(ARTICLE, NETWORK, SAMPLE, images, settings, 1)]
    if hook:
        loops[0].network.register_forward_hook(lambda _, __, scores: hook(scores))
    indices = torch.arange(100, device=GPU)
    error = error_of(lambda: [loops[0].steps.train(indices) for _ in range(5)])
    found = {"error": error} | {name: now - before[name] for name, now in counters().items()}
    loops.clear()
    free_memory(GPU)  # graphs that are freed while a capture is invalid end the process
    return found


def wait_for_value(scores: torch.Tensor) -> None:
    scores.sum().item()


def main() -> None:
    told = {"cudnn": torch.backends.cudnn.enabled, "usual": take_steps()}
    told["item"] = take_steps(wait_for_value)
    for fail in sys.argv[1:]:
        STUB.nnlc_stub_fail(fail.encode())
        told[fail] = take_steps()
    STUB.nnlc_stub_fail(b"sticky-launch:1")
    told["sticky"] = [error_of(lambda: torch.ones(2, device=GPU).sum().item()) for _ in range(2)]
    json.dump(told, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # as a trainer does: after an error that sticks, torch's destructors abort


if __name__ == "__main__":
    main()
