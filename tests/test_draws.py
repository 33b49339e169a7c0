"""Draws and powers of ten are the same everywhere: pinned to their bits."""

import itertools
import math
from decimal import localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlc.networks.draws import Draws, derive_seed, power_of_ten
from nnlc.networks.specification import network_seed

seeds = st.integers(0, 2**32 - 1)

# From random.Random(20220105).random() and SHA-256, as `nnlc.networks.draws` promises.
PINNED = {
    "integers": [188, 301, 165, 220, 25, 248, 58, 297],
    "uniforms": [-0.1768812880648829, -4.8761310077939415, -5.022668415495982, -2.2902942149450065],
    "coins": [bool(int(digit)) for digit in "101100011001"],
    "choices": list("gabebacg"),
    "seed": 9484037261928657086,
    "network seed": 2341143332,
}


def test_draws_are_pinned():
    draws = Draws(20_220_105)
    assert [draws.integer(1, 400) for _ in range(8)] == PINNED["integers"]
    assert [draws.uniform(-6.0, 0.0) for _ in range(4)] == PINNED["uniforms"]
    assert [draws.coin() for _ in range(12)] == PINNED["coins"]
    assert [draws.choice("abcdefg") for _ in range(8)] == PINNED["choices"]


def test_derived_seeds_are_pinned_and_depend_on_each_part_and_the_order():
    assert derive_seed("a", 1) == PINNED["seed"]
    assert network_seed(20_220_105, "CIFAR-100", 1, 0) == PINNED["network seed"]
    variants = [("a", 1), (1, "a"), ("a", 11), ("a1",), ("a", 1, ""), ("", "a", 1), ("a", "", 1)]
    assert len({derive_seed(*parts) for parts in variants}) == len(variants)
    parts = itertools.product((1, 2), ("SVHN", "F-MNIST"), (1, 2), (0, 1))
    assert len({network_seed(*p) for p in parts}) == 16


@settings(max_examples=100)
@given(seeds, st.integers(-50, 50), st.integers(0, 400))
def test_integers_stay_in_their_range_and_ones_of_a_single_value_are_that_value(seed, low, more):
    draws = Draws(seed)
    assert all(low <= draws.integer(low, low + more) <= low + more for _ in range(20))
    assert draws.integer(low, low) == low


def test_the_ends_of_a_range_are_drawn_and_the_largest_unit_draw_stays_inside(monkeypatch):
    assert {Draws(seed).integer(3, 5) for seed in range(50)} == {3, 4, 5}
    draws = Draws(1)
    for unit in (0.0, 1 - 2**-53):
        monkeypatch.setattr(draws, "unit", lambda _, unit=unit: unit)
        for high in range(1, 2_000):
            assert draws.integer(1, high) == (1 if unit == 0 else high)
        assert 0.1 <= draws.uniform(0.1, 0.7) <= 0.7
        assert -6 <= draws.uniform(-6.0, 0.0) <= 0


@pytest.mark.parametrize(
    ("exponent", "value"),
    [
        (0.0, 1.0),
        (-1.0, 0.1),
        (-6.0, 1e-06),
        (-0.5, 0.31622776601683794),
        (-0.1, 0.7943282347242815),
        (-0.3, 0.5011872336272722),
        (-1.5, 0.03162277660168379),
        (-2.75, 0.0017782794100389228),
        (-5.999999999999999, 1.000000000000002e-06),
        (0.5, 3.1622776601683795),
    ],
)
def test_powers_of_ten_are_pinned(exponent, value):
    assert repr(power_of_ten(exponent)) == repr(value)


@settings(max_examples=300)
@given(st.floats(-6, 0))
def test_a_power_of_ten_is_the_nearest_double(exponent):
    with localcontext() as context:
        context.prec = 60
        exact = (context.create_decimal(exponent) * context.create_decimal(10).ln()).exp()
        found = context.create_decimal(power_of_ten(exponent))
        for neighbour in (math.inf, -math.inf):
            other = context.create_decimal(math.nextafter(power_of_ten(exponent), neighbour))
            assert abs(found - exact) <= abs(other - exact)
    with localcontext() as context:
        context.prec = 3
        assert power_of_ten(exponent) == float(found)
