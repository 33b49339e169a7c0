"""Counted costs of networks, for families that have no model of their own costs.

`nnlc.training.counting` counts them with torch; processes without torch read them from a file of
`nnlc.families.costs_file`. They follow from a network alone, so one store serves a whole process.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self


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


def remember(found: dict[str, Counted]) -> None:
    """Add counts of networks, by key, to this process's store."""
    _known.update(found)


def known_counts(key: str) -> Counted | None:
    """Return the counts of the network with this key, or None."""
    return _known.get(key)
