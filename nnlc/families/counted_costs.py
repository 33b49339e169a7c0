"""Counted costs of networks, for families that have no model of their own costs.

`nnlc.training.counting` counts them with torch; processes without torch read them from a file of
`nnlc.families.costs_file`. They follow from a network's columns and the code of its family, so one
store serves a whole process.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from nnlc.errors import FamilyError
from nnlc.networks.specification import FamilySpec

HOW_TO_COUNT = (
    "where torch is installed, 'nnlc specs CAMPAIGN --costs FILE' counts the costs of all networks;"
    " give FILE with --costs"
)
"""Advice on unknown costs."""


class UnknownCostError(FamilyError):
    """The costs of a network are neither counted here nor read from a file."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of a training step of one network, for a batch of its own size."""

    parameters: int
    """Number of weights and biases."""
    parameter_tensors: int
    """Number of tensors that these are in."""
    buffer_bytes: int
    """Bytes of the module's buffers, such as running statistics."""
    convolutions: int
    """Convolutions in a forward pass."""
    multiply_adds: int
    """Multiply-adds of one image's forward pass."""
    forward_operations: int
    """Floating-point operations of the forward pass; a multiply-add counts twice."""
    backward_operations: int
    narrow_operations: int
    """Operations of the forward pass in convolutions with few input channels."""
    forward_values: int
    """Activations that the operations of the forward pass read or write."""
    backward_values: int
    forward_kernels: int
    """Operations of torch in the forward pass, views left out."""
    backward_kernels: int
    peak_bytes: int
    """Most bytes of images, activations and gradients at any moment."""
    kept_bytes: int
    """Bytes of the tensors that the forward pass keeps for the backward pass."""
    largest_bytes: int
    """Bytes of the largest tensor, weights included."""

    @property
    def is_known(self) -> bool:
        """False if neither this network could be counted, nor any other of its campaign."""
        return self.parameters > 0

    def scaled(self, factor: float) -> Self:
        """Return the counts for a batch `factor` times as large."""
        return type(self)(
            *(
                round(factor * getattr(self, field.name))
                if field.name in _OF_BATCH
                else getattr(self, field.name)
                for field in fields(self)
            )
        )

    @classmethod
    def mean(cls, of: Iterable[Self]) -> Self:
        """Return the mean of counts, each rounded; without any, counts of 0."""
        rows = [[getattr(each, field.name) for field in fields(cls)] for each in of]
        columns = zip(*rows, strict=True) if rows else [[0]] * len(fields(cls))
        return cls(*(round(sum(column) / len(column)) for column in map(list, columns)))


_OF_BATCH = frozenset(
    (
        *("forward_operations", "backward_operations", "narrow_operations"),
        *("forward_values", "backward_values", "peak_bytes", "kept_bytes", "largest_bytes"),
    )
)
"""Counts that grow with the batch."""

_known: dict[str, Counted] = {}


def cost_key(spec: FamilySpec) -> str:
    """Return a digest of all columns that the counts of a network follow from."""
    about = [spec.family, spec.own, spec.batch_size, spec.dataset]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]


def remember(found: dict[str, Counted]) -> None:
    """Add counts of networks, by key, to this process's store."""
    _known.update(found)


def known_counts(key: str) -> Counted | None:
    """Return the counts of the network with this key, or None."""
    return _known.get(key)


def counted_of(spec: FamilySpec) -> Counted:
    """Return the counts of a network.

    Raises:
        UnknownCostError: they are unknown here.
    """
    found = known_counts(cost_key(spec))
    if found is None:
        raise UnknownCostError(f"network {spec.id}: its costs are unknown here; {HOW_TO_COUNT}")
    return found
