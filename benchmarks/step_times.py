"""Timing of a network's steps, on random pixels of the right shapes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.training import step_timing
from nnlc.training.loaded_images import Images

BATCHES = 6
"""Number of batches of images: together they exceed the CPU's caches."""
LONG_STEP = 5.0
"""Seconds of a step that no steps before it make faster on a CPU; it is timed once."""


@dataclass(frozen=True)
class Rates:
    """Seconds of a training step, of a validation step, and of setting up a network."""

    train: float
    validate: float
    set_up: float = math.nan


class Timing(NamedTuple):
    """Mean seconds of a step, and the seconds that first steps took more than later ones."""

    step: float
    extra: float


def random_images(of: CampaignNetwork) -> Images:
    """Return random images of a network's shapes and types."""
    many = BATCHES * of.spec.batch_size
    return step_timing.random_images(replace(of.images, train_images=many, validation_images=many))


def time_steps(step: Callable[[int], None], seconds: float, device: torch.device) -> Timing:
    """Time steps for some seconds, or one step if it takes longer.

    A step on each batch comes before and is not counted. On a CPU there are fewer of them if they
    take longer than `seconds`; and a first step that takes `LONG_STEP` is all that is timed.

    Args:
        step: called with the number of the batch.
        seconds: time for counted steps.
        device: the device that the steps run on.
    """
    start = time.perf_counter()
    for first in range(BATCHES):
        step(first)
        so_far = time.perf_counter() - start
        if device.type == "cpu" and not first and so_far > LONG_STEP:
            return Timing(so_far, 0)
        if device.type == "cpu" and so_far > seconds:
            break
    synchronize(device)
    begun, counted = time.perf_counter(), 0
    while not counted or time.perf_counter() - begun < seconds:
        step(counted % BATCHES)
        counted += 1
    synchronize(device)
    each = (time.perf_counter() - begun) / counted
    return Timing(each, begun - start - (first + 1) * each)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
