"""What a process on the stub finds of its steps, as JSON: one process, as torch loads slowly."""

import ctypes
import gc
import io
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent))  # the helpers of all tests

import numpy as np
import torch
from own_families import family_of
from small_networks import SAMPLE, bundled_images, first, spec

from nnlc.campaign.campaign import DatasetSection, TrainingSection
from nnlc.families.article import POOLING, RELU
from nnlc.families.article.family import ARTICLE
from nnlc.networks.draws import training_seed
from nnlc.training import trainer
from nnlc.training.attempt import failure_message
from nnlc.training.determinism import make_deterministic
from nnlc.training.gpu_stream import wait_for_gpu
from nnlc.training.loaded_images import Images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

GPU, SETTINGS = torch.device("cuda", 0), TrainingSection()
FACTS = replace(SAMPLE, train_images=800, validation_images=400)
FOURIER = spec(
    layer_types=(7, 7),
    conv_kernels=(9, 9),
    conv_strides=(1, 1),
    conv_paddings=(4, 4),
    conv_filters=(16, 16),
    pool_kernels=(1, 1),
    pool_strides=(1, 1),
    pool_paddings=(0, 0),
)
"""A network that is computed by Fourier transforms, in its second layer."""
PLAIN = spec(layer_types=(RELU + POOLING,))
"""A network without dropout: in some versions of torch, a capture that fails breaks dropout."""
NO_MEMORY = ",".join(f"malloc:{n}" for n in range(1, 17))
"""More failures than torch tries to allocate again."""
stub = ctypes.CDLL("libstub.so")
stub.nnlc_stub_counter.restype = ctypes.c_longlong
KEPT: list[HalfEpochLoop] = []
"""After an error that sticks, no network can be destroyed: torch ends the process."""


def count(name: str = "calls") -> int:
    return stub.nnlc_stub_counter(name.encode())


def loop_of(images: DeviceImages, network=None) -> HalfEpochLoop:
    return HalfEpochLoop(ARTICLE, network or spec(), FACTS, images, SETTINGS, 0.5)


def memory(images: DeviceImages) -> dict:
    """The memory after the first networks and after forty, which torch was never told to free."""
    reserved, streams = [], set()
    for number in range(20):
        for each in (spec(random_seed=number), FOURIER):
            loop = loop_of(images, each)
            list(loop)
            streams.add(loop.steps._stream.cuda_stream)
            assert len(loop.steps._graphs) == 2
            del loop
            gc.collect()
            reserved.append(torch.cuda.memory_reserved())
    return {"reserved": reserved, "streams": len(streams), "refused": count("refused")}


def replayed_steps(images: DeviceImages) -> dict:
    """Calls of the runtime, and replays, in a step with dropout once it is captured."""
    loop, steps = loop_of(images), 400
    loop.network.train()
    indices = torch.arange(100, device=GPU)

    def make(number: int) -> None:
        for _ in range(number):
            loop.network.restart_dropout(1)
            loop.steps.train(indices)

    make(10)
    before, replays = count(), count("cudaGraphLaunch")
    make(steps)
    calls, replays = count() - before, count("cudaGraphLaunch") - replays
    return {"calls": calls / steps, "replays": replays / steps}


RECIPE = {
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "augmentation": ("crop:4", "flip", "cutout:8"),
    "pixels": "standardised",
}
"""A recipe whose steps differ in their learning rate and in the changes of images."""


def scheduled_steps(**changes: object) -> dict:
    """What is captured and replayed of a half epoch with a recipe, and of one that resumes."""
    network = replace(PLAIN, **changes)
    settings = TrainingSection(optimizer=network.optimizer, **RECIPE)
    images = DeviceImages(first(bundled_images(), 4000, 400), settings, GPU)
    names = ("captures", "refused", "cudaGraphLaunch")
    before = [count(name) for name in names]
    rates, state = set(), io.BytesIO()
    for resumes in (False, True):
        loop = HalfEpochLoop(ARTICLE, network, FACTS, images, settings, 1)
        if resumes:
            state.seek(0)
            loop.resume(torch.load(state, weights_only=True, map_location="cpu"))
        loop._between_steps = lambda groups=loop._optimizer: rates.update(
            (group["lr"].device.type, group["lr"].data_ptr()) for group in groups.param_groups
        )
        next(iter(loop))
        torch.save(loop.state(), state)
    made = [count(name) - old for name, old in zip(names, before, strict=True)]
    return {"made": made, "devices": sorted({kind for kind, _ in rates}), "places": len(rates)}


def own_network(images: DeviceImages) -> dict:
    """What is captured and replayed of two half epochs of an own network, and the last seed."""

    def build(*_) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 5, 4),
            torch.nn.BatchNorm2d(4),
            torch.nn.Dropout(0.5),
            torch.nn.Flatten(),
            torch.nn.Linear(144, 10),
        )

    family = family_of(build, batch_size=100)
    network = family.specification(FACTS, 1, 0, 5, id=PLAIN.id, optimizer="SGD")
    loop = HalfEpochLoop(family, network, FACTS, images, SETTINGS, 1)
    names = ("captures", "refused", "cudaGraphLaunch")
    before = [count(name) for name in names]
    list(loop)
    made = [count(name) - old for name, old in zip(names, before, strict=True)]
    wanted = training_seed(network.random_seed, "dropout", 7)
    return {"made": made, "seeded": torch.cuda.initial_seed() == wanted}


def failure(images: DeviceImages, fail: str, *, built: bool = True) -> dict:
    """The last message of a trainer that meets failures, from a network's set-up or steps on."""
    gc.collect()
    torch.cuda.empty_cache()
    loop = loop_of(images, PLAIN) if built else None
    KEPT[:] = [loop] if loop else []
    stub.nnlc_stub_fail(fail.encode())
    try:
        list(loop or loop_of(images, PLAIN))
    except Exception as problem:
        return failure_message(1, problem)
    finally:
        stub.nnlc_stub_fail(b"")
    return {}


def host_memory() -> dict:
    """Mebibytes of this process before and after it loads images, and those of the images."""

    def resident() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def load(*_) -> Images:
        """Read as image sets are: in another layout first."""
        pixels = np.ones((50_000, 32, 32, 3), np.uint8).transpose(0, 3, 1, 2).copy()
        labels = np.zeros(50_000, np.int64)
        return Images(pixels[:40_000].copy(), labels, pixels[40_000:].copy(), labels)

    trainer.load_images = load
    loading = trainer.Trainer(None, None, 0)
    loading._device = GPU
    datasets = {FACTS.name: DatasetSection(networks_per_depth=1)}
    loading._campaign = SimpleNamespace(datasets=datasets, training=SETTINGS)
    before = resident()
    loading._on_device(FACTS)
    return {"before": before, "after": resident(), "images": 50_000 * 32 * 32 * 3 >> 20}


def main() -> None:
    gc.freeze()  # as trainers do: collections then take less time
    make_deterministic()
    images = DeviceImages(first(bundled_images(), 800, 400), SETTINGS, GPU)
    found = {
        "memory": memory(images),
        "step": replayed_steps(images),
        "recipes": [
            scheduled_steps(optimizer="SGD-Nesterov", weight_decay=0.1),
            scheduled_steps(momentum=0),
            scheduled_steps(optimizer="AdamW", momentum=0, weight_decay=0.1),
        ],
        "own": own_network(images),
        "host": host_memory(),
        "set-up": failure(images, NO_MEMORY, built=False),
        "first step": failure(images, NO_MEMORY),
        "capture": failure(images, NO_MEMORY.replace("malloc", "captured-malloc")),
        "graph": failure(images, "instantiate:1"),
        "replay": failure(images, "replay:2"),
        "nothing": failure(images, ""),
        "refused": failure(images, "captured-launch:5"),
        "lost": failure(images, "capture:2"),
        "sticks": failure(images, "sticky-replay:1"),
    }
    before = count("cudaStreamQuery")
    wait_for_gpu(GPU)
    print(json.dumps({**found, "queries": count("cudaStreamQuery") - before}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
