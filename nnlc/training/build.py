"""From a specification to a torch module, its optimizer and its loss."""

import torch
from torch import nn

from nnlc.networks import NetworkSpec, Walk
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.training.dropout import Masks
from nnlc.training.light_optimizers import keep_compiler_away
from nnlc.training.modules import fast_module


class Network(nn.Sequential):
    """A walked network, layer for layer.

    Input: float32 (batch, channels, width, width), on a CPU best with the channels last in memory.
    Output: float32 (batch, classes), unnormalised.

    Args:
        walk: its layers.
        settings: the campaign's: kinds of pooling and dropout.
        device: where it will run. The parameters are drawn on the current default device, by
            PyTorch's default initialisation from its global random stream: the same for all.
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
        """From here on the masks depend on `seed` alone. Before each training step."""
        if self._masks is not None:
            self._masks.restart(seed)
        else:
            torch.cuda.manual_seed(seed)


def make_optimizer(
    network: nn.Module, spec: NetworkSpec, settings: TrainingSection, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that a network's specification names, for a device.

    Raises:
        SpecError: nnlc does not know it, or not with such parameters.
    """
    known = optimizer_of(spec)
    arguments = known.arguments(spec, settings)
    if known.capturable and device.type == "cuda":
        arguments["capturable"] = True
    keep_compiler_away()
    # foreach: the same bits as one by one, and less Python.
    kind = getattr(torch.optim, known.torch_name)
    return kind(network.parameters(), **arguments, foreach=True)  # type: ignore[no-any-return]


def make_loss(spec: NetworkSpec) -> nn.Module:
    """Return the loss that a network's specification names.

    Raises:
        SpecError: nnlc does not know it.
    """
    optimizer_of(spec)
    return getattr(nn, spec.loss_fn)()  # type: ignore[no-any-return]
