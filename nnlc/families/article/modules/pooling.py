"""Max pooling in two passes: along rows, then along columns.

A window of k × k then takes 2k comparisons instead of k². Values, winners and gradients have the
bits of `nn.MaxPool2d`: both keep the first of equal values, row by row, and of several NaN the
last. PyTorch itself computes the gradient, from the winners of both passes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nnlc.families.article import Layer
from nnlc.families.article.pooling_plan import images_in_block

_pool = torch.ops.aten.max_pool2d_with_indices
_gradient = torch.ops.aten.max_pool2d_with_indices_backward


class TwoPassPooling(nn.MaxPool2d):
    """`nn.MaxPool2d` with square windows, in two passes: the same bits."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer.kernel, layer.stride, layer.padding)
        self._layer = layer

    def forward(self, pixels: Tensor) -> Tensor:
        """Pool (batch, channels, width, width) to (batch, channels, outputs, outputs)."""
        return _TwoPasses.apply(pixels, self._layer)  # type: ignore[no-any-return]


class _TwoPasses(torch.autograd.Function):
    """Both passes over one block of images after the other, so that caches hold a block."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, layer: Layer) -> Tensor:
        # PyTorch's layout, for a single channel too.
        layout = torch.channels_last if pixels.stride(1) == 1 else torch.contiguous_format
        values = torch.empty((len(pixels), *layer.output), dtype=pixels.dtype, memory_format=layout)
        winners = torch.empty_like(values, dtype=torch.int64)
        images = images_in_block(layer)
        blocks = (torch.split(whole, images) for whole in (pixels, values, winners))
        for block in zip(*blocks, strict=True):
            _pool_block(layer, *block, is_training=ctx.needs_input_grad[0])
        ctx.save_for_backward(pixels, winners)
        ctx.layer = layer
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pixels, winners = ctx.saved_tensors
        k, s, p = ctx.layer.kernel, ctx.layer.stride, ctx.layer.padding
        window = (k, k), (s, s), (p, p), (1, 1), False
        return _gradient(gradient, pixels, *window, winners), None


def _pool_block(
    layer: Layer, pixels: Tensor, values: Tensor, winners: Tensor, *, is_training: bool
) -> None:
    """Write the values of some images and, in training, the indices of the pixels that won."""
    k, s, p = layer.kernel, layer.stride, layer.padding
    rows, in_image = _pool(pixels, (1, k), (1, s), (0, p))
    in_rows = torch.empty_like(winners)
    _pool.out(rows, (k, 1), (s, 1), (p, 0), out=values, indices=in_rows)
    if is_training:
        torch.gather(in_image.flatten(2), 2, in_rows.flatten(2), out=winners.flatten(2))
