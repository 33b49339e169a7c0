"""The torch module, optimizer and loss of a network, built from its specification."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnlc.networks import Layer, NetworkSpec, Walk
from nnlc.networks.conditions import Conditions, conditions_of
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.pooling_plan import pools_in_two_passes
from nnlc.networks.recipe import TrainingSection
from nnlc.training.convolution import Convolution
from nnlc.training.dropout import Dropout, Masks
from nnlc.training.pooling import TwoPassPooling
from nnlc.training.torch_calls import CALLS, drops_channels

_LOADING_METHODS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that load the compiler at their first call, unless they are marked."""


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


def make_optimizer(
    network: nn.Module, spec: NetworkSpec, settings: TrainingSection, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that a network's specification names, for a device.

    Raises:
        SpecError: nnlc does not know the optimizer, or it does not have a parameter that is set.
    """
    known = optimizer_of(spec)
    arguments = known.arguments(spec, settings)
    if known.capturable and device.type == "cuda":
        arguments["capturable"] = True
    _skip_compiler()
    # foreach: fewer Python calls, and the same bits.
    kind = getattr(torch.optim, known.torch_name)
    return kind(network.parameters(), **arguments, foreach=True)  # type: ignore[no-any-return]


def _skip_compiler() -> None:
    """Mark optimizers' methods as known to torch's compiler, so that they don't load it.

    An optimizer loads the compiler only to tell it not to compile the optimizer: 900 modules
    and 140 MB, 40% of the start time of a trainer, for all ranks of a job from one file system.
    nnlc compiles nothing. With versions of torch that differ here, the compiler is loaded; the bits
    are the same.
    """
    for name in _LOADING_METHODS:
        method = getattr(
            getattr(torch.optim.Optimizer, name), "__wrapped__", None
        )  # functools.wraps
        if method is not None:
            method.__dynamo_disable = method


def bare_step(optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
    """Return an optimizer's step function without hooks, profiling and compiler."""
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__

    @torch.no_grad()
    def do() -> None:
        step(optimizer)

    return do


def make_loss(spec: NetworkSpec) -> nn.Module:
    """Return the loss that a network's specification names.

    Raises:
        SpecError: nnlc does not know the loss.
    """
    optimizer_of(spec)
    return getattr(nn, spec.loss_fn)()  # type: ignore[no-any-return]
