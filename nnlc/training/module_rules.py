"""Rules for modules of the user's own families that show without making steps."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nnlc.errors import FamilyError
from nnlc.families.modules.own_network import shown

BUFFER = "keep it in a buffer (register_buffer) and change it in place"
"""Advice on a state that is in no buffer."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HALF = (torch.float16, torch.bfloat16)


class Problem(NamedTuple):
    """A fault of a network's module."""

    text: str
    """Module, fault, and what to do, in one line."""
    is_failure: bool = False
    """True if the network can't be trained at all; else it must not be."""
    cause: Exception | None = None
    """The exception that the family's code raised."""


def check_scores(scores: object, batch_size: int, classes: int) -> None:
    """Check what a network has returned for a batch.

    Raises:
        FamilyError: it is not float32 (batch, classes).
    """
    if isinstance(scores, Tensor):
        if scores.shape == (batch_size, classes) and scores.dtype == torch.float32:
            return
        found = f"{str(scores.dtype).removeprefix('torch.')} {tuple(scores.shape)}"
    else:
        found = f"a {type(scores).__name__}"
    raise FamilyError(
        f"its module returned {found} for {batch_size} images: let forward return the scores of "
        f"each image for each class, float32 ({batch_size}, {classes})"
    )


def unfit(network: nn.Module) -> Iterator[Problem]:
    """Yield what makes a module unfit before it has made a step."""
    for path, module in network.named_modules():
        name = shown(path, module)
        for key, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter.dtype != torch.float32:
                yield Problem(f"{name} has {key!r} of {parameter.dtype}: nnlc trains float32 alone")
            elif parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
                yield Problem(f"{name} has hooks on {key!r}: do their work in forward")
        for key, buffer in module._buffers.items():
            if buffer is not None and (buffer.is_complex() or buffer.dtype in _HALF):
                yield Problem(f"{name} has {key!r} of {buffer.dtype}: take float32")
        if any(getattr(module, hooks) for hooks in _HOOKS):
            yield Problem(f"{name} has hooks, which files can't keep: do their work in forward")
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield Problem(f"{name} has an extra state, which nnlc does not save: {BUFFER}")
    if not any(each.requires_grad for each in network.parameters()):
        yield Problem("it has no parameters to train", is_failure=True)
