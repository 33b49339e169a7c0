"""Time of a whole campaign by several loops, estimated from networks drawn by their cost.

    python benchmarks/campaign.py [--networks N] [--seed N] [--ways WAY…]
                                  [--convolutions auto|direct] [--campaign NAME]

Ways: `ours`, `resident` and `usual`, as `loop.py` describes them, and `direct`: ours with
`training.convolutions = "direct"`. Each uses the whole CPU. A network's time is that of all its
training and validation steps, computed from one timed step of each; from steps for 1.5 s if they
are short, and from the faster of two rounds then. Networks without new ways of convolutions have
the same code with `direct`, and are timed once.

Cost is the number of operations with direct convolutions (`training_operations`), which no way
changes. The heaviest network is always measured, and so is any other with more than 1/N of the
cost. The rest is divided in tenths of equal cost, the heaviest networks first. In each tenth, N/10
networks are drawn with replacement, with probabilities proportional to cost. A tenth's time is its
cost times the mean of time / cost over its draws (Hansen and Hurwitz, 1943); a ratio is that of the
estimated sums. ± is a standard error: from the variance between the draws of each tenth, linearized
for ratios.

A star marks a way above 120 s a step by a trial with 25 images: the trial counts, and the network
has as many steps as batches of 25 images make.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from convolution_layers import changes
from loop import Machine, direct, half_epoch, ours
from options import CAMPAIGN, known_campaign, positive
from plain_loops import resident, usual

from nnlc.campaign.campaign import CampaignNetwork, load_campaign
from nnlc.families.article import walk_network
from nnlc.families.article.cost import training_operations
from nnlc.system.hardware import processor_name

WAYS = {"ours": ours, "direct": direct, "resident": resident, "usual": usual}
SECONDS = 1.5
"""Time for the steps of a way, if they are short."""
SHORT_ROUND = 25.0
"""Most seconds of a round of all ways after which there is another."""
TRIAL_BATCH = 25
LONGEST_STEP = 120.0
"""Most seconds of a step that is timed with all its images."""
TRIAL_OPERATIONS = 1e11
"""Most operations of a step that needs no trial."""
OPERATIONS_A_SECOND = {"ours": 2.5e11, "direct": 1e11, "resident": 7e10, "usual": 1.3e11}
"""Rates of one process, on two cores like the README's, to predict the benchmark's own time."""


class Draw(NamedTuple):
    """A drawn network, by its position in the campaign, and its weight in sums."""

    network: int
    weight: float


class Part(NamedTuple):
    """Part of a campaign's networks, and the draws from it."""

    name: str
    size: int
    draws: list[Draw]
    is_complete: bool = False
    """True if the draws are all networks of the part."""


def draw_parts(costs: Sequence[float], count: int, seed: int) -> list[Part]:
    """Return the networks that are always measured, and about `count` draws from the others."""
    cost = np.asarray(costs, dtype=float)
    order = np.argsort(-cost, kind="stable")
    certain = max(1, int((cost > cost.sum() / count).sum()))
    parts = [Part("heaviest", certain, [Draw(int(n), 1) for n in order[:certain]], True)]
    rest, tenths = order[certain:], max(1, min(10, count // 2))
    middle = (cost[rest].cumsum() - cost[rest] / 2) / cost[rest].sum()
    random, times = np.random.default_rng(seed), max(2, round(count / tenths))
    for tenth in range(tenths):
        members = rest[(middle * tenths).astype(int) == tenth]
        if not len(members):
            continue
        total = cost[members].sum()
        drawn = sorted(random.choice(members, times, p=cost[members] / total))
        draws = [Draw(int(n), total / times / cost[n]) for n in drawn]
        parts.append(Part(f"{tenth + 1}. of {tenths}", len(members), draws))
    return parts


def estimate(
    parts: Sequence[Part], above: Mapping[int, float], below: Mapping[int, float] | None = None
) -> tuple[float, float]:
    """Return a sum over all networks of some parts, or a ratio of sums, and its standard error.

    Args:
        parts: the parts.
        above: values of drawn networks.
        below: values whose sum divides; None for the sum of `above` alone.
    """

    def total(values: Mapping[int, float]) -> float:
        return math.fsum(d.weight * values[d.network] for part in parts for d in part.draws)

    bottom = total(below) if below else 1.0
    if not bottom:
        return math.nan, math.nan
    value, variance = total(above) / bottom, 0.0
    for part in parts:
        rest = [
            d.weight * (above[d.network] - (value * below[d.network] if below else 0))
            for d in part.draws
        ]
        if not part.is_complete:
            variance += len(rest) * float(np.var(rest, ddof=1))
    return value, math.sqrt(variance) / bottom


def step_operations(of: CampaignNetwork) -> int:
    """Return the operations of a training step with direct convolutions."""
    return 6 * walk_network(of.spec, of.images).multiply_adds * of.spec.batch_size


class Seconds(NamedTuple):
    """Seconds of a network's training."""

    all: float
    is_scaled: bool


def training_seconds(machine: Machine, way: Callable, of: CampaignNetwork, epochs: int) -> Seconds:
    """Return the seconds of a network's training on the whole machine."""
    b = of.spec.batch_size
    if b > TRIAL_BATCH and step_operations(of) > TRIAL_OPERATIONS:
        few = replace(of, spec=replace(of.spec, batch_size=TRIAL_BATCH))
        rates = machine.time(way, few, 0)
        at_once = 1 if way is usual else machine.cores
        if at_once * rates.train * b / TRIAL_BATCH > LONGEST_STEP:
            return Seconds(2 * epochs * half_epoch(few, rates), True)
    return Seconds(2 * epochs * half_epoch(of, machine.time(way, of, SECONDS)), False)


def measure(
    machine: Machine, ways: Mapping[str, Callable], of: CampaignNetwork, epochs: int
) -> dict[str, Seconds]:
    """Return the seconds of a network's training by each way."""
    same = [] if changes(of) else ["direct"]
    found: dict[str, Seconds] = {}
    for _ in range(2):
        start = time.perf_counter()
        for name in [way for way in ways if way not in same]:
            seconds = training_seconds(machine, ways[name], of, epochs)
            found[name] = min(found.get(name, seconds), seconds)
        if time.perf_counter() - start > SHORT_ROUND:
            break
    return {name: found.get(name, found["ours"]) for name in ways}


def predicted_minutes(networks: Sequence[CampaignNetwork], ways: Sequence[str]) -> float:
    """Return about how long the measurements take: trials, training steps, validation steps."""
    steps = (
        max(4 * SECONDS, 1.6 * min(LONGEST_STEP, step_operations(of) / OPERATIONS_A_SECOND[way]))
        for of in networks
        for way in ways
    )
    return sum(steps) / 60


def show_sums(
    parts: Sequence[Part],
    costs: Mapping[int, float],
    seconds: Mapping[str, Mapping[int, float]],
    changed: Mapping[int, bool],
) -> None:
    """Print the ratios of ways by parts of the campaign, and the whole campaign's time."""
    whole, _ = estimate(parts, costs)
    others = [way for way in seconds if way != "ours"]
    print("\npart       networks   cost  draws" + "".join(f"{w + '/ours':>18}" for w in others))
    rows = [*([part] for part in parts), parts]
    for row in rows:
        name = row[0].name if len(row) == 1 else "all"
        ratios = [estimate(row, seconds[way], seconds["ours"]) for way in others]
        print(
            f"{name:10}{sum(p.size for p in row):9}{estimate(row, costs)[0] / whole:7.1%}"
            f"{sum(len(p.draws) for p in row):7}"
            + "".join(f"{value:11.2f} ± {error:<4.2f}" for value, error in ratios)
        )
    for way in seconds:
        value, error = (each / 86400 for each in estimate(parts, seconds[way]))
        print(f"{way}: {value:.3g} ± {error:.2g} days for the whole campaign")
    if "direct" in seconds and any(changed.values()):
        only = {
            way: {n: s * changed[n] for n, s in seconds[way].items()} for way in ("direct", "ours")
        }
        value, error = estimate(parts, only["direct"], only["ours"])
        print(f"networks that change: direct/ours {value:.3f}, two standard errors {2 * error:.3f}")


def main() -> None:
    """Draw, measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--campaign", type=known_campaign, default="paper", metavar="NAME", help=CAMPAIGN
    )
    parser.add_argument(
        "--networks", type=positive, default=30, metavar="N", help="networks to draw (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the draws (%(default)s)"
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=list(WAYS),
        metavar="WAY",
        help="loops to compare (all): ours, always timed; direct: ours with direct convolutions; "
        "resident: PyTorch's modules on images in memory; usual: with a DataLoader",
    )
    parser.add_argument(
        "--convolutions",
        choices=["auto", "direct"],
        default="auto",
        help="setting training.convolutions of ours (%(default)s)",
    )
    options = parser.parse_args()
    ways = {name: WAYS[name] for name in dict.fromkeys(["ours", *options.ways])}
    if options.convolutions == "direct":
        ways["ours"] = direct
    campaign = load_campaign(options.campaign)
    networks = list(campaign.networks())
    all_costs = [
        training_operations(walk_network(n.spec, n.images), n.spec, n.images, campaign.epochs)
        for n in networks
    ]
    parts = draw_parts(all_costs, options.networks, options.seed)
    drawn = dict.fromkeys(d.network for part in parts for d in part.draws)
    machine = Machine("cpu", len(os.sched_getaffinity(0)))
    print(
        f"{processor_name()}, {machine.cores} cores; {len(drawn)} networks, about "
        f"{predicted_minutes([networks[n] for n in drawn], list(ways)):.0f} min\n"
        "network dataset         depth batch  GFLOP a step  changes"
        + "".join(f"{way + '/h':>13}" for way in ways),
        flush=True,
    )
    changed = {n: changes(networks[n]) for n in drawn}
    seconds: dict[str, dict[int, float]] = {way: {} for way in ways}
    for n in drawn:
        of = networks[n]
        found = measure(machine, ways, of, campaign.epochs)
        for way, value in found.items():
            seconds[way][n] = value.all
        print(
            f"{of.index:7} {of.images.name:15} {of.spec.depth:5} {of.spec.batch_size:5} "
            f"{step_operations(of) / 1e9:13.2f} {'yes' if changed[n] else 'no':>8}"
            + "".join(f"{s.all / 3600:12.4g}{'*' if s.is_scaled else ' '}" for s in found.values()),
            flush=True,
        )
    show_sums(parts, dict(enumerate(map(float, all_costs))), seconds, changed)


if __name__ == "__main__":
    main()
