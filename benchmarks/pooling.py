"""Max pooling in one pass and in two: times, and equal bits.

    python benchmarks/pooling.py [--layers N] [--shapes WIDTH]

Draws pooling layers of the article's campaign, with a probability proportional to their predicted
seconds in one pass. Times forward and backward pass of each, PyTorch's own and in two passes, in
turns, on one core, in processor time. Then prints for several values of PASS_COST: the number of
layers that get two passes, by how much they all become faster in sum, and the worst of them. The
last line has the value in use.

With --shapes, compares instead every bit of values, winners and gradients for all widths up to
WIDTH, all kernels up to the width, all strides up to the kernel and all paddings up to half of it,
with channels last and first in memory, on images full of equal values, NaN and infinities.
"""

import argparse
import random
import time
from collections.abc import Iterator
from statistics import mean
from typing import NamedTuple

import torch
from options import positive
from torch import nn

from nnlc.campaign.campaign import load_campaign
from nnlc.families.article import Layer, pooling_plan, walk_network
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.layer import output_width
from nnlc.families.article.layers import Pooling
from nnlc.families.article.modules.pooling import TwoPassPooling
from nnlc.networks.machine import CPU
from nnlc.networks.work import sum_work

LONGEST, SMALLEST_BATCH = 1.0, 25
COSTS = (0, 5, 10, 15, 20, 30, 40, 60)
SPECIALS = torch.tensor([-torch.inf, torch.inf, torch.nan, -torch.nan, 0.0, -0.0, 1.0, -1.0, 2.0])
CHANNELS = 19
"""Channels of compared images: a whole vector of any CPU, and a remainder."""


class Timed(NamedTuple):
    """Processor seconds of a layer's forward and backward pass."""

    layer: Layer
    one_pass: float
    two_passes: float


def seconds_in_one_pass(layer: Layer, batch: int) -> float:
    """Return the predicted seconds of a training step's forward and backward pass on a CPU."""
    one_pass = Conditions(batch, "cuda", "direct")
    works = layer.forward_work(one_pass), layer.backward_work(one_pass, first=False)
    return CPU.seconds(sum_work(works))


def draw(count: int, seed: int) -> list[tuple[Layer, int]]:
    """Return layers with their networks' batches, drawn by their cost for a whole training.

    A batch that would take more than `LONGEST` is replaced by the smallest of the search space.
    """
    layers, costs = [], []
    for of in load_campaign("paper").networks():
        batch = of.spec.batch_size
        for layer in walk_network(of.spec, of.images).layers:
            if layer.kind == "pooling" and layer.kernel > 1:
                seconds = seconds_in_one_pass(layer, batch)
                layers.append((layer, batch if seconds < LONGEST else SMALLEST_BATCH))
                costs.append(seconds * of.images.train_images / batch)
    return random.Random(seed).choices(layers, costs, k=count)  # noqa: S311  no secrets here


def modules(layer: Layer) -> tuple[nn.Module, nn.Module]:
    """Return PyTorch's own module of a layer, and that with two passes."""
    return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding), TwoPassPooling(layer)


def time_layer(layer: Layer, batch: int, seconds: float) -> Timed:
    """Time both ways in turns; the fastest turn of each counts."""
    pixels = torch.randn(batch, *layer.input).relu_().to(memory_format=torch.channels_last)
    pixels.requires_grad_()
    gradient = torch.randn(batch, *layer.output).to(memory_format=torch.channels_last)
    ways, best = modules(layer), [float("inf")] * 2
    begin, turns = time.process_time(), 0
    while turns < 3 or time.process_time() - begin < seconds:
        for i, way in enumerate(ways):
            pixels.grad = None
            start = time.process_time()
            way(pixels).backward(gradient)
            best[i] = min(best[i], time.process_time() - start)
        turns += 1
    return Timed(layer, *best)


def show(cost: int, timed: list[Timed]) -> None:
    """Print what a value of PASS_COST would give."""
    pooling_plan.PASS_COST = cost
    anywhere = Conditions(1, "cpu", "direct")
    chosen = [pooling_plan.pools_in_two_passes(one.layer, anywhere) for one in timed]
    ratios = [one.one_pass / one.two_passes for one in timed]
    # The layers were drawn by their cost, so the mean of these shares is that of the campaign.
    share = mean(1 / r if two else 1 for r, two in zip(ratios, chosen, strict=True))
    worst = min((r for r, two in zip(ratios, chosen, strict=True) if two), default=1)
    print(
        f"PASS_COST {cost:>2}: {sum(chosen)} of {len(timed)} layers in two passes; "
        f"{1 / share:.3f} times as fast in sum, the worst {worst:.2f} times"
    )


def images(batch: int, width: int) -> torch.Tensor:
    """Return images in which each channel has a few special values, or random ones."""
    found = torch.randn(batch, CHANNELS, width, width)
    for channel in range(CHANNELS - 2):
        some = SPECIALS[torch.randperm(len(SPECIALS))[: 1 + channel % 5]]
        found[:, channel] = some[torch.randint(len(some), (batch, width, width))]
    return found


def same_bits(pixels: torch.Tensor, layer: Layer) -> bool:
    """Return True if both ways agree in all bits and in the layout of their results."""
    found = []
    for way in modules(layer):
        given = pixels.detach().requires_grad_()
        values = way(given)
        node = values.grad_fn
        winners = node.saved_tensors[1] if isinstance(way, TwoPassPooling) else node._saved_result1
        gradient = torch.linspace(0.1, 1, values.numel()).view_as(values)
        values.backward(gradient)
        found.append((values.detach(), winners, given.grad))
    return all(
        pair[0].stride() == pair[1].stride()
        and torch.equal(*(x.view(torch.int32 if x.is_floating_point() else x.dtype) for x in pair))
        for pair in zip(*found, strict=True)
    )


def shapes(width: int) -> Iterator[Layer]:
    """Yield all pooling layers of the search space for inputs of one width."""
    for kernel in range(1, width + 1):
        for stride in range(1, kernel + 1):
            for padding in range(kernel // 2 + 1):
                outputs = output_width(width, kernel, stride, padding)
                yield Pooling(
                    input=(CHANNELS, width, width),
                    output=(CHANNELS, outputs, outputs),
                    kernel=kernel,
                    stride=stride,
                    padding=padding,
                )


def compare_shapes(widest: int) -> None:
    """Compare both ways for all shapes.

    Raises:
        SystemExit: some differ.
    """
    count = 0
    for width in range(2, widest + 1):
        pixels = images(2, width)
        for layer in shapes(width):
            for layout in (torch.channels_last, torch.contiguous_format):
                count += 1
                if not same_bits(pixels.to(memory_format=layout), layer):
                    raise SystemExit(f"the bits differ: width {width}, {layer.description}")
        print(f"width {width}: the same bits in all {count} comparisons so far", flush=True)


def main() -> None:
    """Print the table, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--layers", type=positive, default=100, metavar="N", help="layers to draw (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the draws (%(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.5,
        metavar="S",
        help="seconds for each layer (%(default)s)",
    )
    parser.add_argument(
        "--shapes",
        type=positive,
        metavar="WIDTH",
        help="compare instead the bits of all shapes up to this width",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    if options.shapes:
        compare_shapes(options.shapes)
        return
    drawn = draw(options.layers, options.seed)
    times = {one: time_layer(*one, options.seconds) for one in dict.fromkeys(drawn)}
    timed = [times[one] for one in drawn]
    in_use = pooling_plan.PASS_COST
    for cost in (*COSTS, in_use):
        show(cost, timed)


if __name__ == "__main__":
    main()
