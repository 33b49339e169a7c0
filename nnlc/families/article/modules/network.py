"""The torch module of one of the article's networks, built from its walk."""

import torch
from torch import nn

from nnlc.families.article import Layer, NetworkSpec, Walk
from nnlc.families.article.conditions import Conditions, conditions_of
from nnlc.families.article.modules.convolution import Convolution
from nnlc.families.article.modules.dropout import Dropout, Masks
from nnlc.families.article.modules.pooling import TwoPassPooling
from nnlc.families.article.pooling_plan import pools_in_two_passes
from nnlc.families.article.torch_calls import CALLS, drops_channels
from nnlc.families.network_family import TrainedNetwork
from nnlc.networks.recipe import TrainingSection


class Network(nn.Sequential):
    """A network as a torch module, a submodule for each layer of its walk.

    Input: float32 (batch, channels, width, width); on a CPU, channels last in memory are fastest.
    Output: float32 (batch, classes), unnormalised.

    Args:
        walk: the network's layers.
        spec: the network; the ways of its convolutions are chosen for its batch.
        settings: the campaign's settings, which choose the kinds of pooling and dropout, and the
            ways of convolutions.
        device: the device that the module will run on. The initial parameters do not depend on it:
            PyTorch draws them on the current default device, from its global random stream.
    """

    def __init__(
        self,
        walk: Walk,
        spec: NetworkSpec,
        settings: TrainingSection = TrainingSection(),  # noqa: B008  it is immutable
        *,
        device: torch.device = torch.device("cpu"),  # noqa: B008  it is immutable
    ) -> None:
        self._masks = Masks() if device.type == "cpu" else None
        self.has_dropout = any(layer.kind == "dropout" for layer in walk.layers)
        conditions = conditions_of(spec, settings, "cpu" if device.type == "cpu" else "cuda")
        super().__init__(
            *(_fast_module(layer, settings, conditions, self._masks) for layer in walk.layers)
        )
        if device.type == "cpu":
            self.to(memory_format=torch.channels_last)
        self.to(device)

    def restart_dropout(self, seed: int) -> None:
        """Seed the masks before a training step, so that they depend on `seed` alone."""
        if self._masks is not None:
            self._masks.restart(seed)
        else:
            torch.cuda.manual_seed(seed)

    def is_dead(self) -> bool:
        """Return True if every bias of the last layer is NaN, so that all later rows are equal.

        Then all scores are NaN for every image, and so are losses and gradients. NaN weights stay
        NaN in every step, so predictions and accuracy stay those of this half epoch.
        """
        last = self[-1]
        assert isinstance(last, nn.Linear)  # noqa: S101  for the type checker
        return bool(last.bias.isnan().all())


def plain_network(walk: Walk, settings: TrainingSection) -> nn.Sequential:
    """Return a network of PyTorch's own modules."""
    return nn.Sequential(*(plain_module(layer, settings) for layer in walk.layers))


def plain_module(layer: Layer, settings: TrainingSection) -> nn.Module:
    """Return PyTorch's own module for a layer."""
    name, sizes, arguments = CALLS[layer.kind](layer, settings)
    module: nn.Module = getattr(nn, name)(*sizes, **arguments)
    return module


def _fast_module(
    layer: Layer, settings: TrainingSection, conditions: Conditions, masks: Masks | None
) -> nn.Module:
    """Return the module that nnlc trains for a layer.

    Args:
        layer: a layer of a walk.
        settings: the campaign's training settings.
        conditions: the training's conditions.
        masks: the masks for all dropout layers of the network on a CPU; None on a GPU.
    """
    match layer.kind:
        case "convolution":
            return Convolution(layer, conditions)
        case "relu":  # in place, as the convolution before it does not need its output any more
            return nn.ReLU(inplace=True)
        case "dropout" if masks is not None:
            return Dropout(layer.rate, masks, whole_channels=drops_channels(layer, settings))
        case "pooling" if pools_in_two_passes(layer, conditions):
            return TwoPassPooling(layer)
    return plain_module(layer, settings)


def trained_network(
    walk: Walk, spec: NetworkSpec, settings: TrainingSection, device: torch.device
) -> TrainedNetwork:
    """Return a network as trainers train it."""
    network = Network(walk, spec, settings, device=device)
    return TrainedNetwork(
        network,
        network.restart_dropout if network.has_dropout else None,
        network.is_dead,
    )
