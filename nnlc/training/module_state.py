"""Memory of modules outside their parameters and buffers: attributes, closures, globals.

No checkpoint has such values, so a network whose steps change them could not be resumed.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlc.families.modules.own_network import is_of_torch, shown

Memory = dict[tuple[str, str], object]
"""Digest of each value, by path of the module and a description of where the value is."""

_DEPTH = 4
_MOST = 1000
_OWN_OF_TORCH = frozenset(vars(nn.Module())) - {"training"}


def memory_of(network: nn.Module) -> Memory:
    """Return digests of all that a network's modules remember outside of their state_dict."""
    found: Memory = {}
    for path, module in network.named_modules():
        name = shown(path, module)
        for key, value in vars(module).items():
            if key not in _OWN_OF_TORCH and key != "training":
                found[name, f"its attribute {key!r}"] = _digest(value)
        for key in module._non_persistent_buffers_set:
            found[name, f"its buffer {key!r}, which is not persistent"] = _digest(
                module._buffers[key]
            )
        if not is_of_torch(module):
            for key, value in _outside(type(module)):
                found[name, f"{key!r}, which is no part of it"] = _digest(value)
    return found


def storage_of(network: nn.Module) -> dict[tuple[str, str], tuple[int, int]]:
    """Return identity and address of each parameter and buffer, by module and name."""
    return {
        (shown(path, module), name): (id(tensor), tensor.data_ptr())
        for path, module in network.named_modules()
        for name, tensor in (module._parameters | module._buffers).items()
        if tensor is not None
    }


def state_digests(network: nn.Module) -> dict[str, object]:
    """Return a digest of each entry of a network's `state_dict`."""
    return {name: _digest(value) for name, value in network.state_dict().items()}


def _outside(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield values of a class, and those that its functions read from outside, with names."""
    for each in kind.__mro__:
        if each.__module__.split(".")[0] in ("torch", "builtins"):
            continue
        for name, value in vars(each).items():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, FunctionType):
                yield from _read_by(function)
            elif not name.startswith("__"):
                yield f"{each.__name__}.{name}", value


def _read_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield variables of closures and of the module that a function may read."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet assigned
            continue
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _names(code: CodeType) -> set[str]:
    inner = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inner)


def _digest(value: Any, depth: int = _DEPTH) -> object:
    """Return a value that is equal as long as another value is, as far as one can tell."""
    if isinstance(value, int | float | str | bytes | complex | None):
        return repr(value)
    if isinstance(value, Tensor):
        return _digest_of_tensor(value)
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, torch.Generator):
        return _digest_of_tensor(value.get_state())
    if depth == 0 or isinstance(value, nn.Module | type):
        return type(value).__name__
    return _digest_of_parts(value, depth - 1)


def _digest_of_parts(value: Any, depth: int) -> object:
    if isinstance(value, Mapping):
        parts = [(repr(k)[:80], _digest(v, depth)) for k, v in list(value.items())[:_MOST]]
        return len(value), parts
    if isinstance(value, Sequence):
        return len(value), [_digest(each, depth) for each in value[:_MOST]]
    if isinstance(value, Set):
        return len(value), sorted(repr(_digest(each, depth)) for each in value)[:_MOST]
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        return [(name, _digest(_content(cell), depth)) for name, cell in cells]
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if hasattr(value, "getstate"):  # random.Random
        return repr(value.getstate())
    library = type(value).__module__.split(".")[0]
    if library in sys.stdlib_module_names or library == "torch" or not hasattr(value, "__dict__"):
        return type(value).__name__
    return _digest(vars(value), depth)


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def _digest_of_tensor(tensor: Tensor) -> object:
    if tensor.is_meta or not tensor.numel():
        return tuple(tensor.shape)
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return tuple(tensor.shape), str(tensor.dtype), hashlib.sha256(content).hexdigest()
