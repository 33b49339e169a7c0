"""Seconds a half epoch: our loop, and what one would write else.

    python benchmarks/loop.py [--scale small|large] [--seconds N] [--rounds N] [--device cpu|cuda]

Networks of the article's campaign, by their index in `nnlc specs paper`, with random pixels of
the right shapes. On a CPU three ways to use all its cores are timed by turns:

    ours       a trainer on each core, as `python -m nnlc.worker` starts them
    resident   the same images and steps with PyTorch's own modules, one process on each core
    usual      a torchvision dataset, its transforms, a DataLoader with a worker for each core, and
               `.item()` after each step: one process with PyTorch's own choice of threads

On a GPU: ours, the same without graphs, and the usual loop, one after the other.

Seconds are those of one network on the whole machine, from the steps that were done in N seconds;
of several rounds the fastest counts. The floor is that of direct convolutions: the sum over layers
of the larger of operations / peak and bytes / bandwidth, with peaks measured here by products of
matrices and by copies, on all cores at once. `computed` is the share of the direct convolutions'
operations that ours does. `set-up` is what our first steps take beside later ones: the network is
built, and on a GPU its steps are captured; in a process that has trained another one before.
"""

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torchvision import datasets, transforms

from nnlc.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.environment import ALLOCATION, DETERMINISM, overruled
from nnlc.networks import Walk, walk_network
from nnlc.networks.trimming import computed_multiply_adds
from nnlc.training.determinism import make_deterministic
from nnlc.training.facts import processor_name
from nnlc.training.images import Images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

# Depths 1 to 10 of all three datasets; steps of 0.05 to 9 GFLOP, and of 11 to 70.
SMALL = (2024, 2084, 2405, 2663, 3174, 4231, 4290, 4976, 4700, 45, 496, 618)
LARGE = (404, 434, 1876, 3615, 3763, 3868, 5294, 5787)
LARGE_STEP = 10e9
"""Operations of a step from which the share of the floor is asked for."""
BATCHES = 6
"""Of the images that are kept: enough that no cache holds them all."""


@dataclass(frozen=True)
class Rates:
    """Seconds of one step, and of a network's beginning."""

    train: float
    validate: float
    set_up: float = math.nan


def network(index: int) -> CampaignNetwork:
    """A network of the article's campaign."""
    return next(n for n in load_campaign("paper").networks() if n.index == index)


def random_images(of: CampaignNetwork) -> Images:
    """Of the right shapes and types."""
    generator, facts = np.random.default_rng(of.index), of.images
    many = BATCHES * of.spec.batch_size
    shape = (many, facts.channels, facts.width, facts.width)
    pixels = generator.integers(0, 256, shape, dtype=np.uint8)
    labels = generator.integers(0, facts.classes, many)
    return Images(pixels, labels, pixels, labels)


def ours(of: CampaignNetwork, seconds: float, device: torch.device, graphs: bool = True) -> Rates:
    """Our loop's own steps."""
    for_device = DeviceImages(random_images(of), TrainingSection(), device)
    start = time.perf_counter()
    loop = HalfEpochLoop(of.spec, of.images, for_device, TrainingSection(), 1)
    loop.steps.capture = loop.steps.capture and graphs
    indices = torch.arange(BATCHES * of.spec.batch_size, device=device).view(BATCHES, -1)

    def train() -> None:
        for batch in indices:
            if loop.network.has_dropout:
                loop.network.restart_dropout(1)
            loop.steps.train(batch)

    def validate() -> None:
        for batch in indices:
            loop.steps.validate(batch)

    loop.network.train()
    train()  # a GPU's capture is among these
    synchronize(device)
    begun = time.perf_counter() - start
    training = seconds_a_batch(train, seconds, device)
    loop.network.eval()
    validating = seconds_a_batch(validate, seconds / 4, device)
    return Rates(training, validating, begun - BATCHES * training)


def eager(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Ours, without graphs."""
    return ours(of, seconds, device, graphs=False)


def resident(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """PyTorch's own modules on images that are already there, as bytes."""
    images = random_images(of)
    pixels = torch.from_numpy(images.train_images).to(device)
    labels = torch.from_numpy(images.train_labels).to(device)
    indices = torch.arange(len(labels), device=device).view(BATCHES, -1)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in indices:
            chosen = pixels.index_select(0, batch).to(torch.float32).div_(255)
            yield chosen, labels.index_select(0, batch)

    return plain_training(of, batches, seconds, device)


def usual(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Dataset, transforms and DataLoader; its workers' start is not counted."""
    images = random_images(of)
    kind = {"CIFAR-100": datasets.CIFAR100, "SVHN": datasets.SVHN}.get(
        of.images.name, datasets.FashionMNIST
    )
    dataset = kind.__new__(kind)  # real __getitem__, without files
    dataset.transform, dataset.target_transform = transforms.ToTensor(), None
    pixels = images.train_images
    if kind is datasets.CIFAR100:
        dataset.data, dataset.targets = pixels.transpose(0, 2, 3, 1), images.train_labels.tolist()
    elif kind is datasets.SVHN:
        dataset.data, dataset.labels = pixels, images.train_labels
    else:
        dataset.data = torch.from_numpy(pixels[:, 0])
        dataset.targets = torch.from_numpy(images.train_labels)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=of.spec.batch_size,
        sampler=Endless(len(images.train_labels)),
        num_workers=os.cpu_count() or 1,
        pin_memory=device.type == "cuda",
    )
    steps = iter(loader)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(BATCHES):
            chosen, labels = next(steps)
            yield chosen.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return plain_training(of, batches, seconds, device, item=True)


class Endless(torch.utils.data.Sampler[int]):
    """Permutations of all images, one after the other."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.randperm(self._count).tolist()


def plain_training(
    of: CampaignNetwork,
    batches: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]],
    seconds: float,
    device: torch.device,
    *,
    item: bool = False,
) -> Rates:
    """Seconds of the steps that one would write, on these batches."""
    model = plain_network(walk_network(of.spec, of.images)).to(device)
    spec, criterion = of.spec, nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=spec.learning_rate,
        momentum=spec.momentum,
        dampening=spec.dampening,
        weight_decay=spec.weight_decay,
    )
    total = 0.0

    def train() -> None:
        nonlocal total
        for pixels, labels in batches():
            optimizer.zero_grad()
            loss = criterion(model(pixels), labels)
            loss.backward()
            optimizer.step()
            if item:
                total += loss.item()

    @torch.no_grad()
    def validate() -> None:
        nonlocal total
        for pixels, labels in batches():
            scores = model(pixels)
            loss, right = criterion(scores, labels), (scores.argmax(1) == labels).sum()
            if item:
                total += loss.item() + right.item()

    model.train()
    training = seconds_a_batch(train, seconds, device)
    model.eval()
    return Rates(training, seconds_a_batch(validate, seconds / 4, device))


def plain_network(walk: Walk) -> nn.Sequential:
    """PyTorch's own modules."""

    def module(layer) -> nn.Module:
        match layer.kind:
            case "convolution":
                sizes = layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
                return nn.Conv2d(*sizes)
            case "relu":
                return nn.ReLU()
            case "dropout":
                return nn.Dropout(layer.rate)
            case "pooling":
                return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
            case "flatten":
                return nn.Flatten()
            case _:
                return nn.Linear(layer.input[0], layer.output[0])

    return nn.Sequential(*map(module, walk.layers))


def seconds_a_batch(go_through_all: Callable[[], None], seconds: float, device) -> float:
    """After one time that is not counted."""
    go_through_all()
    synchronize(device)
    start, times = time.perf_counter(), 0
    while not times or time.perf_counter() - start < seconds:
        go_through_all()
        times += 1
    synchronize(device)
    return (time.perf_counter() - start) / times / BATCHES


def synchronize(device: torch.device) -> None:
    """Wait for what a GPU still does."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured_peaks(seconds: float, device: torch.device) -> tuple[float, float]:
    """Operations and bytes a second: the best products of matrices, and the best copies."""
    a, b = (torch.randn(2048, 2048, device=device) for _ in range(2))
    source = torch.randn(16 << 20, device=device)
    target = torch.empty_like(source)
    return best(lambda: torch.mm(a, b), 2 * 2048**3, seconds, device), best(
        lambda: target.copy_(source), 2 * source.nbytes, seconds, device
    )


def best(work: Callable[[], object], amount: float, seconds: float, device) -> float:
    """The most a second."""
    fastest, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return amount / fastest


def floor_seconds(walk: Walk, batch_size: int, peaks: tuple[float, float], train: bool) -> float:
    """Of one step, each layer's values and parameters read and written once a pass.

    Training: forward, gradient of the input, gradient of the weights, and the update; the first
    layer's input has no gradient.
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


def set_up(threads: int) -> None:
    """A process of its own, as a trainer or as a plain one."""
    make_deterministic() if threads == 1 else torch.set_num_threads(threads)


class Machine:
    """All cores, used by one process a core and by one process alone; or one GPU."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.cores = len(os.sched_getaffinity(0)) if device == "cpu" else 1
        self._trainers = [process(1, DETERMINISM | ALLOCATION) for _ in range(self.cores)]
        self._plain = [process(1, DETERMINISM) for _ in range(self.cores)]
        self._alone = [process(self.cores, {})]

    def side_by_side(self, work: Callable, *arguments) -> list:
        """The same work at once on all cores, in processes of the kind that it is for."""
        pools = {ours: self._trainers, eager: self._trainers, usual: self._alone}
        futures = [p.submit(work, *arguments, self.device) for p in pools.get(work, self._plain)]
        return [future.result() for future in futures]

    def time(self, way: Callable, *arguments) -> Rates:
        """Of one network on the whole machine."""
        rates = self.side_by_side(way, *arguments)
        return Rates(
            1 / sum(1 / rate.train for rate in rates),
            1 / sum(1 / rate.validate for rate in rates),
            max(rate.set_up for rate in rates),
        )


def process(threads: int, variables: dict[str, str]) -> ProcessPoolExecutor:
    """A process that has started, with these variables in its environment."""
    before = dict(os.environ)
    for name in overruled(before) if variables else ():
        del os.environ[name]
    os.environ.update(variables)
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), set_up, (threads,))
    pool.submit(os.getpid).result()
    os.environ.clear()
    os.environ.update(before)
    return pool


def half_epoch(of: CampaignNetwork, rates: Rates) -> float:
    """Seconds: half of the training images, and all validation images."""
    b = of.spec.batch_size
    train = of.images.train_images // b // 2
    return train * rates.train + of.images.validation_images // b * rates.validate


def geometric_mean(values: list[float]) -> float:
    """Of positive numbers; not a number of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", choices=["small", "large"], default="large")
    parser.add_argument("--networks", type=int, metavar="N", help="no more than these (all)")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    machine = Machine(options.device)
    ways = [ours, resident if options.device == "cpu" else eager, usual]
    found = machine.side_by_side(measured_peaks, options.seconds)
    peaks = sum(p[0] for p in found), min(p[1] for p in found) * machine.cores
    name = processor_name() if options.device == "cpu" else torch.cuda.get_device_name()
    print(
        f"{name}, {machine.cores} cores, torch {torch.__version__}; measured "
        f"{peaks[0] / 1e9:.0f} GFLOP/s and {peaks[1] / 1e9:.1f} GB/s\n"
        "network dataset       depth  GFLOP a step  computed "
        + "".join(f"{way.__name__:>10}" for way in ways)
        + f"{'/' + ways[1].__name__:>10}    /usual   of floor    set-up"
    )
    ratios: list[tuple[float, float]] = []
    shares: list[float] = []
    for index in (SMALL + (LARGE if options.scale == "large" else ()))[: options.networks]:
        of = network(index)
        walk, b = walk_network(of.spec, of.images), of.spec.batch_size
        seconds, set_up = [math.inf] * len(ways), math.inf
        for _ in range(options.rounds):
            for number, way in enumerate(ways):
                rates = machine.time(way, of, options.seconds)
                seconds[number] = min(seconds[number], half_epoch(of, rates))
                if way is ours:
                    set_up = min(set_up, rates.set_up)
        operations = 6 * walk.multiply_adds * b
        computed = sum(map(computed_multiply_adds, walk.layers)) / walk.multiply_adds
        floor = half_epoch(
            of, Rates(floor_seconds(walk, b, peaks, True), floor_seconds(walk, b, peaks, False))
        )
        ratios.append((seconds[1] / seconds[0], seconds[2] / seconds[0]))
        if operations >= LARGE_STEP:
            shares.append(floor / seconds[0])
        print(
            f"{index:7} {of.images.name:13} {of.spec.depth:5} {operations / 1e9:13.2f} "
            f"{computed:8.0%} "
            + "".join(f"{s:9.3g}s" for s in seconds)
            + f"{ratios[-1][0]:9.2f}x{ratios[-1][1]:9.2f}x {floor / seconds[0]:9.0%} "
            f"{1000 * set_up:7.0f}ms",
            flush=True,
        )
    print(
        f"geometric means: ours is {geometric_mean([r[0] for r in ratios]):.2f} times as fast as "
        f"{ways[1].__name__}, {geometric_mean([r[1] for r in ratios]):.2f} times as the usual loop"
    )
    if shares:
        print(
            f"share of the floor above 10 GFLOP a step: {geometric_mean(shares):.0%}, at least "
            f"{min(shares):.0%}"
        )


if __name__ == "__main__":
    main()
