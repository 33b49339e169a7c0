"""Memory of a trainer beside that of its network, and the heap that the network is in."""

from nnlc.networks.image_sets import ImageSet
from nnlc.networks.machine import DeviceKind

VALUE_BYTES = 4
"""Bytes of a value: all arithmetic is in single precision."""
_LABEL_BYTES = 8
_LIBRARY_BYTES: dict[DeviceKind, int] = {"cuda": 600_000_000, "cpu": 580_000_000}
"""Bytes of a trainer without images and network.

cuda: assumed, for CUDA's context and the kernels of cuDNN and cuBLAS. cpu: measured, in a process
that had imported torch 2.14 and made one step on Linux."""
_WORKSPACE_BYTES = 2 * 32 * 2**20
"""Bytes of cuBLAS's workspaces, one for the forward pass and one for autograd's thread.

Their size is that of `CUBLAS_WORKSPACE_CONFIG`, 8 × 4 MiB."""
_HEAP: dict[DeviceKind, float] = {"cuda": 1.0, "cpu": 1.4}
"""Ratio of the heap's size to the bytes in use: fragmentation, and copies made by libraries.

Measured on CPUs, with networks of the article's search space."""
_SMALL_HEAP: dict[DeviceKind, float] = {"cuda": 1.0, "cpu": 2.6}
"""Ratio for the first `_SMALL_BYTES` in use. Fragments grow for about 20 steps, by 50 to 200 MB."""
_SMALL_BYTES = 200_000_000

SEGMENT_BYTES = 48 * 2**20
"""Bytes in gaps on a GPU, however little memory is in use.

torch reserves segments: of 2 MiB for tensors of at most 1 MiB, of 20 MiB for tensors below 10 MiB,
else of whole multiples of 2 MiB. Ordinary memory and that of CUDA graphs have segments of their
own."""
LARGEST_TENSORS = 2.75
"""Bytes in further gaps on a GPU, for each byte of the largest tensor: where it was, smaller ones
have room, after which it needs another place. With those of Fourier convolutions, they were
measured with torch's allocator on a stub driver: `python tests/gpu/reserved_memory.py`."""


def heap_bytes(used: int, device: DeviceKind) -> int:
    """Return the size of the heap in which some bytes are in use at the worst moment."""
    small = min(used, _SMALL_BYTES)
    return int(_SMALL_HEAP[device] * small + _HEAP[device] * (used - small))


def library_bytes(device: DeviceKind) -> int:
    """Return the bytes of a trainer without images and network."""
    return _LIBRARY_BYTES[device] + (_WORKSPACE_BYTES if device == "cuda" else 0)


def unmeasured_bytes(device: DeviceKind) -> int:
    """Return the predicted bytes that a journal lacks, which has what torch reserves on a GPU."""
    return _LIBRARY_BYTES[device] if device == "cuda" else 0


def image_bytes(images: ImageSet) -> int:
    """Return the bytes of a whole image set on a device: pixels as uint8, labels as int64."""
    count = images.train_images + images.validation_images
    return count * (images.channels * images.width**2 + _LABEL_BYTES)
