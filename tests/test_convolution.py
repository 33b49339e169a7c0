"""Convolutions: PyTorch's values and gradients, without the arithmetic on padding alone."""

from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnlc.campaign.campaign import load_campaign
from nnlc.families.article import Layer, convolution_plan, walk_network
from nnlc.families.article import layers as kinds
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_plan import Way, Ways, trim
from nnlc.families.article.layer import output_width, windowed
from nnlc.families.article.modules.convolution import (
    FORWARD,
    INPUT_GRADIENT,
    WEIGHT_GRADIENT,
    Convolution,
)

WAYS = [Ways(*ways) for ways in product(FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT)]


@st.composite
def layers(draw) -> Layer:
    width, padding = draw(st.integers(1, 13)), draw(st.integers(0, 5))
    kernel = draw(st.integers(1, width))
    stride = draw(st.integers(1, kernel + 2))  # beyond the kernel too: other search spaces may
    outputs = output_width(width, kernel, stride, padding)
    return kinds.Convolution(
        input=(draw(st.integers(1, 5)), width, width),
        output=(draw(st.integers(1, 6)), outputs, outputs),
        kernel=kernel,
        stride=stride,
        padding=padding,
    )


@settings(max_examples=200)
@given(
    layers(),
    st.sampled_from([0, 64]),
    st.sampled_from(WAYS),
    st.booleans(),
    st.booleans(),
)
def test_values_and_gradients_are_those_of_a_direct_convolution(
    layer, worth, ways, ours_last, last
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution_plan, "WORTH_TRIMMING", worth)
        patch.setattr(convolution_plan, "_direct_ways", lambda *_: ways)
        ours = Convolution(layer, Conditions(7, "cpu", "direct")).double()
    plain = nn.Conv2d(
        layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
    ).double()
    plain.load_state_dict(ours.state_dict())
    if ours_last:
        ours.to(memory_format=torch.channels_last)
    pixels = torch.randn(2, *layer.input, dtype=torch.double)
    if last:
        pixels = pixels.to(memory_format=torch.channels_last)
    here, there = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    values, expected = ours(here).relu_(), plain(there).relu()
    gradient = torch.randn_like(expected)
    values.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(here.grad, there.grad)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
    torch.testing.assert_close(ours.bias.grad, plain.bias.grad)


@given(layers())
def test_what_is_left_out_sees_only_padding_and_what_is_computed_sees_the_input(layer):
    found, width = trim(layer), layer.input[1]
    for i in range(layer.output[1]):
        start = i * layer.stride - layer.padding
        sees = any(0 <= start + j < width for j in range(layer.kernel))
        if found.width < layer.output[1]:
            computed = found.first <= i < found.first + found.width
            # A stride beyond the kernel may step over the input, or over a part of it.
            assert computed or not sees
            assert sees or not computed or layer.stride > layer.kernel


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_only_outputs_that_see_the_input_are_computed(device, monkeypatch):
    monkeypatch.setattr(convolution_plan, "WORTH_TRIMMING", 0)
    layer = kinds.Convolution(input=(8, 2, 2), output=(16, 12, 12), kernel=1, stride=1, padding=5)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        Convolution(layer, Conditions(3, device, "direct"))(torch.zeros(3, 8, 2, 2))
    assert counter.get_total_flops() == 3 * 2 * layer.computed_multiply_adds == 3 * 2 * 8 * 16 * 4


def test_a_fifth_of_the_papers_direct_convolutions_is_padding_alone():
    """What the module's docstring says."""
    direct = computed = half = 0
    networks = list(load_campaign("paper").networks())[::10]
    for network in networks:
        layers = walk_network(network.spec, network.images).layers
        spent, needed = (
            sum(x.multiply_adds for x in layers),
            sum(x.computed_multiply_adds for x in layers),
        )
        direct += spent * network.images.train_images
        computed += needed * network.images.train_images
        half += needed < spent / 2
    assert 0.15 < 1 - computed / direct < 0.27
    assert 0.25 < half / len(networks) < 0.4


def test_the_same_input_gives_the_same_bits():
    layer = kinds.Convolution(input=(3, 9, 9), output=(7, 3, 3), kernel=4, stride=3, padding=1)
    torch.manual_seed(1)
    ours, pixels = Convolution(layer, Conditions(5, "cpu", "direct")), torch.randn(5, 3, 9, 9)
    results = []
    for _ in range(3):
        ours.zero_grad()
        ours(pixels).square().sum().backward()
        results.append(ours.weight.grad.clone())
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def wide_padding(channels: int) -> Layer:
    return kinds.Convolution(
        input=(channels, 7, 7), output=(256, 2, 2), kernel=7, stride=6, padding=3
    )


def test_large_convolutions_with_few_outputs_are_computed_without_their_padding():
    layer, batch = wide_padding(256), 200
    auto, direct = Conditions(batch, "cpu", "auto"), Conditions(batch, "cpu", "direct")
    # Each of the four windows sees four rows and columns of the image.
    seen = 2 * batch * 256 * 256 * 4 * (4 * 4)
    assert layer.forward_work(auto).operations == seen
    assert layer.backward_work(auto, first=False).operations == 2 * seen
    assert layer.backward_work(auto, first=False).gathered == 0
    assert layer.forward_work(direct).operations == seen * 7**2 / 4**2
    for temporary in ("forward", "backward"):
        ours, before = (getattr(layer.buffers(c), temporary) for c in (auto, direct))
        assert sum(ours) + 4 * layer.forward_work(direct).gathered <= sum(before)


@pytest.mark.parametrize(("channels", "batch"), [(256, 1), (4, 100)])
def test_small_convolutions_keep_their_ways(channels, batch):
    ways = [
        convolution_plan.plan_convolution(wide_padding(channels), Conditions(batch, "cpu", c)).ways
        for c in ("auto", "direct")
    ]
    assert ways[0] == ways[1]


@pytest.mark.parametrize(
    ("sizes", "batch", "ways"),
    [
        # Fourier transforms for wide kernels; direct ones stay where they are as fast.
        ((390, 399, 13, 9, 1, 3), 63, ("fourier", "fourier", "fourier")),
        ((400, 400, 16, 2, 1, 1), 50, ("direct", "direct", "direct")),
        # The library's gradient of the weights is slow where padding exceeds half of the kernel.
        ((400, 400, 13, 3, 1, 1), 50, ("direct", "direct", "direct")),
        ((400, 400, 13, 3, 1, 2), 50, ("direct", "direct", "fourier")),
        # It is slow with large strides and few outputs.
        ((396, 397, 9, 8, 2, 5), 27, ("fourier", "fourier", "fourier")),
        ((285, 312, 33, 10, 7, 5), 175, ("rows", "rows", "rows")),
        ((395, 400, 6, 6, 5, 5), 205, ("rows", "rows", "rows")),
        # Products of rows are slow with few images.
        ((144, 398, 20, 17, 5, 5), 8, ("product", "product", "product")),
    ],
)
def test_each_pass_on_cpus_goes_the_way_that_shapes_and_batch_make_fast(sizes, batch, ways):
    channels, filters, width, *window = sizes
    layer = windowed(kinds.Convolution, (channels, width, width), filters, *window, "of a test")
    found = convolution_plan.plan_convolution(layer, Conditions(batch, "cpu", "auto")).ways
    assert found == ways


def test_an_empty_batch_and_frozen_weights_are_allowed_by_every_way():
    layer = wide_padding(16)
    for way in get_args(Way):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convolution_plan, "_auto_ways", lambda *_, way=way: Ways(way, way, way))
            ours = Convolution(layer, Conditions(2, "cpu", "auto"))
        ours.weight.requires_grad_(requires_grad=False)
        pixels = torch.zeros(0, *layer.input, requires_grad=True)
        ours(pixels).sum().backward()
        assert pixels.grad.shape == pixels.shape
        assert ours.weight.grad is None
