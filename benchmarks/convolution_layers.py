"""Convolutions of a campaign, and the passes of one of them, for benchmarks of single layers."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nnlc.campaign.campaign import CampaignNetwork, TrainingSection, load_campaign
from nnlc.families.arithmetic import arithmetic_of
from nnlc.families.article import Layer, walk_network
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.modules.convolution import Convolution
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import Convolutions

Values = TypeVar("Values", Tensor, nn.Conv2d)
SIZES = ("channels", "filters", "width", "kernel", "stride", "padding", "outputs", "batch")
TITLES = "".join(f"{name:>9}" for name in SIZES)


class Asked(NamedTuple):
    """A convolution of a campaign's networks, with the batch of their steps."""

    layer: Layer
    batch: int
    is_first: bool
    """True if the input is images, which need no gradient."""

    @property
    def operations(self) -> int:
        """Operations of one pass of a batch with a direct convolution."""
        return 2 * self.layer.computed_multiply_adds * self.batch

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes in the order of `SIZES`."""
        layer = self.layer
        window = layer.kernel, layer.stride, layer.padding
        return layer.input[0], layer.output[0], layer.input[1], *window, layer.output[1], self.batch

    @property
    def title(self) -> str:
        """Sizes as text, below `TITLES`."""
        return "".join(f"{size:9}" for size in self.sizes)

    def at_batch(self, most: float) -> "Asked":
        """Return the layer with at most this batch, at least 1."""
        return self._replace(batch=max(1, min(self.batch, int(most))))


def convolutions(networks: Iterable[CampaignNetwork]) -> dict[Asked, float]:
    """Return the distinct convolutions of networks with their share of all direct operations."""
    costs: Counter[Asked] = Counter()
    for network in networks:
        spec, images = network.spec, network.images
        for number, layer in enumerate(walk_network(spec, images).layers):
            if layer.kind == "convolution":
                asked = Asked(layer, spec.batch_size, number == 0)
                trained = (2 if asked.is_first else 3) * images.train_images
                passes = trained + 2 * images.validation_images
                costs[asked] += layer.computed_multiply_adds * passes
    whole = sum(costs.values())
    return {asked: cost / whole for asked, cost in costs.items()}


def heaviest(campaign: str, count: int) -> list[Asked]:
    """Return the convolutions with most operations a step."""
    known = convolutions(load_campaign(campaign).networks())
    return sorted(known, key=lambda a: -a.operations)[:count]


def draw_by_cost(shares: Mapping[Asked, float], count: int, seed: int) -> list[Asked]:
    """Return distinct convolutions, drawn with probabilities proportional to their share."""
    known, p = list(shares), np.array(list(shares.values()))
    random = np.random.default_rng(seed)
    drawn = random.choice(len(known), min(count, len(known)), replace=False, p=p / p.sum())
    return [known[i] for i in drawn]


def changes(of: CampaignNetwork) -> bool:
    """Return True if `convolutions = "direct"` trains a network in other ways."""
    settings = TrainingSection(), TrainingSection(convolutions="direct")
    return len({arithmetic_of(of.spec, of.images, each, "cpu") for each in settings}) == 2


def module(
    asked: Asked, convolutions: Convolutions | None, device: DeviceKind = "cpu"
) -> nn.Conv2d:
    """Return the module that nnlc trains for a layer, or PyTorch's own.

    Weights are the same for all. On CPUs they have the channels last in memory, as in nnlc's loop.

    Args:
        asked: the layer; its batch chooses the ways.
        convolutions: `training.convolutions`; None for PyTorch's module.
        device: kind of device, on which the module is.
    """
    layer = asked.layer
    torch.manual_seed(0)
    with torch.device(device):
        if convolutions is None:
            sizes = layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
            made: nn.Conv2d = nn.Conv2d(*sizes)
        else:
            made = Convolution(layer, Conditions(asked.batch, device, convolutions))
    return in_format(made, device)


def in_format(values: Values, device: DeviceKind) -> Values:
    """Return a tensor or module, on CPUs with the channels last in memory."""
    return values.to(memory_format=torch.channels_last) if device == "cpu" else values


def random_values(shape: tuple[int, ...], seed: int, device: DeviceKind = "cpu") -> Tensor:
    """Return normal random values, drawn on the device."""
    generator = torch.Generator(device).manual_seed(seed)
    return in_format(torch.randn(shape, generator=generator, device=device), device)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the processor seconds of some work on one thread; other programs change them less."""
    start = time.process_time()
    work()
    return time.process_time() - start
