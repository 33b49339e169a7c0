"""torch's optimizers without torch's compiler.

An optimizer tells the compiler to leave it alone, and loads it for that: 900 modules and 140 MB,
two fifths of the time that a trainer takes to start, for all ranks of a job from one file system.
Nothing is compiled here. Where a version of torch is built otherwise, the compiler is loaded as
before; no bit depends on it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

_TELLING = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods that load the compiler at their first call, unless they remember to have done so."""


def keep_compiler_away() -> None:
    """Have optimizers take their word to the compiler as given."""
    for name in _TELLING:
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)  # functools.wraps
        if method is not None:
            method.__dynamo_disable = method


def step_of(optimizer: Optimizer) -> Callable[[], Any]:
    """Return an optimizer's step without hooks, profiles and its word to the compiler."""
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__

    @torch.no_grad()
    def do() -> None:
        step(optimizer)

    return do
