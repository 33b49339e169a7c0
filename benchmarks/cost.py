"""Accuracy of predicted seconds and memory: `python benchmarks/cost.py [--campaign NAME]`.

Draws networks from a campaign, by default the article's, and runs a few steps of each with the
real loop, on random pixels, with one thread like a trainer. Fits a machine to half of the networks
and compares its predictions with the seconds of the other half, and the other way round. Prints at
the end the constants fitted to all networks. Peaks of memory are measured in a fresh process each.

Seconds are processor time, so that other programs disturb them less. As these also change caches
and clock rate, a product of matrices is timed before and after each step, and the step's time is
scaled by how slow the product was. The median of all rounds counts.
"""

import argparse
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from statistics import median, quantiles
from typing import NamedTuple

import torch
from own_process import trainer_process

from nnlc.calibration.calibrate import Errors, Sample, errors, errors_of, fit_machine
from nnlc.campaign.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.networks.machine import CPU
from nnlc.results.folder_costs import count_request, take_counts, uncounted
from nnlc.system.hardware import processor_name
from nnlc.training.counting_process import count_costs
from nnlc.training.device_info import peak_memory, reset_peak_memory
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.step_timing import random_images

SETTINGS = TrainingSection()
LONGEST_STEP = 2.0
"""Most predicted seconds of a step; longer steps would take most of the benchmark's time."""
COUNTED = 3
"""Networks whose costs are counted, for each that is wanted, where costs are counted."""
MOST_MEMORY = 4e9
STEPS = 4
"""Number of training steps and of validation steps; the first of each is not counted."""
REFERENCE_WIDTH = 384


class Timing(NamedTuple):
    """Processor seconds of one network's steps, and of the reference before and after each."""

    training: list[float]
    validation: list[float]
    references: list[float]


class Steps(NamedTuple):
    """Seconds of one network's steps on a machine without other load."""

    training: float
    validation: float


def choose(campaign: str, count: int, seed: int) -> list[CampaignNetwork]:
    """Return networks with short steps that fit into memory."""
    networks = list(load_campaign(campaign).networks())
    random.Random(seed).shuffle(networks)  # noqa: S311  no secrets here
    if uncounted(networks):
        networks = networks[: COUNTED * count]
        for note in take_counts(networks, [count_costs(count_request(networks))]):
            print(note)
    chosen = (
        n
        for n in networks
        if n.family.predict_step_seconds(n.spec, n.images, CPU, SETTINGS, "cpu") < LONGEST_STEP
        and n.family.memory_bytes(n.spec, n.images, SETTINGS, "cpu") < MOST_MEMORY
    )
    return [network for network, _ in zip(chosen, range(count), strict=False)]


def few_images(of: CampaignNetwork) -> CampaignNetwork:
    """Return a network with few images: its first half epoch has `STEPS` steps of each kind."""
    b = of.spec.batch_size
    images = replace(of.images, train_images=2 * STEPS * b, validation_images=STEPS * b)
    return replace(of, images=images)


def make_loop(of: CampaignNetwork, between_steps) -> HalfEpochLoop:
    """Return a network's training loop on random pixels."""
    facts, images = of.images, random_images(of.images)
    settings = TrainingSection()
    on_device = DeviceImages(images, settings, torch.device("cpu"))
    reset_peak_memory(on_device.device)
    return HalfEpochLoop(of.family, of.spec, facts, on_device, settings, 1, between_steps)


def time_network(of: CampaignNetwork) -> Timing:
    """Time a few steps of one network."""
    square = torch.full((REFERENCE_WIDTH, REFERENCE_WIDTH), 0.5)
    seconds: list[float] = []
    references: list[float] = []

    def reference() -> float:
        start = time.process_time()
        for _ in range(3):
            square @ square
        return time.process_time() - start

    def between_steps() -> None:
        nonlocal start
        seconds.append(time.process_time() - start)
        references.append(reference())
        start = time.process_time()

    loop = make_loop(few_images(of), between_steps)
    references.append(reference())
    start = time.process_time()
    next(iter(loop))
    return Timing(seconds[:STEPS], seconds[STEPS:], references)


def peak_of(of: CampaignNetwork) -> int:
    """Return the peak of resident bytes of a process that trains this network."""
    next(iter(make_loop(few_images(of), lambda: None)))
    return peak_memory(torch.device("cpu"))


def undisturbed(timings: Sequence[Sequence[Timing]]) -> Iterator[Steps]:
    """Yield each network's median steps, scaled to the speed of fast references."""
    references = [r for rounds in timings for timing in rounds for r in timing.references]
    fast = quantiles(references, n=20)[0]
    for rounds in timings:
        training: list[float] = []
        validation: list[float] = []
        for timing in rounds:
            around = zip(timing.references, timing.references[1:], strict=False)
            shares = [fast / (before * after) ** 0.5 for before, after in around]
            steps = [*timing.training, *timing.validation]
            scaled = [s * share for s, share in zip(steps, shares, strict=True)]
            training += scaled[1:STEPS]
            validation += scaled[STEPS + 1 :]
        yield Steps(median(training), median(validation))


class Samples(NamedTuple):
    """Samples that machines are fitted to and compared with."""

    half_epoch: list[Sample]
    training: list[Sample]
    validation: list[Sample]

    def part(self, which: slice) -> "Samples":
        return Samples(*(samples[which] for samples in self))


def samples_of(networks: Iterable[CampaignNetwork], steps: Iterable[Steps]) -> Samples:
    """Return the work and seconds of steps, and of the half epochs that consist of them."""
    found = Samples([], [], [])
    for network, seconds in zip(networks, steps, strict=True):
        spec, images = network.spec, network.images
        many = images.train_images // spec.batch_size // 2
        validated = images.validation_images // spec.batch_size
        training = network.family.training_work(spec, images, SETTINGS, "cpu")
        validation = network.family.forward_work(spec, images, SETTINGS, "cpu")
        both = [many * t + validated * v for t, v in zip(training, validation, strict=True)]
        whole = many * seconds.training + validated * seconds.validation
        found.half_epoch.append(Sample(type(training)(*both), whole))
        found.training.append(Sample(training, seconds.training))
        found.validation.append(Sample(validation, seconds.validation))
    return found


def ratios(samples: Sequence[Sample], machine) -> list[float]:
    """Return predicted over measured seconds."""
    return [machine.seconds(sample.work) / sample.seconds for sample in samples]


def show(name: str, found: Errors) -> None:
    """Print one line of the table."""
    print(f"{name:<44}{found.median:8.1%}{found.nine_in_ten:16.1%}", flush=True)


def show_seconds(networks: list[CampaignNetwork], rounds: int) -> None:
    """Measure seconds, and print the errors of predictions."""
    with trainer_process() as pool:
        all_rounds = [list(pool.map(time_network, networks)) for _ in range(rounds)]
    timings = list(zip(*all_rounds, strict=True))
    samples = samples_of(networks, undisturbed(timings))
    halves = samples.part(slice(0, None, 2)), samples.part(slice(1, None, 2))
    fitted = [fit_machine(half.half_epoch, CPU) for half in halves]
    show("half epoch, nominal", errors(samples.half_epoch, CPU))
    for field in Samples._fields:
        unseen = [
            ratio
            for machine, other in zip(fitted, reversed(halves), strict=True)
            for ratio in ratios(getattr(other, field), machine)
        ]
        show(f"{field.replace('_', ' ')}, fitted to the other half", errors_of(unseen))
    print("fitted to all:")
    for key, value in asdict(fit_machine(samples.half_epoch, CPU)).items():
        print(f"    {key}={value:.2e},")


def show_memory(networks: list[CampaignNetwork]) -> None:
    """Measure peaks of memory, each in its own process, and print the errors of predictions."""
    found: list[float] = []
    for network in networks:
        with trainer_process() as pool:
            peak = pool.submit(peak_of, network).result()
        images = few_images(network).images
        needed = network.family.memory_bytes(network.spec, images, SETTINGS, "cpu")
        found.append(needed / peak)
    show(f"peak memory of {len(found)} networks", errors_of(found))
    print(f"predicted over measured: {min(found):.2f} to {max(found):.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--campaign", default="paper", metavar="NAME")
    parser.add_argument("--networks", type=int, default=100, metavar="N")
    parser.add_argument("--memory", type=int, default=16, metavar="N", help="of them (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    networks = choose(options.campaign, options.networks, options.seed)
    print(f"{processor_name()}, torch {torch.__version__}, {len(networks)} networks")
    print(f"{'predictions are off by':<44}{'median':>8}{'9 in 10 below':>16}")
    show_seconds(networks, options.rounds)
    if options.memory:
        show_memory(networks[: options.memory])


if __name__ == "__main__":
    main()
