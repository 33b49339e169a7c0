"""Seconds of a half epoch: nnlc's loop, and loops written without nnlc.

    python benchmarks/loop.py [--scale small|large] [--seconds N] [--rounds N] [--device cpu|cuda]
                              [--counting]

Networks of the article's campaign, by their index in `nnlc specs paper`, with random pixels of
the right shapes. On a CPU, three loops that use all its cores are timed by turns:

    ours       nnlc's loop: a trainer on each core, as `python -m nnlc.worker` starts them
    resident   the same images and steps with PyTorch's own modules, one process on each core
    usual      a torchvision dataset, its transforms, a DataLoader with a worker for each core, and
               `.item()` after each step: one process with PyTorch's own choice of threads

On a GPU: ours, ours without graphs (eager), and the usual loop, by turns.

Seconds are those of one network on the whole machine, computed from the steps done in N seconds;
the fastest round counts. The floor is a lower bound for direct convolutions: the sum over layers of
the larger of operations / peak and bytes / bandwidth, with peaks measured here by products of
matrices and by copies, on all cores at once. `computed` is the number of operations of our loop
over those of direct convolutions. `set-up` is the extra time of our first steps, in which the
network is built and, on a GPU, captured; in a process that has trained another network before.

With --counting, only the cost of training accuracy is measured, as a share of a half epoch: on
each core, training steps, and steps that count right predictions a hundred times more, by turns;
the fastest of each.
"""

import argparse
import math
import os
import time
from collections.abc import Callable

import torch
from floor import floor_seconds, measured_peaks
from own_process import own_process, trainer_process
from plain_loops import resident, usual
from step_times import BATCHES, Rates, random_images, synchronize, time_steps

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.families.article import walk_network
from nnlc.system.environment import ALLOCATION, trainer_environment
from nnlc.system.hardware import processor_name
from nnlc.training.determinism import make_deterministic
from nnlc.training.device_info import free_memory
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.training_steps import WARM_STEPS

# Depths 1 to 10 of all three datasets; steps of 0.05 to 9 GFLOP, and of 11 to 70.
SMALL = (2024, 2084, 2405, 2663, 3174, 4231, 4290, 4976, 4700, 45, 496, 618)
LARGE = (404, 434, 1876, 3615, 3763, 3868, 5294, 5787)
LARGE_STEP = 10e9
"""Least operations of a step for the networks in the mean share of the floor."""
MORE_COUNTS = 100
FEWEST_STEPS = 10


def network(index: int) -> CampaignNetwork:
    """Return a network of the article's campaign."""
    return next(n for n in load_campaign("paper").networks() if n.index == index)


def ours(
    of: CampaignNetwork,
    seconds: float,
    device: torch.device,
    settings: TrainingSection = TrainingSection(),  # noqa: B008  it is immutable
    graphs: bool = True,
) -> Rates:
    """Time the steps of nnlc's loop."""
    for_device = DeviceImages(random_images(of), settings, device)
    start = time.perf_counter()
    loop = HalfEpochLoop(of.family, of.spec, of.images, for_device, settings, 1)
    loop.steps.capture = loop.steps.capture and graphs
    indices = torch.arange(BATCHES * of.spec.batch_size, device=device).view(BATCHES, -1)

    def train(batch: int) -> None:
        if loop.network.has_dropout:
            loop.network.restart_dropout(1)
        loop.steps.train(indices[batch])

    loop.network.train()
    begun = time.perf_counter() - start
    training = time_steps(train, seconds, device)  # a GPU's capture is among the first
    loop.network.eval()
    validating = time_steps(lambda b: loop.steps.validate(indices[b]), seconds / 4, device)
    return Rates(training.step, validating.step, begun + training.extra)


def eager(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Time the steps of nnlc's loop without CUDA graphs."""
    return ours(of, seconds, device, graphs=False)


def direct(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Time the steps of nnlc's loop with direct convolutions."""
    return ours(of, seconds, device, TrainingSection(convolutions="direct"))


def counting(of: CampaignNetwork, seconds: float, device: torch.device) -> float:
    """Return the share of a half epoch that counting right predictions takes."""
    for_device = DeviceImages(random_images(of), TrainingSection(), device)
    steps = HalfEpochLoop(of.family, of.spec, of.images, for_device, TrainingSection(), 1).steps
    b = of.spec.batch_size
    scores = torch.randn(b, of.images.classes, device=device, requires_grad=True)
    indices = torch.arange(b, device=device)

    def count_too() -> None:
        steps._train()
        for _ in range(MORE_COUNTS):
            steps._count(scores, for_device.train_labels[:b])

    times: dict[Callable[[], None], list[float]] = {steps._train: [], count_too: []}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[count_too]) < FEWEST_STEPS:
        for step, taken in times.items():
            steps._indices.copy_(indices)
            synchronize(device)
            start = time.perf_counter()
            steps._run(step)
            synchronize(device)
            taken.append(time.perf_counter() - start)
    once, often = (min(taken[WARM_STEPS + 1 :]) for taken in times.values())
    validate = time_steps(lambda _: steps.validate(indices), seconds / 4, device).step
    counts = (often - once) / MORE_COUNTS * (of.images.train_images // b // 2)
    return counts / half_epoch(of, Rates(once, validate))


class Machine:
    """Processes that use all cores, one a core or one for all; or one GPU."""

    def __init__(self, device: str, cores: int) -> None:
        self.device = torch.device(device)
        self.cores = cores if device == "cpu" else 1
        many = range(self.cores)
        given = trainer_environment(os.environ)
        plain = {name: value for name, value in given.items() if name not in ALLOCATION}
        self._trainers = [trainer_process() for _ in many]
        self._plain = [own_process(plain, make_deterministic) for _ in many]
        self._alone = [own_process(os.environ, torch.set_num_threads, self.cores)]

    def run_on_all_cores(self, work: Callable, *arguments) -> list:
        """Run the same work on all cores at once, in the kind of process that it needs."""
        pools = {usual: self._alone} | dict.fromkeys(
            (ours, eager, direct, counting, free_memory), self._trainers
        )
        futures = [p.submit(work, *arguments, self.device) for p in pools.get(work, self._plain)]
        return [future.result() for future in futures]

    def time(self, way: Callable, *arguments) -> Rates:
        """Return one network's rates on the whole machine."""
        rates = self.run_on_all_cores(way, *arguments)
        self.run_on_all_cores(free_memory)
        return Rates(
            1 / sum(1 / rate.train for rate in rates),
            1 / sum(1 / rate.validate for rate in rates),
            max(rate.set_up for rate in rates),
        )


def half_epoch(of: CampaignNetwork, rates: Rates) -> float:
    """Return the seconds of half of the training images and all validation images."""
    b = of.spec.batch_size
    train = of.images.train_images // b // 2
    return train * rates.train + of.images.validation_images // b * rates.validate


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", choices=["small", "large"], default="large")
    parser.add_argument("--networks", type=int, metavar="N", help="no more than these (all)")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--cores", type=int, default=cores, metavar="N", help="of a CPU (all)")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--counting", action="store_true", help="only the cost of counting")
    options = parser.parse_args()
    machine = Machine(options.device, options.cores)
    indices = (SMALL + (LARGE if options.scale == "large" else ()))[: options.networks]
    if options.counting:
        for of in map(network, indices):
            shares = machine.run_on_all_cores(counting, of, options.seconds)
            print(
                f"{of.index:7} {of.images.name:13} {max(shares):7.2%} of a half epoch", flush=True
            )
        return
    ways = [ours, resident if options.device == "cpu" else eager, usual]
    found = machine.run_on_all_cores(measured_peaks, options.seconds)
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
    for index in indices:
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
        computed = sum(x.computed_multiply_adds for x in walk.layers) / walk.multiply_adds
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
