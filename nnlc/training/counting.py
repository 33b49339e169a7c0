"""Counting of a network's cost, by one training step without arithmetic on torch's meta device.

A dispatch mode sees every operation of the forward and the backward pass: its floating-point
operations by the formulas of torch's FLOP counter, the values that it reads and writes, and the
memory of the tensors that live. A module that fails on the meta device is counted on the CPU with a
small batch, and its counts are scaled to the network's own.
"""

import os
import sys
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from nnlc.errors import NnlcError
from nnlc.families.counted_costs import Counted
from nnlc.families.interface import Family
from nnlc.families.own_code import what_was_raised
from nnlc.families.own_family import OwnFamily
from nnlc.families.registry import family_from_json
from nnlc.networks import ImageSet
from nnlc.networks.specification import FamilySpec
from nnlc.system.messages import Message, decode, encode
from nnlc.system.process import end_with_parent

_SMALL_BATCH = 4
"""Batch on the CPU: batch normalisation needs two images."""
_NARROW_CHANNELS = 4
"""Most input channels of a convolution that leaves vector registers mostly empty."""
_WITHOUT_WORK = frozenset(
    ("aten::_unsafe_view", "aten::empty", "aten::empty_like", "aten::empty_strided")
)
"""Operations that read and write no values, beside views."""


class Count(NamedTuple):
    """Counts of a network, and how they were made."""

    counted: Counted
    on_cpu: str | None = None
    """Why the network was counted on the CPU; None if it was counted on the meta device."""


def count_network(family: Family, spec: FamilySpec, images: ImageSet) -> Count:
    """Count a network's cost.

    Raises:
        Exception: whatever the family's module raises, on the meta device and on the CPU.
    """
    try:
        return Count(_count_step(family, spec, images, "meta", spec.batch_size))
    except Exception as problem:
        batch = min(_SMALL_BATCH, spec.batch_size)
        found = _count_step(family, spec, images, "cpu", batch)
        return Count(found.scaled(spec.batch_size / batch), what_was_raised(family, problem))


def answers(request: Message) -> Iterator[Message]:
    """Yield an answer for each network of a "count" message: its counts, or why there are none."""
    family = cast(OwnFamily, family_from_json(request["family"])).family
    for each in request["networks"]:
        spec, images = FamilySpec.from_json(each["spec"]), ImageSet(**each["image_set"])
        answer: Message = {"key": each["key"]}
        try:
            found = count_network(family, spec, images)
        except Exception as problem:
            yield answer | {"reason": f"{spec.id}: {what_was_raised(family, problem)}"}
            continue
        on_cpu = found.on_cpu and f"{spec.id}: {found.on_cpu}"
        yield answer | {"counts": astuple(found.counted), "on_cpu": on_cpu}


def main(_: list[str]) -> None:
    """Answer one request; each answer is a line on standard output."""
    end_with_parent()
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what modules print goes to the log, not between the answers
    try:
        for answer in answers(decode(sys.stdin.buffer.read())):
            channel.write(encode(answer))
            channel.flush()
    except NnlcError as problem:  # the family's code can't be loaded here
        channel.write(encode({"key": "", "reason": str(problem)}))
        channel.flush()


def _count_step(
    family: Family, spec: FamilySpec, images: ImageSet, device: str, batch: int
) -> Counted:
    with torch.device(device):
        module = family.build(spec, images).to(device)
        pixels = torch.zeros(batch, images.channels, images.width, images.width)
        labels = torch.zeros(batch, dtype=torch.int64)
    module.train()
    parameters = list(module.parameters())
    lasting = {_key(each) for each in (*parameters, *module.buffers())}
    tally = _Tally(lasting, pixels)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if _key(tensor) not in lasting:
            kept[_key(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with tally:
        with saved_tensors_hooks(note, lambda tensor: tensor):
            loss = nn.functional.cross_entropy(module(pixels), labels)
        forward = tally.so_far()
        kept_bytes = sum(kept.values())
        loss.backward()  # type: ignore[no-untyped-call]
    both = tally.so_far()
    count = sum(each.numel() for each in parameters)
    return Counted(
        parameters=count,
        parameter_tensors=len(parameters),
        buffer_bytes=sum(each.untyped_storage().nbytes() for each in module.buffers()),
        convolutions=forward.convolutions,
        multiply_adds=forward.operations // (2 * batch),
        forward_operations=forward.operations,
        backward_operations=both.operations - forward.operations,
        narrow_operations=forward.narrow,
        forward_values=forward.values,
        # Gradients of weights are no activations.
        backward_values=max(0, both.values - forward.values - count),
        forward_kernels=forward.kernels,
        backward_kernels=both.kernels - forward.kernels,
        peak_bytes=tally.peak_bytes,
        kept_bytes=kept_bytes,
        largest_bytes=max([tally.largest_bytes, *(each.nbytes for each in parameters)]),
    )


class _Sums(NamedTuple):
    """Counts of operations so far."""

    operations: int = 0
    narrow: int = 0
    values: int = 0
    kernels: int = 0
    convolutions: int = 0


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums of all operations, and the memory of the tensors that live.

    Args:
        lasting: keys of the storages of parameters and buffers, which are counted elsewhere.
        pixels: the images of the step.

    Attributes:
        peak_bytes: most bytes that lived at a time.
        largest_bytes: bytes of the largest tensor.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would load its compiler to skip it

    def __init__(self, lasting: set[int], pixels: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._lasting = lasting
        self._sums = _Sums()
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._live_bytes = self.peak_bytes = self.largest_bytes = 0
        self._follow([pixels])

    def so_far(self) -> _Sums:
        return self._sums

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        made = list(_tensors(out))
        self._follow(made)
        if func.is_view or func._schema.name in _WITHOUT_WORK:
            return out
        read = [each for each in _tensors((args, kwargs)) if _key(each) not in self._lasting]
        formula = flop_registry.get(func._overloadpacket)
        operations = formula(*args, **kwargs, out_val=out) if formula else 0
        forward = func._schema.name in ("aten::convolution", "aten::_convolution")
        is_narrow = forward and args[1].shape[1] <= _NARROW_CHANNELS
        self._sums = _Sums(
            self._sums.operations + operations,
            self._sums.narrow + (operations if is_narrow else 0),
            self._sums.values + sum(each.numel() for each in (*read, *made)),
            self._sums.kernels + 1,
            self._sums.convolutions + forward,
        )
        return out

    def _follow(self, tensors: Iterable[Tensor]) -> None:
        """Count the storages of tensors, each until it is freed."""
        for each in tensors:
            storage, key = each.untyped_storage(), _key(each)
            if key in self._lasting or key in self._alive:
                continue
            size = storage.nbytes()

            def free(_: Any, key: int = key, size: int = size) -> None:
                self._alive.pop(key, None)
                self._live_bytes -= size

            self._alive[key] = weakref.ref(storage, free)
            self._live_bytes += size
            self.peak_bytes = max(self.peak_bytes, self._live_bytes)
            self.largest_bytes = max(self.largest_bytes, size)


def _tensors(values: Any) -> Iterator[Tensor]:
    return (each for each in tree_iter(values) if isinstance(each, Tensor))


def _key(tensor: Tensor) -> int:
    """Return a number that no other living storage has."""
    return int(tensor.untyped_storage()._cdata)
