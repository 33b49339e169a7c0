"""Check of a GPU before a job's first network: the same steps give the same bytes twice.

A table must not depend on chance. A GPU with damaged memory, or a driver or library that chooses
its kernels by measured speed, shows here, before it spoils tables.
"""

import contextlib
import time
from math import inf

import torch

from nnlc.families.article.probe import probe_network
from nnlc.families.registry import make_family
from nnlc.networks.recipe import TrainingSection
from nnlc.system import messages
from nnlc.training.device_info import free_memory
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.step_timing import random_images

LONGEST_SECONDS = 5.0
"""Time after which the first training begins no further step; the second makes as many steps."""
_STEPS = 7
"""Steps of training, and of validation."""
_NETWORK, _IMAGES = probe_network(_STEPS)


class _Enough(Exception):  # noqa: N818  it is no error
    """End of a training that has made enough steps."""


def check_device(settings: TrainingSection, device: torch.device) -> messages.Message:
    """Train a small network twice; return the seconds, and what is wrong if anything is.

    The network has each kind of layer of the article's, whatever the campaign's family, and random
    pixels in place of images.

    Args:
        settings: the campaign's training settings.
        device: the device to check.
    """
    begin = time.monotonic()
    try:
        images = DeviceImages(random_images(_IMAGES), settings, device)
        first, steps = _train(images, settings, until=begin + LONGEST_SECONDS)
        second, _ = _train(images, settings, most=steps)
    except (RuntimeError, MemoryError) as problem:
        line = str(problem).strip().split("\n")[0]
        return {"device_problem": f"it can't train a small network ({line})"}
    differs = "it computed other bytes when it repeated the same steps of a small network"
    problem_found = {} if first == second else {"device_problem": differs}
    return {"device_seconds": time.monotonic() - begin, **problem_found}


def _train(
    images: DeviceImages,
    settings: TrainingSection,
    *,
    most: int = 2 * _STEPS,
    until: float = inf,
) -> tuple[bytes, int]:
    """Return weights, momenta and sums as bytes after some steps, and the number of steps."""
    device, done = images.device, 0

    def note_step() -> None:
        nonlocal done
        done += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # else many steps may be queued
        if done >= most or time.monotonic() > until:
            raise _Enough

    # A capture that fails is no fault of the device, and would spoil this process.
    of = make_family(None, None), _NETWORK, _IMAGES
    loop = HalfEpochLoop(*of, images, settings, 0.5, note_step, graphs=False)
    with contextlib.suppress(_Enough):
        next(iter(loop))
    state = loop.state()
    momenta = (each["momentum_buffer"] for each in state["optimizer"]["state"].values())
    tensors = (*state["network"].values(), *momenta, state["sums"], loop.steps.train_correct)
    found = b"".join(tensor.cpu().numpy().tobytes() for tensor in tensors)
    del loop, state, momenta, tensors
    free_memory(device)
    return found, done
