"""Heavy convolutions, forward and backward, beside PyTorch's own, on one thread.

    python benchmarks/heavy_layers.py [--sampled N] [--batch N] [--campaign NAME]

Six layers of the article's heaviest networks, with little padding and a batch of 50; and one that
is not in the sums, as PyTorch's own backward pass takes seconds an image. With --sampled, the N
layers of a campaign with most operations a step, with their own paddings and batches: a direct way
of `paper` then needs 12 GB of memory, and less with --batch.

`ours` is the module that nnlc trains, `direct` the same with `training.convolutions = "direct"`,
`torch` is `torch.nn.Conv2d`; all have the channels last in memory. They are timed by turns in one
process, in processor seconds, and the faster of two times counts; a step of 20 s is timed once. A
star marks a way whose step would take more than a minute by a trial with two images: it is timed
with fewer images, and its time is scaled.
"""

import argparse
from typing import NamedTuple

import torch
from convolution_layers import TITLES, Asked, heaviest, module, random_values, seconds_of
from options import CAMPAIGN, known_campaign, positive
from own_process import trainer_process

from nnlc.families.article.layer import windowed
from nnlc.families.article.layers import Convolution
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
NOT_SUMMED = ((342, 345, 32, 27, 1, 0, 50),)
WAYS = {"ours": "auto", "direct": "direct", "torch": None}
LONGEST_STEP, ONLY_ONCE = 60.0, 20.0
TRIAL_BATCH = 2


class Timed(NamedTuple):
    """Seconds of a step."""

    seconds: float
    is_scaled: bool


def layer(channels, filters, width, kernel, stride, padding, batch) -> Asked:
    """Return a layer that is not the first of its network."""
    shape = channels, width, width
    sizes = kernel, stride, padding
    return Asked(windowed(Convolution, shape, filters, *sizes, "of a benchmark"), batch, False)


def steps(asked: Asked) -> dict[str, Timed]:
    """Time a step by each way."""
    pixels = random_values((asked.batch, *asked.layer.input), 1).requires_grad_(not asked.is_first)
    gradient = random_values((asked.batch, *asked.layer.output), 2)
    modules = {name: module(asked, way) for name, way in WAYS.items()}

    def step(name: str, images: int) -> float:
        pixels.grad = None
        modules[name].zero_grad()
        return seconds_of(lambda: modules[name](pixels[:images]).backward(gradient[:images]))

    times: dict[str, list[float]] = {name: [] for name in WAYS}
    few = min(TRIAL_BATCH, asked.batch)
    most = {name: int(LONGEST_STEP / step(name, few) * few) for name in WAYS}
    images = {name: max(1, min(asked.batch, most[name])) for name in WAYS}
    for _ in range(2):
        for name in WAYS:
            if not times[name] or times[name][0] < ONLY_ONCE:
                times[name].append(step(name, images[name]))
    return {
        name: Timed(min(times[name]) * asked.batch / images[name], images[name] < asked.batch)
        for name in WAYS
    }


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
    given = [layer(*sizes) for sizes in (*HEAVY, *NOT_SUMMED)]
    print(f"{processor_name()}, torch {torch.__version__}")
    print(f"{TITLES} " + "".join(f"{way:>10}" for way in WAYS) + "  torch/ours direct/ours")
    found: list[dict[str, float]] = []
    with trainer_process() as pool:
        for each in heaviest(options.campaign, options.sampled) or given:
            asked = each.at_batch(options.batch)
            timed = pool.submit(steps, asked).result()
            seconds = {way: each.seconds for way, each in timed.items()}
            found.append(seconds)
            print(
                f"{asked.title} "
                + "".join(f"{s:9.2f}s{'*' if scaled else ' '}" for s, scaled in timed.values())
                + "".join(f"{seconds[way] / seconds['ours']:11.2f}" for way in ("torch", "direct")),
                flush=True,
            )
    counted = found if options.sampled else found[: len(HEAVY)]
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
