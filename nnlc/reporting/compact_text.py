"""Compact text of curves and layers for a page's data."""

import base64

import numpy as np
from numpy.typing import NDArray

from nnlc.networks import Walk

_LARGEST = float(np.finfo(np.float32).max)
_LARGEST_BITS, _NAN_BITS = 0x7F7FFF00, 0x7FC00000
_HALF = 0x80


def encode_values(values: NDArray[np.float64]) -> str:
    """Return numbers as base64 of the first three bytes of each float32: four letters a number.

    The relative error is below 2^-16, for numbers from 1e-38 to 3e38; larger ones become the
    largest. NaN and infinities stay what they are.
    """
    flat = values.ravel()
    finite = np.isfinite(flat)
    clipped = np.where(finite, np.clip(flat, -_LARGEST, _LARGEST), flat)
    bits = clipped.astype(np.float32).view(np.uint32)
    sign = bits & np.uint32(0x80000000)
    rounded = np.minimum((bits & np.uint32(0x7FFFFFFF)) + np.uint32(_HALF), _LARGEST_BITS)
    bits = np.where(finite, rounded | sign, np.where(np.isnan(flat), _NAN_BITS, bits))
    octets = bits.astype(">u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return base64.b64encode(octets.tobytes()).decode("ascii")


def encode_layers(walk: Walk) -> str:
    """Return layers as `page/layers.js` reads them: a letter and numbers each, then semicolons."""
    return ";".join(" ".join(map(_short, layer.page_parts())) for layer in walk.layers)


def _short(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
