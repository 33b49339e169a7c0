"""Counted costs of networks, for families that have no model of their own costs.

A trainer or `nnlc specs --costs` counts them with torch; all other processes read them from files.
They are facts of a network's shape, so one store serves a whole process.
"""

import hashlib
import json
from typing import NamedTuple

from nnlc.errors import FamilyError
from nnlc.networks.specification import FamilySpec


class Counted(NamedTuple):
    """Counts of one network, for a batch of its own size."""

    parameters: int
    """Number of weights and biases."""
    buffer_bytes: int
    """Bytes of the module's buffers, such as running statistics."""
    convolutions: int
    multiply_adds: int
    """Multiply-adds of one image's forward pass."""
    forward_operations: int
    backward_operations: int
    forward_values: int
    """Values read or written by the operations of a forward pass in training."""
    backward_values: int
    forward_kernels: int
    """Operations of torch in a forward pass in training."""
    backward_kernels: int
    kept_bytes: int
    """Bytes of the tensors that the forward pass keeps for the backward pass."""
    largest_bytes: int
    """Bytes of the largest tensor of a step."""


_known: dict[str, Counted] = {}


def cost_key(spec: FamilySpec) -> str:
    """Return a digest of all that a network's counts depend on."""
    about = [spec.family, spec.own, spec.batch_size, spec.dataset]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]


def remember(spec: FamilySpec, counted: Counted) -> None:
    """Add the counts of a network to this process's store."""
    _known[cost_key(spec)] = counted


def counted_of(spec: FamilySpec) -> Counted:
    """Return the counts of a network.

    Raises:
        FamilyError: they are unknown here.
    """
    found = _known.get(cost_key(spec))
    if found is None:
        raise FamilyError(
            f"network {spec.id}: its cost is unknown here; where torch is installed, "
            "'nnlc specs CAMPAIGN --costs FILE' counts the costs of all networks; give FILE with "
            "--costs"
        )
    return found
