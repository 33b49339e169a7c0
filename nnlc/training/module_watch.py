"""Watch over a module's steps: operations that draw random numbers, or that GPUs do in any order.

A network may draw with torch.nn's dropout layers alone: nnlc seeds their stream before each step.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from nnlc.families.modules.own_network import is_of_torch, shown

NO_DETERMINISTIC_KERNEL = frozenset(
    (
        *("avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"),
        *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward"),
        *("fractional_max_pool3d_backward", "max_unpool2d", "max_unpool3d"),
        *("upsample_linear1d_backward", "upsample_bicubic2d_backward"),
        *("upsample_trilinear3d_backward", "_upsample_bicubic2d_aa_backward"),
        *("_upsample_bilinear2d_aa_backward", "reflection_pad1d_backward"),
        *("reflection_pad2d_backward", "reflection_pad3d_backward", "nll_loss2d_forward"),
        *("_ctc_loss_backward", "put", "put_", "histc", "bincount", "kthvalue"),
        *("grid_sampler_2d_backward", "grid_sampler_3d_backward"),
    )
)
"""Operations that torch refuses on GPUs in its deterministic mode, by their names in aten: PyTorch,
`torch.use_deterministic_algorithms`. Bilinear upsampling is not among them: for GPUs,
`torch.nn.functional.interpolate` then uses other operations."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watch over steps of one network.

    Args:
        network: the network.

    Attributes:
        draws: operations or libraries that drew random numbers, by module, in order.
        unordered: operations without a deterministic kernel on GPUs, by module, in order.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would load its compiler to skip it: 186 MB in every trainer

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._paths = {id(module): path for path, module in network.named_modules()}
        self._network = network
        self._running: list[nn.Module] = []
        self._did: dict[str, str] = {}
        self._streams = global_streams()
        self.draws: dict[str, str] = {}
        self.unordered: dict[str, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch all that happens in this context."""
        self._running.clear()
        self._streams = global_streams()
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave)
        try:
            with self:
                yield
        finally:
            before.remove()
            after.remove()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        draws = torch.Tag.nondeterministic_seeded in func.tags
        before = torch.default_generator.get_state() if draws else None
        result = func(*args, **(kwargs or {}))
        name = func.__name__.split(".")[0]
        if (
            before is not None
            and not torch.equal(before, torch.default_generator.get_state())
            and not (self._running and isinstance(self._running[-1], _DropoutNd))
        ):
            self.draws.setdefault(self._where(), f"torch.{name}")
        if name in NO_DETERMINISTIC_KERNEL and not _is_harmless(func, args, kwargs or {}):
            self.unordered.setdefault(self._did.get(_stem(name), self._where()), name)
        if self._running:
            self._did.setdefault(_stem(name), self._where())
        return result

    def _where(self) -> str:
        module = self._running[-1] if self._running else self._network
        return shown(self._paths.get(id(module), ""), module)

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._running.append(module)

    def _leave(self, module: nn.Module, *_: Any) -> None:
        if not is_of_torch(module) and (streams := global_streams()) != self._streams:
            library = "random" if streams[0] != self._streams[0] else "numpy.random"
            self.draws.setdefault(self._where(), library)
            self._streams = streams
        if self._running:
            self._running.pop()


def _stem(name: str) -> str:
    """Return the name that an operation and its backward pass share."""
    return name.removesuffix("_backward").removesuffix("_with_indices").lstrip("_")


def _is_harmless(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return True for bincount without weights, which counts in whole numbers."""
    return func.__name__.startswith("bincount") and len(args) < 2 and "weights" not in kwargs


def global_streams() -> tuple[object, object]:
    """Return the states of Python's and of NumPy's global random streams."""
    drawn: Any = np.random.get_state()
    return random.getstate(), (drawn[1].tobytes(), *drawn[2:])
