"""Dropout on CPUs: its rate, its scale, and masks that depend on the step's seed alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnlc.families.article.modules.dropout import Dropout, Masks


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.7])
def test_so_many_values_are_dropped_and_the_rest_makes_up_for_them(rate):
    values = Dropout(rate, Masks())(ones(50, 20, 30, 30))
    kept = values != 0
    assert kept.float().mean().item() == pytest.approx(1 - rate, abs=3e-3)
    assert values[kept].unique().tolist() == [pytest.approx(1 / (1 - rate))]


def test_neighbours_and_layers_are_dropped_independently():
    masks = Masks()
    first, second = Dropout(0.5, masks), Dropout(0.5, masks)
    a, b = (layer(ones(100, 10, 32, 32)) != 0 for layer in (first, second))
    for one, other in ((a, b), (a[..., 1:], a[..., :-1]), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1])):
        assert (one == other).float().mean().item() == pytest.approx(0.5, abs=3e-3)


def test_whole_channels_are_dropped_where_that_is_asked_for():
    values = Dropout(0.4, Masks(), whole_channels=True)(ones(200, 50, 4, 4))
    sums = values.sum((2, 3))
    kept = sums[sums != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 16 / 0.6))
    assert (sums == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)


def test_masks_are_a_function_of_the_seed_alone_and_are_pinned():
    masks = Masks()
    masks.restart(7)
    first = masks.draw(5)
    masks.draw(1000)
    masks.restart(7)
    assert torch.equal(masks.draw(5), first)
    masks.restart(8)
    assert not torch.equal(masks.draw(5), first)
    masks.restart(7)
    assert masks.draw(5).tolist() == [-95396145, 188379763, 35240635, -1772643282, 1051386004]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_any_shape_keeps_its_shape_and_gradients_pass_what_was_kept(shape):
    layer = Dropout(0.5, Masks())
    values = torch.randn(shape, requires_grad=True)
    result = layer(values)
    assert result.shape == values.shape
    result.backward(torch.ones_like(result))
    assert torch.equal(values.grad * values.detach(), result.detach())


def test_evaluation_changes_nothing():
    layer = nn.Sequential(Dropout(0.5, Masks())).eval()
    values = torch.randn(4, 3, 2, 2)
    assert torch.equal(layer(values), values)
