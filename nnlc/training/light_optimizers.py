"""Use of torch's optimizers without loading torch's compiler.

An optimizer tells the compiler not to compile it, and loads the compiler for that: 900 modules and
140 MB, 40% of the start time of a trainer, for all ranks of a job from one file system. nnlc
compiles nothing. With versions of torch that differ here, the compiler is loaded; the bits are the
same.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

_LOADING_METHODS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that load the compiler at their first call, unless they are marked."""


def skip_compiler() -> None:
    """Mark optimizers' methods as known to the compiler, so that they don't load it."""
    for name in _LOADING_METHODS:
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)  # functools.wraps
        if method is not None:
            method.__dynamo_disable = method


def bare_step(optimizer: Optimizer) -> Callable[[], Any]:
    """Return an optimizer's step function without hooks, profiling and compiler."""
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__

    @torch.no_grad()
    def do() -> None:
        step(optimizer)

    return do
