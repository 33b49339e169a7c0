"""Convolutions by Fourier transforms, compared with direct ones in double precision."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from nnlc.families.article import fourier
from nnlc.families.article.convolution_plan import Trim, trim
from nnlc.families.article.fourier import plan_fourier
from nnlc.families.article.layer import output_width
from nnlc.families.article.layers import Convolution
from nnlc.families.article.modules.fourier import FourierConvolution

LARGEST_ERROR = 3e-6
"""Relative to the largest exact value times the square root of what it sums."""


def convolution(channels, width, filters, kernel, stride, padding):
    out = output_width(width, kernel, stride, padding)
    return Convolution(
        input=(channels, width, width),
        output=(filters, out, out),
        kernel=kernel,
        stride=stride,
        padding=padding,
    )


@st.composite
def convolutions(draw):
    width, padding = draw(st.integers(1, 14)), draw(st.integers(0, 5))
    kernel = draw(st.integers(1, width + 2 * padding))
    stride = draw(st.integers(1, kernel + 1))
    return convolution(
        draw(st.integers(1, 9)), width, draw(st.integers(1, 9)), kernel, stride, padding
    )


def exact(pixels, weight, gradient, layer, part):
    """Return outputs of a part and both gradients, in double precision."""
    pixels, weight = (t.double().requires_grad_() for t in (pixels, weight))
    inner = slice(part.first, part.first + part.width)
    values = F.conv2d(pixels, weight, None, layer.stride, layer.padding)[:, :, inner, inner]
    values.backward(gradient.double())
    return values.detach(), pixels.grad, weight.grad


def arguments(layer, part, batch):
    torch.manual_seed(0)
    shapes = (
        (batch, *layer.input),
        (layer.output[0], layer.input[0], layer.kernel, layer.kernel),
        (batch, layer.output[0], part.width, part.width),
    )
    return [torch.randn(s).contiguous(memory_format=torch.channels_last) for s in shapes]


def assert_close(found, expected, scale):
    assert (found.double() - expected).abs().max() <= LARGEST_ERROR * scale


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let small convolutions have many blocks."""
    monkeypatch.setattr(fourier, "_SPECTRA_BYTES", {"cpu": 1 << 14, "cuda": 1 << 14})
    monkeypatch.setattr(fourier, "_BLOCK_BYTES", {"cpu": 1 << 13, "cuda": 1 << 13})
    monkeypatch.setattr(fourier, "_LEAST_BLOCK", 2)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(1, 5), st.sampled_from(["cpu", "cuda"]), st.booleans())
@example(convolution(2, 3, 8, 2, 2, 4), 4, "cpu", True)  # padding without images before and after
@example(convolution(7, 11, 1, 11, 11, 4), 3, "cuda", True)  # pixels that no output sees
@example(convolution(3, 1, 2, 2, 5, 5), 2, "cpu", True)  # a stride that skips the whole input
def test_outputs_and_gradients_are_those_of_direct_convolutions(layer, batch, device, trimmed):
    part = trim(layer) if trimmed else Trim(0, layer.output[1], layer.padding, layer.padding)
    pixels, weight, gradient = arguments(layer, part, batch)
    values, of_pixels, of_weight = exact(pixels, weight, gradient, layer, part)
    ours = FourierConvolution(plan_fourier(layer, part, batch, device))
    scale = (layer.input[0] * layer.kernel**2) ** 0.5
    assert_close(ours(pixels, weight), values, 3 * scale)
    both = ours.gradients(gradient, pixels, weight, of_pixels=True, of_weight=True)
    assert_close(both[0], of_pixels, 3 * (layer.output[0] * layer.kernel**2) ** 0.5)
    assert_close(both[1], of_weight, 3 * (batch * part.width**2) ** 0.5)
    for wanted in (0, 1):
        flags = {"of_pixels": wanted == 0, "of_weight": wanted == 1}
        alone = ours.gradients(gradient, pixels, weight, **flags)
        assert alone[1 - wanted] is None
        expected, scale = (of_pixels, of_weight)[wanted], both[wanted].abs().max() + 1
        assert_close(alone[wanted], expected, 10 * scale)


def test_the_same_inputs_give_the_same_bits():
    layer = convolution(9, 13, 7, 5, 2, 3)
    part = trim(layer)
    pixels, weight, gradient = arguments(layer, part, 6)
    found = []
    for _ in range(2):
        ours = FourierConvolution(plan_fourier(layer, part, 6, "cpu"))
        given = pixels.clone(memory_format=torch.preserve_format)
        of = ours.gradients(gradient, given, weight, of_pixels=True, of_weight=True)
        found.append([ours(given, weight), *of])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_plan_adds_no_entry_to_checkpoints():
    layer = convolution(3, 8, 4, 5, 1, 2)
    assert not FourierConvolution(plan_fourier(layer, trim(layer), 2, "cpu")).state_dict()


class Allocations(TorchFunctionMode):
    """Counts the bytes of the tensors that torch's functions return; `most` is the largest sum."""

    def __init__(self):
        super().__init__()
        self.most, self._alive = 0, {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            given = [a for a in (*args, *(kwargs or {}).values()) if isinstance(a, torch.Tensor)]
            storage = found.untyped_storage()
            if storage.data_ptr() not in [g.untyped_storage().data_ptr() for g in given]:
                self._alive[StorageWeakRef(storage)] = storage.nbytes()
            self._alive = {s: size for s, size in self._alive.items() if not s.expired()}
            self.most = max(self.most, sum(self._alive.values()))
        return found


def allocated(function):
    with Allocations() as allocations:
        results = function()
    del results
    return allocations.most


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("layer", "batch"),
    [
        (convolution(6, 14, 9, 8, 1, 5), 4),
        (convolution(1, 12, 7, 5, 2, 1), 20),
        (convolution(9, 9, 3, 9, 1, 4), 1),
        (convolution(2, 3, 2, 2, 1, 0), 2),
    ],
)
def test_predicted_memory_is_what_is_allocated_at_the_worst_moment(layer, batch, device):
    part = trim(layer)
    pixels, weight, gradient = arguments(layer, part, batch)
    plan = plan_fourier(layer, part, batch, device)
    module = FourierConvolution(plan)
    needed = allocated(partial(module, pixels, weight))
    assert needed <= plan.forward_bytes() + gradient.nbytes <= 1.2 * needed
    for of_pixels, of_weight in ((True, True), (True, False), (False, True)):
        wanted = {"of_pixels": of_pixels, "of_weight": of_weight}
        results = of_pixels * pixels.nbytes + of_weight * weight.nbytes
        needed = allocated(partial(module.gradients, gradient, pixels, weight, **wanted))
        assert needed <= plan.backward_bytes(**wanted) + results <= 1.2 * needed
