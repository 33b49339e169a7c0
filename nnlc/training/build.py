"""The optimizer and the loss of a network, built from its specification."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification

_LOADING_METHODS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that load the compiler at their first call, unless they are marked."""


def make_optimizer(
    network: nn.Module, spec: Specification, settings: TrainingSection, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that a network's specification names, for a device.

    SGD whose rate changes is computed by one kernel on GPUs ("fused"): the usual kernels take the
    rate as a number, which a captured step would keep.

    Raises:
        SpecError: nnlc does not know the optimizer, or it does not have a parameter that is set.
    """
    known = optimizer_of(spec)
    arguments = known.arguments(spec, settings)
    if known.capturable and device.type == "cuda":
        arguments["capturable"] = True
    _skip_compiler()
    fused = settings.changes_rate and device.type == "cuda" and not known.capturable
    # foreach: fewer Python calls, and the same bits.
    arguments["fused" if fused else "foreach"] = True
    kind = getattr(torch.optim, known.torch_name)
    return kind(network.parameters(), **arguments)  # type: ignore[no-any-return]


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


def make_loss(spec: Specification, label_smoothing: float = 0.0) -> nn.Module:
    """Return the loss that a network's specification names.

    Raises:
        SpecError: nnlc does not know the loss.
    """
    optimizer_of(spec)
    return getattr(nn, spec.loss_fn)(label_smoothing=label_smoothing)  # type: ignore[no-any-return]
