"""Timing of a network's steps, on random pixels of the right shapes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.training import step_timing
from nnlc.training.loaded_images import Images

BATCHES = 6
"""Number of batches of images: together they exceed the CPU's caches."""


@dataclass(frozen=True)
class Rates:
    """Seconds of a training step, of a validation step, and of setting up a network."""

    train: float
    validate: float
    set_up: float = math.nan


def random_images(of: CampaignNetwork) -> Images:
    """Return random images of a network's shapes and types."""
    many = BATCHES * of.spec.batch_size
    return step_timing.random_images(replace(of.images, train_images=many, validation_images=many))


def seconds_a_batch(go_through_all: Callable[[], None], seconds: float, device) -> float:
    """Return the mean seconds of a batch, after one uncounted pass over all batches."""
    go_through_all()
    synchronize(device)
    start, times = time.perf_counter(), 0
    while not times or time.perf_counter() - start < seconds:
        go_through_all()
        times += 1
    synchronize(device)
    return (time.perf_counter() - start) / times / BATCHES


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
