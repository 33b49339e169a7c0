"""Lower bound of a network's seconds: its work divided by the machine's measured peak rates."""

import math
import time
from collections.abc import Callable

import torch
from step_times import synchronize

from nnlc.families.article import Walk


def measured_peaks(seconds: float, device: torch.device) -> tuple[float, float]:
    """Return the best operations a second of matrix products, and bytes a second of copies."""
    a, b = (torch.randn(2048, 2048, device=device) for _ in range(2))
    source = torch.randn(16 << 20, device=device)
    target = torch.empty_like(source)
    return best(lambda: torch.mm(a, b), 2 * 2048**3, seconds, device), best(
        lambda: target.copy_(source), 2 * source.nbytes, seconds, device
    )


def best(work: Callable[[], object], amount: float, seconds: float, device) -> float:
    """Return the highest rate of a repeated piece of work, in `amount` a second."""
    fastest, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return amount / fastest


def floor_seconds(walk: Walk, batch_size: int, peaks: tuple[float, float], train: bool) -> float:
    """Return the least seconds of one step, with each layer's data moved once a pass.

    Passes of training: forward, gradient of the input, gradient of the weights, and the update.
    The first layer's input has no gradient.
    """
    operations_a_second, bytes_a_second = peaks
    total = 0.0
    for number, layer in enumerate(walk.layers):
        passes = (3 if number else 2) if train else 1
        operations = 2 * passes * layer.multiply_adds * batch_size
        values = math.prod(layer.input) + layer.activations
        moved = 4 * (passes * values * batch_size + (passes + 4 * train) * layer.parameters)
        if layer.kind != "flatten":
            total += max(operations / operations_a_second, moved / bytes_a_second)
    return total
