"""Convolutions as matrix products of rows of pixels, read in place, without the padding.

There is one product for each output and each row of its window, over all images of a batch. Both
the pixels that the row has in an image and their weights are contiguous if channels are last in
memory. So nothing is copied, and no zeros are multiplied.
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from nnlc.families.article.convolution_plan import Trim, seen

_Index = tuple[slice, int, int | slice]


def forward(pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int) -> Tensor:
    """Return the convolution of images."""
    shape = pixels.shape[0], weight.shape[0], part.width, part.width
    start = pixels.new_zeros(1) if bias is None else bias
    # `values` must be no view, as the ReLU after it works in place.
    values = start.view(1, -1, 1, 1).expand(shape).clone(memory_format=torch.channels_last)
    images, weights, outputs = _last(pixels), _last(weight), values.permute(0, 2, 3, 1)
    for output, row, window_row in _products(pixels, weight, part, stride):
        outputs[output].addmm_(images[row].flatten(1), weights[window_row].flatten(1).t())
    return values


def input_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    """Return the gradient of the input."""
    outputs, weights, found = _last(gradient), _last(weight), torch.zeros_like(_last(pixels))
    for output, row, window_row in _products(pixels, weight, part, stride):
        found[row].flatten(1).addmm_(outputs[output], weights[window_row].flatten(1))
    return found.permute(0, 3, 1, 2)


def weight_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    """Return the gradient of the weights."""
    outputs, images, found = _last(gradient), _last(pixels), torch.zeros_like(_last(weight))
    for output, row, window_row in _products(pixels, weight, part, stride):
        found[window_row].flatten(1).addmm_(outputs[output].t(), images[row].flatten(1))
    return found.permute(0, 3, 1, 2)


def _products(
    pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Iterator[tuple[_Index, _Index, _Index]]:
    """Yield where each product finds its output, its row of pixels, and their weights."""
    every, known = slice(None), seen(part, pixels.shape[2], weight.shape[2], stride)
    for (i, top, rows), (j, left, columns) in product(known, known):
        values = slice(columns.start, columns.stop)
        weights = slice(columns.start - left, columns.stop - left)
        for row in rows:
            yield (every, i, j), (every, row, values), (every, row - top, weights)


def _last(squares: Tensor) -> Tensor:
    """Return (images or filters, width, width, channels)."""
    return squares.permute(0, 2, 3, 1).contiguous()
