"""Convolutions that skip windows with only padding, and use matrix products where faster.

`nnlc.networks.buffers` says which outputs must be computed; the others equal the bias. Often few
outputs with large kernels remain. On CPUs the libraries' direct convolutions then reach a tenth of
a core's peak, and matrix products most of it.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nnlc.networks import Layer
from nnlc.networks.buffers import FEW_OUTPUTS, Trim, plan_convolution

# Speed relative to direct convolutions, for the sum of 98 convolutions of the article's search
# space on two cores with AVX2: forward 1.3, gradient of the input 1.6, gradient of the weights 2.0.


class Convolution(nn.Conv2d):
    """`nn.Conv2d` with square windows: the same parameters, and the same values up to rounding.

    Args:
        layer: the layer, for its sizes.
        products: True on CPUs, where few outputs are computed as a matrix product.
    """

    def __init__(self, layer: Layer, *, products: bool) -> None:
        super().__init__(layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding)
        plan = plan_convolution(layer)
        self._part, self._outputs = plan.trim, layer.output[1]
        self._trimmed, self._as_product = plan.is_trimmed, products and plan.gradient_is_product

    def forward(self, pixels: Tensor) -> Tensor:
        """Convolve (batch, channels, width, width) to (batch, filters, outputs, outputs)."""
        part, stride = self._part, self.stride[0]
        bias = None if self._trimmed else self.bias
        if self._as_product:
            values = _FewOutputs.apply(pixels, self.weight, bias, part, stride)
        else:
            values = _convolve(pixels, self.weight, bias, part, stride)
        if not self._trimmed or self.bias is None:
            return values  # type: ignore[no-any-return]
        after = self._outputs - part.first - part.width
        values = F.pad(values, (part.first, after, part.first, after))
        return values.add_(self.bias.view(1, -1, 1, 1))


def _convolve(
    pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int
) -> Tensor:
    if part.left == part.right and part.left >= 0:
        return F.conv2d(pixels, weight, bias, stride, part.left)
    return F.conv2d(_padded(pixels, part), weight, bias, stride)


def _padded(pixels: Tensor, part: Trim) -> Tensor:
    if part.left == 0 and part.right == 0:
        return pixels
    return F.pad(pixels, (part.left, part.right, part.left, part.right))


class _FewOutputs(torch.autograd.Function):
    """A convolution with few outputs; all tensors have the channels last in memory."""

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int
    ) -> Tensor:
        ctx.save_for_backward(pixels, weight)
        ctx.part, ctx.stride = part, stride
        if part.width > FEW_OUTPUTS:
            return _convolve(pixels, weight, bias, part, stride)
        windows, matrix = _windows(pixels, weight.shape[2], part, stride), _as_matrix(weight).t()
        # `values` must be no view of the product, as the ReLU after it works in place.
        values = torch.empty(
            (pixels.shape[0], weight.shape[0], part.width, part.width),
            dtype=pixels.dtype,
            memory_format=torch.channels_last,
        )
        product = values.permute(0, 2, 3, 1).view(-1, weight.shape[0])
        if bias is None:
            torch.mm(windows, matrix, out=product)
        else:
            torch.addmm(bias, windows, matrix, out=product)
        return values

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor | None, None, None]:
        pixels, weight = ctx.saved_tensors
        part, stride = ctx.part, ctx.stride
        kernel, filters = weight.shape[2], weight.shape[0]
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
        products = rows.t() @ _windows(pixels, kernel, part, stride)
        of_weight = products.view(filters, kernel, kernel, -1).permute(0, 3, 1, 2)
        of_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        of_pixels = None
        if ctx.needs_input_grad[0]:
            if part.width > FEW_OUTPUTS:
                of_pixels = _direct_gradient(gradient, pixels, weight, part, stride)
            else:
                of_pixels = _spread(rows @ _as_matrix(weight), pixels.shape, kernel, part, stride)
        return of_pixels, of_weight, of_bias, None, None


def _windows(pixels: Tensor, kernel: int, part: Trim, stride: int) -> Tensor:
    """Return the window of each output: (batch * width * width, kernel * kernel * channels)."""
    views = _padded(pixels, part).unfold(2, kernel, stride).unfold(3, kernel, stride)
    batch, channels = views.shape[:2]
    rows = batch * part.width**2
    return views.permute(0, 2, 3, 4, 5, 1).reshape(rows, kernel * kernel * channels)


def _as_matrix(weight: Tensor) -> Tensor:
    """Return the weights as (filters, kernel * kernel * channels)."""
    return weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)


def _spread(rows: Tensor, shape: torch.Size, kernel: int, part: Trim, stride: int) -> Tensor:
    """Return images in which each window is added at its position: the gradient of `_windows`."""
    batch, channels, input_width = shape[:3]
    width = part.width
    padded_width = input_width + part.left + part.right
    windows = rows.view(batch, width, width, kernel, kernel, channels)
    whole = rows.new_zeros(batch, padded_width, padded_width, channels)
    for i in range(width):
        for j in range(width):
            top, side = i * stride, j * stride
            whole[:, top : top + kernel, side : side + kernel] += windows[:, i, j]
    images = whole.permute(0, 3, 1, 2)
    return F.pad(images, (-part.left, -part.right, -part.left, -part.right))


def _direct_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    """Return the gradient of a direct convolution's input."""
    even = part.left == part.right and part.left >= 0
    padding = part.left if even else 0
    given = pixels if even else _padded(pixels, part)
    of_given, _, _ = torch.ops.aten.convolution_backward(
        gradient, given, weight, None, (stride, stride), (padding, padding), (1, 1), False, (0, 0),
        1, (True, False, False),
    )  # fmt: skip
    if even:
        return of_given  # type: ignore[no-any-return]
    return F.pad(of_given, (-part.left, -part.right, -part.left, -part.right))
