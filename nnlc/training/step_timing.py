"""Process of a probe, which `nnlc.calibration.probe` starts by `python -m nnlc.training`.

It times a few steps of each given network on random pixels, again and again until its time is over.
The request comes on standard input and the answer goes to standard output, each as one line.
"""

import contextlib
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from math import inf
from statistics import median
from typing import Any

import numpy as np
import torch

from nnlc.errors import DeviceError
from nnlc.families.network_family import NetworkFamily
from nnlc.families.registry import family_from_json, specification_from_json
from nnlc.networks import ImageSet, Specification
from nnlc.networks.recipe import TrainingSection
from nnlc.system import messages
from nnlc.training.determinism import make_deterministic
from nnlc.training.device_info import describe_device, free_memory
from nnlc.training.loaded_images import Images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.training_steps import WARM_STEPS
from nnlc.training.usable_gpu import find_gpus

_WARM = WARM_STEPS + 1
"""Steps of each kind that are not counted: on CPUs the first three are slower, on GPUs they are not
captured."""
_COUNTED = 4


class _TimeIsOver(Exception):  # noqa: N818  it is no error
    """End of the time for steps."""


def answers(request: messages.Message) -> Iterator[messages.Message]:
    """Yield what is known so far: first the device only, then also each network's medians."""
    gpus = find_gpus()[0] if request["device"] == "cuda" else 0
    gpu = request["number"] % gpus if gpus else None
    device = torch.device("cpu") if gpu is None else torch.device("cuda", gpu)
    facts = describe_device(gpu)
    if unusable := facts.get("unusable"):
        raise DeviceError(unusable)
    settings = TrainingSection.model_validate(request["training"])
    family = family_from_json(request["family"])
    loaded = time.monotonic()
    end = loaded + request["seconds"]
    found: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    answer: messages.Message = {
        "device": {"kind": device.type, "name": facts["name"]},
        "loaded": loaded,
        "networks": [],
        "is_late": False,
    }
    yield answer
    with contextlib.suppress(_TimeIsOver):
        for number, spec, images in cycle(request["networks"]):
            network = specification_from_json(spec), ImageSet(**images)
            with contextlib.suppress(RuntimeError, MemoryError):  # too large for this device
                # One network is timed even if the time is over.
                times = time_steps(family, *network, settings, device, end if found else inf)
                found[number].append(times)
            free_memory(device)
            medians = [[i, *map(median, zip(*each, strict=True))] for i, each in found.items()]
            yield answer | {"networks": medians}
            if time.monotonic() > end:
                break


def time_steps(
    family: NetworkFamily,
    spec: Specification,
    images: ImageSet,
    settings: TrainingSection,
    device: torch.device,
    until: float,
) -> tuple[float, float]:
    """Return the median seconds of a training step and of a validation step.

    Raises:
        _TimeIsOver: `time.monotonic` passed `until`.
    """
    steps, b = _WARM + _COUNTED, spec.batch_size
    few = replace(images, train_images=2 * steps * b, validation_images=steps * b)
    times: list[float] = []

    def note_time() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.monotonic())
        if times[-1] > until:
            raise _TimeIsOver

    on_device = DeviceImages(random_images(few), settings, device)
    next(iter(HalfEpochLoop(family, spec, few, on_device, settings, 0.5, note_time)))
    seconds = np.diff(times)  # the first step has no start
    return float(np.median(seconds[_WARM - 1 : steps - 1])), float(np.median(seconds[-_COUNTED:]))


def random_images(of: ImageSet) -> Images:
    """Return random pixels and labels in place of an image set."""
    draw = np.random.default_rng(0)

    def pixels(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return draw.integers(0, 256, (count, of.channels, of.width, of.width), np.uint8)

    n, v = of.train_images, of.validation_images
    labels = draw.integers(0, of.classes, n + v)
    return Images(pixels(n), labels[:n], pixels(v), labels[n:])


def main(_: list[str]) -> None:
    """Answer one request; if a step takes too long, answer while it runs."""
    make_deterministic()
    request = messages.decode(sys.stdin.buffer.read())
    known = answers(request)
    latest, is_answered = next(known), threading.Lock()

    def send(answer: messages.Message) -> bool:
        if first := is_answered.acquire(blocking=False):
            sys.stdout.buffer.write(messages.encode(answer))
            sys.stdout.buffer.flush()
        return first

    def give_up() -> None:
        if send(latest | {"is_late": True}):
            os._exit(0)  # nothing else ends a step

    late = threading.Timer(request["late_seconds"], give_up)
    late.daemon = True
    late.start()
    for latest in known:  # noqa: B007  (for give_up)
        pass
    if not send(latest):
        late.join()  # it is sending, and ends the process
