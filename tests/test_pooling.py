"""Max pooling in two passes: every bit is PyTorch's own, in fewer comparisons."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import SAMPLE, spec
from torch import nn

from nnlc.families.article import Layer, pooling_plan, walk_network
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.layer import output_width
from nnlc.families.article.layers import Pooling
from nnlc.families.article.modules.network import Network
from nnlc.families.article.modules.pooling import TwoPassPooling
from nnlc.networks.recipe import TrainingSection

SPECIALS = torch.tensor([-torch.inf, torch.nan, -0.0, 0.0, torch.inf, -torch.nan, 1.0])
CPU = Conditions(50, "cpu", "direct")
WIDE = spec(layer_types=(2,), conv_strides=(1,), pool_kernels=(13,), pool_strides=(1,))


def pooling(channels: int, width: int, kernel: int, stride: int = 1, padding: int = 0) -> Layer:
    outputs = output_width(width, kernel, stride, padding)
    shape = (channels, outputs, outputs)
    window = {"kernel": kernel, "stride": stride, "padding": padding}
    return Pooling(input=(channels, width, width), output=shape, **window)


@st.composite
def layers(draw) -> Layer:
    width, channels = draw(st.integers(2, 42)), draw(st.sampled_from([1, 3, 17]))
    kernel = draw(st.integers(1, width))
    stride, padding = draw(st.integers(1, kernel)), draw(st.integers(0, kernel // 2))
    return pooling(channels, width, kernel, stride, padding)


def results(way, pixels, winners_of):
    """Values, winners and gradient, as bits that can be compared, and their layouts."""
    given = pixels.detach().requires_grad_()
    values = way(given)
    winners = winners_of(values.grad_fn)
    gradient = torch.linspace(0.1, 1, values.numel()).view_as(values)
    values.backward(gradient)
    bits = values.detach().view(torch.int32), winners, given.grad.view(torch.int32)
    return [(one, one.stride()) for one in bits]


@settings(max_examples=60)
@given(layers(), st.integers(0, 7), st.integers(1, 7), st.booleans())
def test_values_winners_and_gradients_have_the_bits_and_layout_of_one_pass(
    layer, first, count, last
):
    some = SPECIALS.roll(first)[:count]
    pixels = some[torch.randint(count, (3, *layer.input))]
    pixels[2].normal_()
    pixels = pixels.to(memory_format=torch.channels_last if last else torch.contiguous_format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling_plan, "_BLOCK_BYTES", 24 * layer.input[0] * layer.input[1] ** 2)
        found = results(TwoPassPooling(layer), pixels, lambda node: node.saved_tensors[1])
    plain = nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
    wanted = results(plain, pixels, lambda node: node._saved_result1)
    for (one, layout), (other, its_layout) in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
        assert layout == its_layout


def test_the_first_of_equal_values_gets_the_gradient_and_of_several_nan_the_last():
    pixels = torch.zeros(1, 2, 9, 9)
    pixels[0, 1, 2, 7] = pixels[0, 1, 4, 1] = torch.nan
    pixels.requires_grad_()
    TwoPassPooling(pooling(2, 9, 9))(pixels).nan_to_num(7).sum().backward()
    assert pixels.grad[0, 0].nonzero().tolist() == [[0, 0]]
    pixels.grad = None
    TwoPassPooling(pooling(2, 9, 9))(pixels).backward(torch.ones(1, 2, 1, 1))
    assert pixels.grad[0, 1].nonzero().tolist() == [[4, 1]]


def test_without_a_gradient_no_winners_are_composed(monkeypatch):
    layer, pixels = pooling(3, 20, 11), torch.randn(4, 3, 20, 20)
    monkeypatch.setattr(torch, "gather", None)
    assert torch.equal(TwoPassPooling(layer)(pixels), nn.MaxPool2d(11, 1)(pixels))


def pools(settings: TrainingSection, device: str) -> nn.Module:
    with torch.device(device):
        network = Network(walk_network(WIDE, SAMPLE), WIDE, settings, device=torch.device(device))
    return network[1]


def test_wide_windows_get_two_passes_on_cpus_and_only_for_the_maximum():
    assert type(pools(TrainingSection(), "cpu")) is TwoPassPooling
    assert type(pools(TrainingSection(), "meta")) is nn.MaxPool2d
    assert type(pools(TrainingSection(pooling="average"), "cpu")) is nn.AvgPool2d
    chosen = [
        kernel
        for kernel in range(1, 33)
        if pooling_plan.pools_in_two_passes(pooling(8, 32, kernel, padding=kernel // 2), CPU)
    ]
    assert chosen == list(range(7, 33))
    one_output = pooling(8, 32, 32)
    assert not pooling_plan.pools_in_two_passes(one_output, CPU)


def test_a_network_has_the_gradients_and_parameter_names_that_it_has_with_one_pass():
    walk = walk_network(WIDE, SAMPLE)
    pixels = torch.rand(100, 1, 28, 28)
    networks = [Network(walk, WIDE) for _ in range(2)]
    networks[1][1] = nn.MaxPool2d(13, 1)
    networks[1].load_state_dict(networks[0].state_dict())
    for network in networks:
        network(pixels).square().sum().backward()
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_fewer_comparisons_and_the_memory_of_a_block_are_counted_on_cpus():
    layer, gpu = pooling(16, 30, 11), CPU._replace(device="cuda")
    assert layer.output[1] == 20
    assert layer.forward_work(gpu).comparisons == 50 * 2 * (20 * 11) ** 2
    assert layer.forward_work(CPU).comparisons == 50 * 2 * 11 * 20 * (30 + 20)
    average = CPU._replace(pooling="average")
    assert layer.forward_work(average) == layer.forward_work(gpu)
    assert sum(layer.buffers(gpu).forward) == sum(layer.buffers(average).forward) == 0
    images = pooling_plan.images_in_block(layer)
    assert 1 < images < 50
    between = 16 * 30 * 20 * 12 + 16 * 20 * 20 * 8
    assert sum(layer.buffers(CPU).forward) == images * between <= 2**20
    assert sum(layer.buffers(CPU._replace(batch=1)).forward) == between
    large = replace(layer, input=(400, 30, 30), output=(400, 20, 20))
    assert pooling_plan.images_in_block(large) == 1
