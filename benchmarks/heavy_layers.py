"""Heavy convolutions, forward and backward, beside PyTorch's own, on one thread.

    python benchmarks/heavy_layers.py [--sampled N] [--batch N] [--campaign NAME]

Six layers of the article's heaviest networks, with little padding and a batch of 50; and one that
is not in the sums, for which PyTorch is not timed: its backward pass takes seconds an image. With
--sampled, the N layers of a campaign with most operations a step, with their own paddings and
batches. A star marks a smaller batch, here one for which PyTorch's step takes at most a minute.

`ours` is the module that nnlc trains, `direct` the same with `training.convolutions = "direct"`,
`torch` is `torch.nn.Conv2d`; all have the channels last in memory. They are timed by turns in one
process, in processor seconds, and the faster of two times counts.
"""

import argparse
import math
from concurrent.futures import Executor

import torch
from convolution_layers import TITLES, Asked, heaviest, module, random_values, seconds_of
from options import CAMPAIGN, known_campaign, positive
from own_process import trainer_process

from nnlc.networks.layer import windowed
from nnlc.networks.layers import Convolution
from nnlc.system.hardware import processor_name

HEAVY = (
    (275, 278, 35, 26, 1, 0, 50),
    (136, 344, 24, 21, 1, 5, 50),
    (291, 226, 26, 9, 1, 0, 50),
    (229, 77, 42, 11, 1, 0, 50),
    (144, 398, 36, 17, 5, 0, 50),
    (397, 397, 34, 9, 2, 0, 50),
)
"""Channels, filters, width, kernel, stride, padding and batch."""
WITHOUT_TORCH = ((342, 345, 32, 27, 1, 0, 50),)
WAYS = {"ours": "auto", "direct": "direct", "torch": None}
LONGEST_STEP = 60.0
TRIAL_BATCH = 2


def layer(channels, filters, width, kernel, stride, padding, batch) -> Asked:
    """Return a layer that is not the first of its network."""
    shape = channels, width, width
    sizes = kernel, stride, padding
    return Asked(windowed(Convolution, shape, filters, *sizes, "of a benchmark"), batch, False)


def steps(asked: Asked, ways: dict, rounds: int = 2) -> dict[str, float]:
    """Return the seconds of the fastest step by each way."""
    pixels = random_values((asked.batch, *asked.layer.input), 1).requires_grad_(not asked.is_first)
    gradient = random_values((asked.batch, *asked.layer.output), 2)
    modules = {name: module(asked, way) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, made in modules.items():
            pixels.grad = None
            made.zero_grad()
            times[name].append(seconds_of(lambda m=made: m(pixels).backward(gradient)))
    return {name: min(each) for name, each in times.items()}


def short_enough(asked: Asked, pool: Executor) -> Asked:
    """Return a layer with a batch for which PyTorch's step is short enough."""
    trial = asked.at_batch(TRIAL_BATCH)
    seconds = pool.submit(steps, trial, {"torch": None}, 1).result()["torch"]
    return asked.at_batch(LONGEST_STEP / seconds * trial.batch)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--campaign", type=known_campaign, default="paper", metavar="NAME", help=CAMPAIGN
    )
    parser.add_argument(
        "--sampled",
        type=positive,
        default=0,
        metavar="N",
        help="time a campaign's N heaviest layers instead of seven given ones",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        default=1000,
        metavar="N",
        help="most images of a step (%(default)s)",
    )
    options = parser.parse_args()
    given = [layer(*sizes) for sizes in (*HEAVY, *WITHOUT_TORCH)]
    without_torch = given[len(HEAVY) :]
    print(f"{processor_name()}, torch {torch.__version__}")
    print(f"{TITLES} " + "".join(f"{way:>9}" for way in WAYS) + "  torch/ours direct/ours")
    found: list[dict[str, float]] = []
    with trainer_process() as pool:
        for each in heaviest(options.campaign, options.sampled) or given:
            timed = (short_enough(each, pool) if options.sampled else each).at_batch(options.batch)
            ways = {way: WAYS[way] for way in WAYS if way != "torch" or each not in without_torch}
            seconds = pool.submit(steps, timed, ways).result()
            seconds = dict.fromkeys(WAYS, math.nan) | seconds
            found.append(seconds)
            print(
                f"{timed.title}{'*' if timed.batch < each.batch else ' '}"
                + "".join(f"{s:8.2f}s" for s in seconds.values())
                + "".join(f"{seconds[way] / seconds['ours']:12.2f}" for way in ("torch", "direct")),
                flush=True,
            )
    counted = [seconds for seconds in found if not math.isnan(seconds["torch"])]
    sums = {way: sum(seconds[way] for seconds in counted) for way in WAYS}
    worst = min(seconds["torch"] / seconds["ours"] for seconds in counted)
    print(
        f"sum of {len(counted)}: "
        + ", ".join(f"{way} {value:.1f} s" for way, value in sums.items())
        + f"; torch/ours {sums['torch'] / sums['ours']:.2f} in sum, at least {worst:.2f}; "
        f"direct/ours {sums['direct'] / sums['ours']:.2f} in sum"
    )


if __name__ == "__main__":
    main()
