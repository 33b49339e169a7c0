"""Errors of convolutions against float64, and curves by both ways: beside PyTorch, and seeds.

    python benchmarks/exactness.py [--layers N] [--images N] [--campaign NAME]
    python benchmarks/exactness.py --curves N

The N convolutions of a campaign with most operations a step are computed forward and backward for a
few images, by the module that nnlc trains, with the ways of the layer's own batch, and by
`torch.nn.Conv2d`; both in single precision, with the channels last in memory. Exact values are
those of PyTorch's convolution in double precision. An error is the largest of the output, of the
input's gradient or of the weights' gradient, relative to the largest exact value. It is measured on
16 filters, and for the input's gradient on 16 channels, as double precision takes long. Inputs are
normal random values without the negative ones, as after a ReLU; gradients are normal. The weights'
gradient is a sum over images: with a whole batch, PyTorch's error of it is larger than with a few.

With --curves, N networks with large kernels, in which Fourier transforms are chosen, train on the
bundled images by both settings of `training.convolutions`. The mean difference of validation
accuracies, over half epochs and networks, is set against that between five seeds.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations, islice
from pathlib import Path
from statistics import fmean, geometric_mean

import torch
from convolution_layers import TITLES, Asked, changes, heaviest, module, random_values
from options import CAMPAIGN, known_campaign, positive
from own_process import trainer_process
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from nnlc.campaign.campaign import CampaignNetwork, parse_campaign
from nnlc.campaign.dataset_section import DatasetSection
from nnlc.families.article import walk_network
from nnlc.families.article.cost import training_operations
from nnlc.networks.recipe import TrainingSection
from nnlc.system.hardware import processor_name
from nnlc.training.loaded_images import load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

SEEDS = 5
EPOCHS = 3
CURVES = {
    "name": "exactness",
    "seed": 3,
    "stamp": datetime(2026, 11, 30),
    "epochs": EPOCHS,
    "datasets": {"F-MNIST-sample": {"networks_per_depth": 200, "depths": [2, 3]}},
    "space": {
        "kernel": [5, 20],
        "stride": [1, 2],
        "padding": [0, 5],
        "filters": [16, 80],
        "pool_kernel": [1, 3],
        "fc_layers": [1, 2],
        "fc_units": [16, 256],
        "learning_rate_exponent": [-3.0, -1.0],
        "momentum_exponent": [-1.0, -0.05],
    },
}
"""Campaign with large kernels, of which networks are trained."""
MOST_OPERATIONS = 4e12
"""Most operations of a network that is trained, with direct convolutions."""
MEASURED = 16
"""Number of filters or channels on which errors are measured."""
PASSES = ("output", "input's gradient", "weights' gradient")
WAYS = ("auto", None)


def errors(asked: Asked, images: int) -> list[list[float]]:
    """Return the relative errors of each pass, by nnlc's module and by PyTorch's."""
    layer, some = asked.layer, slice(MEASURED)
    pixels = random_values((images, *layer.input), 1).relu_()
    gradient = random_values((images, *layer.output), 2)
    modules = [module(asked, way) for way in WAYS]
    weight, bias = modules[0].weight.detach().double(), modules[0].bias.detach().double()
    step, wide = (layer.stride, layer.padding), (pixels.double(), gradient.double())
    outputs, inputs, weights = [], [], torch.zeros_like(weight[some])
    for image, change in zip(*(values.split(1) for values in wide), strict=True):  # for memory
        outputs.append(functional.conv2d(image, weight[some], bias[some], *step))
        inputs.append(conv2d_input(image[:, some].shape, weight[:, some], change, *step))
        weights += conv2d_weight(image, weights.shape, change[:, some], *step)
    exact = [torch.cat(outputs), torch.cat(inputs), weights]
    return [
        [
            float((a - b).abs().max() / b.abs().max())
            for a, b in zip(results(made, pixels, gradient), exact, strict=True)
        ]
        for made in modules
    ]


def results(made: torch.nn.Module, pixels: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """Return the measured parts of output and gradients."""
    given, some = pixels.clone().requires_grad_(), slice(MEASURED)
    output = made(given)
    output.backward(gradient)
    return output.detach()[:, some], given.grad[:, some], made.weight.grad[some]


def show_errors(campaign: str, count: int, images: int) -> None:
    """Print each layer's errors, and their ratios over all layers."""
    asked = heaviest(campaign, count)
    print(f"{TITLES}  relative errors of {', of '.join(PASSES)}: nnlc's, torch's")
    ratios: list[list[float]] = []
    for each, (ours, theirs) in zip(asked, on_all_cores(errors, asked, images), strict=True):
        ratios.append([a / b for a, b in zip(ours, theirs, strict=True)])
        pairs = zip(ours, theirs, strict=True)
        print(f"{each.title}  " + "".join(f"  {a:.1e} {b:.1e}" for a, b in pairs), flush=True)
    for name, found in zip(PASSES, zip(*ratios, strict=True), strict=True):
        print(
            f"{name}: nnlc's error is {geometric_mean(found):.2f} times torch's (geometric mean), "
            f"at most {max(found):.2f} times; larger in {sum(r > 1 for r in found)} of {count}"
        )


def on_all_cores(work: Callable, items: Sequence, *arguments: object) -> Iterator:
    """Yield the results of some work on each item, done by a trainer's process on each core."""
    pools = [trainer_process() for _ in os.sched_getaffinity(0)]
    futures = [
        pools[number % len(pools)].submit(work, item, *arguments)
        for number, item in enumerate(items)
    ]
    for future in futures:
        yield future.result()
    for pool in pools:
        pool.shutdown()


def is_chosen(of: CampaignNetwork) -> bool:
    """Return True if a network's curves by both ways differ, and are soon computed."""
    walk = walk_network(of.spec, of.images)
    return changes(of) and training_operations(walk, of.spec, of.images, EPOCHS) < MOST_OPERATIONS


def curve(run: tuple[CampaignNetwork, str]) -> list[float]:
    """Return the validation accuracies of a network's half epochs, in percent."""
    of, convolutions = run
    settings = TrainingSection(convolutions=convolutions)
    section = DatasetSection(networks_per_depth=1, depths=(1, 1))
    images = load_images(of.images, section, Path())
    on_cpu = DeviceImages(images, settings, torch.device("cpu"))
    loop = HalfEpochLoop(of.family, of.spec, of.images, on_cpu, settings, EPOCHS)
    return [row.val_accuracy_percent for row in loop]


def show_curves(count: int) -> None:
    """Print the differences of curves between ways, and between seeds."""
    networks = parse_campaign(CURVES, Path("exactness.py")).networks()
    chosen = list(islice(filter(is_chosen, networks), count))
    runs = []
    for of in chosen:
        seeds = range(of.spec.random_seed, of.spec.random_seed + SEEDS)
        runs += [(of, "direct")]
        runs += [(replace(of, spec=replace(of.spec, random_seed=s)), "auto") for s in seeds]
    found, both = on_all_cores(curve, runs), []

    def difference(one: list[float], other: list[float]) -> float:
        return fmean(abs(a - b) for a, b in zip(one, other, strict=True))

    print("network depth batch   last accuracy: direct, auto   mean difference of ways, of seeds")
    for of in chosen:
        direct, *autos = islice(found, 1 + SEEDS)
        of_ways = difference(direct, autos[0])
        of_seeds = fmean(difference(*two) for two in combinations(autos, 2))
        both.append((of_ways, of_seeds))
        print(
            f"{of.index:7} {of.spec.depth:5} {of.spec.batch_size:5} {direct[-1]:22.2f} "
            f"{autos[0][-1]:6.2f} {of_ways:26.2f} {of_seeds:8.2f}",
            flush=True,
        )
    ways, seeds = map(fmean, zip(*both, strict=True))
    print(f"accuracies differ by {ways:.2f} points between ways, by {seeds:.2f} between seeds")


def main() -> None:
    """Print errors, or differences of curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--campaign", type=known_campaign, default="paper", metavar="NAME", help=CAMPAIGN
    )
    parser.add_argument(
        "--layers",
        type=positive,
        default=100,
        metavar="N",
        help="heaviest layers to compute (%(default)s)",
    )
    parser.add_argument(
        "--images",
        type=positive,
        default=8,
        metavar="N",
        help="images for each layer (%(default)s)",
    )
    parser.add_argument(
        "--curves",
        type=positive,
        metavar="N",
        help="compare instead the learning curves of N networks",
    )
    options = parser.parse_args()
    print(f"{processor_name()}, torch {torch.__version__}")
    if options.curves:
        show_curves(options.curves)
    else:
        show_errors(options.campaign, options.layers, options.images)


if __name__ == "__main__":
    main()
