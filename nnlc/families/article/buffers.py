"""Memory that a layer allocates in a training step, in bytes.

The numbers are those of the layers of PyTorch and of `nnlc.training`: values that a layer keeps for
the backward pass, and temporary memory of its kernels.
"""

from typing import NamedTuple

INDEX_BYTES = 8
"""Bytes of the index of a pooling window's maximum."""


class Buffers(NamedTuple):
    """Bytes that one layer allocates for a whole batch."""

    output: int
    """Bytes of the output; 0 if the layer returns a view of its input or works in place."""
    kept: tuple[int, ...] = ()
    """Further bytes that are kept for the backward pass."""
    forward: tuple[int, ...] = ()
    """Temporary bytes of the forward pass."""
    backward: tuple[int, ...] = ()
    """Temporary bytes of the backward pass, the input's gradient included."""
    keeps_input: bool = False
    """True if the backward pass needs the layer's input."""
    keeps_output: bool = False
    """True if the backward pass needs the layer's output."""
    gaps: int = 0
    """Bytes in gaps between tensors, beside what is usual, if the device's memory has such gaps."""
    only_in_training: bool = False
    """True if the layer does nothing in validation."""
