"""Ways of computing convolutions, pass by pass: which is fastest, and which nnlc chooses.

    python benchmarks/convolutions.py [--layers N] [--check] [--csv FILE] [--campaign NAME]

Draws N distinct convolutions of the article's campaign with probabilities proportional to their
operations; with --check, N others. Find the speeds of
`nnlc.families.article.convolution_plan` with the former, and check them with the latter.

Each pass is timed by each way at the sampler's batch, on one thread, in processor seconds. Where a
direct pass would take more than 2 s, the batch is smaller, and nnlc is asked for its choice at this
batch. Ways are timed by turns, three times or until they have taken a second; the fastest time
counts. Matrix products of more than a gigabyte of windows are left out, unless nnlc chooses them.

`lost` is the time of nnlc's choice over that of the fastest way. In the sums, a layer counts by
time / operations, so that they estimate ratios of sums over the campaign.
"""

import argparse
import csv
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch
from convolution_layers import (
    SIZES,
    TITLES,
    Asked,
    convolutions,
    draw_by_cost,
    module,
    random_values,
    seconds_of,
)
from options import CAMPAIGN, known_campaign, positive
from own_process import trainer_process

from nnlc.campaign.campaign import load_campaign
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_plan import ConvolutionPlan, Way, plan_convolution
from nnlc.families.article.fourier import plan_fourier
from nnlc.families.article.modules.convolution import FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT
from nnlc.families.article.modules.fourier import FourierConvolution
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import Convolutions
from nnlc.system.hardware import processor_name

LONGEST_PASS, OPERATIONS_A_SECOND = 2.0, 1e11
"""Most seconds of a direct pass, predicted with this rate."""
MOST_WINDOW_BYTES = 1e9
ROUNDS, LONG = 3, 1.0
"""Times that a way is timed, and seconds after which it is not timed again."""
WRONG = 1.1
"""Least `lost` of a wrong choice."""
WAYS: tuple[Way, ...] = get_args(Way)
TABLES = {
    "forward": FORWARD,
    "input_gradient": INPUT_GRADIENT,
    "weight_gradient": WEIGHT_GRADIENT,
}


class Timed(NamedTuple):
    """Seconds of one pass of a layer by each way, and the ways that nnlc chooses."""

    asked: Asked
    name: str
    chosen: Way
    direct: Way
    """Way with `training.convolutions = "direct"`."""
    seconds: Mapping[Way, float]

    @property
    def best(self) -> Way:
        """The fastest way."""
        return min(self.seconds, key=self.seconds.__getitem__)

    @property
    def lost(self) -> float:
        """Seconds of nnlc's choice over those of the fastest way."""
        return self.seconds[self.chosen] / self.seconds[self.best]


def planned(
    asked: Asked, convolutions: Convolutions, device: DeviceKind = "cpu"
) -> ConvolutionPlan:
    """Return a layer's plan."""
    return plan_convolution(asked.layer, Conditions(asked.batch, device, convolutions))


def calls(asked: Asked, device: DeviceKind = "cpu") -> dict[str, dict[Way, Callable[[], object]]]:
    """Return a function for each pass of a layer and each way of computing it on a device."""
    layer, part = asked.layer, planned(asked, "auto", device).trim
    made = module(asked, "direct", device)
    pixels = random_values((asked.batch, *layer.input), 1, device)
    gradient = random_values((asked.batch, layer.output[0], part.width, part.width), 2, device)
    windows = 4 * asked.batch * layer.input[0] * (part.width * layer.kernel) ** 2
    transforms = FourierConvolution(plan_fourier(layer, part, asked.batch, device)).to(device)
    known = gradient, pixels, made.weight
    found: dict[str, dict[Way, Callable[[], object]]] = {}
    for name, table in TABLES.items():
        given = (*known[1:], made.bias) if name == "forward" else known
        needed = {getattr(planned(asked, c, device).ways, name) for c in get_args(Convolutions)}
        found[name] = {
            way: partial(compute, *given, part, layer.stride)
            for way, compute in table.items()
            if way in needed
            or (device == "cpu" and (way != "product" or windows < MOST_WINDOW_BYTES))
        }
    found["forward"]["fourier"] = partial(transforms, *known[1:])
    for name, wanted in (("input_gradient", (True, False)), ("weight_gradient", (False, True))):
        both = dict(zip(("of_pixels", "of_weight"), wanted, strict=True))
        found[name]["fourier"] = partial(transforms.gradients, *known, **both)
    if asked.is_first:
        del found["input_gradient"]
    return found


@torch.no_grad()
def time_passes(asked: Asked) -> list[Timed]:
    """Time each pass of a layer by each way, in this process."""
    found = []
    for name, by_way in calls(asked).items():
        times: dict[Way, list[float]] = {way: [] for way in by_way}
        for _ in range(ROUNDS):
            for way, compute in by_way.items():
                if sum(times[way]) < LONG:
                    times[way].append(seconds_of(compute))
        chosen, direct = (getattr(planned(asked, c).ways, name) for c in get_args(Convolutions))
        fastest = {way: min(each) for way, each in times.items()}
        found.append(Timed(asked, name, chosen, direct, fastest))
    return found


def show(timed: Timed) -> None:
    """Print one pass of a layer."""
    print(
        f"{timed.asked.title}  {timed.name:15}"
        + "".join(f"{timed.seconds.get(way, math.nan):10.4f}" for way in WAYS)
        + f"  {timed.chosen:8}{timed.lost:6.2f}",
        flush=True,
    )


def show_sums(found: list[Timed]) -> None:
    """Print sums of the time of nnlc's ways, of the fastest and of those of `direct`."""
    for name in (*TABLES, "all passes"):
        some = [t for t in found if name in (t.name, "all passes")]
        if not some:  # only first layers
            continue
        chosen, best, direct = np.sum(
            [
                [t.seconds[way] / t.asked.operations for way in (t.chosen, t.best, t.direct)]
                for t in some
            ],
            axis=0,
        )
        wrong = sum(t.lost > WRONG for t in some)
        print(
            f"{name}: direct/chosen {direct / chosen:.2f}, direct/best {direct / best:.2f}, "
            f"chosen/best {chosen / best:.3f}; {wrong} of {len(some)} choices lose more than 10%, "
            f"the worst {max(t.lost for t in some) - 1:.0%}"
        )


def write_csv(found: list[Timed], path: Path) -> None:
    """Write a row for each pass of each layer."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file)
        write.writerow([*SIZES, "operations", "pass", "chosen", "best", *WAYS])
        for t in found:
            seconds = [t.seconds.get(way, "") for way in WAYS]
            write.writerow([*t.asked.sizes, t.asked.operations, t.name, t.chosen, t.best, *seconds])


def main() -> None:
    """Draw, time and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--campaign", type=known_campaign, default="paper", metavar="NAME", help=CAMPAIGN
    )
    parser.add_argument(
        "--layers", type=positive, default=100, metavar="N", help="layers to draw (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the draws (%(default)s)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="draw other layers than those by which nnlc's choice was made",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="file for the times of all ways")
    options = parser.parse_args()
    if options.csv and not options.csv.parent.is_dir():
        parser.error(f"argument --csv: there is no folder {options.csv.parent}")
    known = convolutions(load_campaign(options.campaign).networks())
    drawn = draw_by_cost(known, 2 * options.layers, options.seed)
    first = options.layers if options.check else 0
    print(f"{processor_name()}, torch {torch.__version__}")
    print(f"{TITLES}  {'pass':15}" + "".join(f"{way:>10}" for way in WAYS) + "  chosen    lost")
    found: list[Timed] = []
    with trainer_process() as pool:
        for asked in drawn[first : first + options.layers]:
            batch = asked.batch * LONGEST_PASS * OPERATIONS_A_SECOND / asked.operations
            passes = pool.submit(time_passes, asked.at_batch(batch)).result()
            for timed in passes:
                show(timed)
            found += passes
    show_sums(found)
    if options.csv:
        write_csv(found, options.csv)


if __name__ == "__main__":
    main()
