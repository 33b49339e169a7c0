"""Convolutions that skip windows with only padding, and compute each pass in its own way.

`nnlc.families.article.convolution_plan` says which outputs must be computed, the others equal the
bias; and it chooses the ways. Often few outputs with large kernels remain. On CPUs the libraries'
direct convolutions then reach a tenth of a core's peak, and matrix products most of it.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nnlc.families.article import Layer
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_plan import (
    DIRECT,
    ConvolutionPlan,
    Trim,
    Way,
    plan_convolution,
)
from nnlc.families.article.modules import row_products
from nnlc.families.article.modules.fourier import FourierConvolution

# Speed of "product" relative to "direct", for the sum of 98 convolutions of the article's search
# space on two cores with AVX2: forward 1.3, gradient of the input 1.6, gradient of the weights 2.0.


class Convolution(nn.Conv2d):
    """`nn.Conv2d` with square windows: the same parameters, and the same values up to rounding.

    It computes batches of any size, by the ways that its plan chose for the training's batch.

    Args:
        layer: the layer, for its sizes.
        conditions: the training's conditions.
    """

    def __init__(self, layer: Layer, conditions: Conditions) -> None:
        super().__init__(layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding)
        self._plan, self._outputs = plan_convolution(layer, conditions), layer.output[1]
        transforms = self._plan.transforms
        self._transforms = FourierConvolution(transforms) if transforms else None

    def forward(self, pixels: Tensor) -> Tensor:
        """Convolve (batch, channels, width, width) to (batch, filters, outputs, outputs)."""
        plan, part, stride = self._plan, self._plan.trim, self.stride[0]
        bias = None if plan.is_trimmed else self.bias
        if plan.ways == DIRECT:
            values = _convolve(pixels, self.weight, bias, part, stride)
        else:
            values = _ByWays.apply(pixels, self.weight, bias, plan, stride, self._transforms)
        if not plan.is_trimmed or self.bias is None:
            return values
        after = self._outputs - part.first - part.width
        values = F.pad(values, (part.first, after, part.first, after))
        return values.add_(self.bias.view(1, -1, 1, 1))


class _ByWays(torch.autograd.Function):
    """A convolution of which each pass is computed in its own way."""

    @staticmethod
    def forward(
        ctx: Any,
        pixels: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        plan: ConvolutionPlan,
        stride: int,
        transforms: FourierConvolution | None,
    ) -> Tensor:
        ctx.save_for_backward(pixels, weight)
        ctx.plan, ctx.stride, ctx.transforms = plan, stride, transforms
        if transforms is None or plan.ways.forward != "fourier":
            return FORWARD[plan.ways.forward](pixels, weight, bias, plan.trim, stride)
        values: Tensor = transforms(pixels, weight)
        return values if bias is None else values.add_(bias.view(1, -1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pixels, weight = ctx.saved_tensors
        ways, known = ctx.plan.ways, (gradient, pixels, weight, ctx.plan.trim, ctx.stride)
        needs_pixels, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        of_bias = of_pixels = of_weight = None
        wanted = {
            "of_pixels": needs_pixels and ways.input_gradient == "fourier",
            "of_weight": needs_weight and ways.weight_gradient == "fourier",
        }
        if any(wanted.values()):
            of_pixels, of_weight = ctx.transforms.gradients(gradient, pixels, weight, **wanted)
        if needs_weight and of_weight is None:
            of_weight = WEIGHT_GRADIENT[ways.weight_gradient](*known)
        if needs_bias:
            # The sum over a matrix and that over images may differ in their bits.
            is_product = ways.weight_gradient == "product"
            of_bias = _rows(gradient).sum(0) if is_product else gradient.sum((0, 2, 3))
        if needs_pixels and of_pixels is None:
            of_pixels = INPUT_GRADIENT[ways.input_gradient](*known)
        return of_pixels, of_weight, of_bias, None, None, None


def _convolve(
    pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int
) -> Tensor:
    if _is_even(part):
        return F.conv2d(pixels, weight, bias, stride, part.left)
    return F.conv2d(_padded(pixels, part), weight, bias, stride)


def _padded(pixels: Tensor, part: Trim) -> Tensor:
    if part.left == 0 and part.right == 0:
        return pixels
    return F.pad(pixels, (part.left, part.right, part.left, part.right))


def _product(
    pixels: Tensor, weight: Tensor, bias: Tensor | None, part: Trim, stride: int
) -> Tensor:
    """Return the convolution of images that have the channels last in memory."""
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


def _product_weight_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    filters, kernel = weight.shape[0], weight.shape[2]
    products = _rows(gradient).t() @ _windows(pixels, kernel, part, stride)
    return products.view(filters, kernel, kernel, -1).permute(0, 3, 1, 2)


def _product_input_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    windows = _rows(gradient) @ _as_matrix(weight)
    return _spread(windows, pixels.shape, weight.shape[2], part, stride)


def _rows(gradient: Tensor) -> Tensor:
    """Return the gradient of each output: (batch * width * width, filters)."""
    return gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])


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


def _direct_input_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    of_given = _direct_gradients(gradient, pixels, weight, part, stride, (True, False, False))[0]
    if _is_even(part):
        return of_given
    return F.pad(of_given, (-part.left, -part.right, -part.left, -part.right))


def _direct_weight_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, part: Trim, stride: int
) -> Tensor:
    return _direct_gradients(gradient, pixels, weight, part, stride, (False, True, False))[1]


def _direct_gradients(
    gradient: Tensor,
    pixels: Tensor,
    weight: Tensor,
    part: Trim,
    stride: int,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the wanted gradients of a direct convolution: of padded input, weights and bias."""
    padding = part.left if _is_even(part) else 0
    given = pixels if _is_even(part) else _padded(pixels, part)
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        gradient, given, weight, None, (stride, stride), (padding, padding), (1, 1), False, (0, 0),
        1, wanted,
    )  # fmt: skip


def _is_even(part: Trim) -> bool:
    """Return True if the library itself can pad the input."""
    return part.left == part.right and part.left >= 0


_Gradient = Callable[[Tensor, Tensor, Tensor, Trim, int], Tensor]
"""Function of the gradient of the outputs, the input, the weights, the outputs that are computed,
and the stride."""
FORWARD: dict[Way, Callable[[Tensor, Tensor, Tensor | None, Trim, int], Tensor]] = {
    "direct": _convolve,
    "product": _product,
    "rows": row_products.forward,
}
"""Functions for the forward pass, of the input, the weights, the bias, the outputs that are
computed, and the stride."""
INPUT_GRADIENT: dict[Way, _Gradient] = {
    "direct": _direct_input_gradient,
    "product": _product_input_gradient,
    "rows": row_products.input_gradient,
}
WEIGHT_GRADIENT: dict[Way, _Gradient] = {
    "direct": _direct_weight_gradient,
    "product": _product_weight_gradient,
    "rows": row_products.weight_gradient,
}
