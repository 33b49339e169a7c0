"""The torch module, optimizer and loss of a network, built from its specification."""

import torch
from torch import nn

from nnlc.networks import NetworkSpec, Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.training.dropout import Masks
from nnlc.training.light_optimizers import skip_compiler
from nnlc.training.modules import fast_module


class Network(nn.Sequential):
    """A network as a torch module, a submodule for each layer of its walk.

    Input: float32 (batch, channels, width, width); on a CPU, channels last in memory are fastest.
    Output: float32 (batch, classes), unnormalised.

    Args:
        walk: the network's layers.
        settings: the campaign's settings, which choose the kinds of pooling and dropout.
        device: the device that the module will run on. PyTorch's default initialisation draws the
            parameters on the current default device, from its global random stream, so that they
            do not depend on this device.
    """

    def __init__(
        self,
        walk: Walk,
        settings: TrainingSection = TrainingSection(),  # noqa: B008  it is immutable
        *,
        device: torch.device = torch.device("cpu"),  # noqa: B008  it is immutable
    ) -> None:
        self._masks = Masks() if device.type == "cpu" else None
        self.has_dropout = any(layer.kind == "dropout" for layer in walk.layers)
        super().__init__(*(fast_module(layer, settings, self._masks) for layer in walk.layers))
        if device.type == "cpu":
            self.to(memory_format=torch.channels_last)
        self.to(device)

    def restart_dropout(self, seed: int) -> None:
        """Seed the dropout masks, before each training step: later masks depend on `seed` alone."""
        if self._masks is not None:
            self._masks.restart(seed)
        else:
            torch.cuda.manual_seed(seed)


def make_optimizer(
    network: nn.Module, spec: NetworkSpec, settings: TrainingSection, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that a network's specification names, for a device.

    Raises:
        SpecError: nnlc does not know the optimizer, or the optimizer lacks a parameter.
    """
    known = optimizer_of(spec)
    arguments = known.arguments(spec, settings)
    if known.capturable and device.type == "cuda":
        arguments["capturable"] = True
    skip_compiler()
    # foreach: fewer Python calls, and the same bits.
    kind = getattr(torch.optim, known.torch_name)
    return kind(network.parameters(), **arguments, foreach=True)  # type: ignore[no-any-return]


def make_loss(spec: NetworkSpec) -> nn.Module:
    """Return the loss that a network's specification names.

    Raises:
        SpecError: nnlc does not know the loss.
    """
    optimizer_of(spec)
    return getattr(nn, spec.loss_fn)()  # type: ignore[no-any-return]
