"""Convolutions as matrix products of rows of pixels, read in place, without the padding.

There is one product for each output and each row of its window, over all images of a batch. Both
the pixels that the row has in an image and their weights are contiguous if channels are last in
memory. So nothing is copied, and no zeros are multiplied.
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from nnlc.networks.convolution_plan import Trim, seen

_Index = tuple[slice, int, int | slice]


def forward(pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int) -> Tensor:
    """Return the convolution of images."""
    # `values` must be no view, as the ReLU after it works in place.
    values = torch.empty(
        (pixels.shape[0], weight.shape[0], part.width, part.width),
        dtype=pixels.dtype,
        memory_format=torch.channels_last,
    )
    values.copy_(values.new_zeros(()) if bias is None else bias.view(1, -1, 1, 1))
    images, weights, outputs = _rows(pixels), _rows(weight), values.permute(0, 2, 3, 1)
    for output, row, window_row in _products(pixels, weight, part, stride):
        outputs[output].addmm_(images[row], weights[window_row].t())
    return values


def input_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    """Return the gradient of the input."""
    found, weights, of_outputs = _zeros(pixels), _rows(weight), _channels_last(gradient)
    for output, row, window_row in _products(pixels, weight, part, stride):
        found[row].addmm_(of_outputs[output], weights[window_row])
    return _squares(found, pixels)


def weight_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    """Return the gradient of the weights."""
    found, images, of_outputs = _zeros(weight), _rows(pixels), _channels_last(gradient)
    for output, row, window_row in _products(pixels, weight, part, stride):
        found[window_row].addmm_(of_outputs[output].t(), images[row])
    return _squares(found, weight)


def _products(
    pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Iterator[tuple[_Index, _Index, _Index]]:
    """Yield where each product finds its output, its pixels in `_rows`, and their weights."""
    every, channels = slice(None), pixels.shape[1]
    known = seen(part, pixels.shape[2], weight.shape[2], stride)
    for down, right in product(known, known):
        output = every, down.output, right.output
        columns, window_columns = (
            slice(first * channels, (first + right.pixels) * channels)
            for first in (right.pixel, right.start)
        )
        for i in range(down.pixels):
            yield output, (every, down.pixel + i, columns), (every, down.start + i, window_columns)


def _channels_last(squares: Tensor) -> Tensor:
    return squares.permute(0, 2, 3, 1).contiguous()


def _rows(squares: Tensor) -> Tensor:
    """Return (images or filters, width, width * channels)."""
    return _channels_last(squares).flatten(2)


def _zeros(squares: Tensor) -> Tensor:
    """Return zeros in the shape of `_rows`."""
    count, channels, width = squares.shape[:3]
    return squares.new_zeros(count, width, width * channels)


def _squares(rows: Tensor, like: Tensor) -> Tensor:
    """Return what `_rows` got."""
    count, channels, width = like.shape[:3]
    return rows.view(count, width, width, channels).permute(0, 3, 1, 2)
