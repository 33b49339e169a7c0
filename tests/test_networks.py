"""A network obeys every rule of the article's sampling.

The rules are written down again here from the article's Table 3 and Figs 1 to 3; the code under
test supplies networks and nothing else.
"""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from network_rules import (
    ARTICLE,
    ID,
    PUBLISHED,
    Published,
    as_image_set,
    broken_rules,
    sample,
)

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError, SpaceError, SpecError
from nnlc.families.article import MAX_DEPTH, NetworkSpec, SearchSpace
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.networks.image_sets import dataset_among, shown_name
from nnlc.networks.specification import network_id

GOLDEN = Path(__file__).parent / "golden" / "networks.csv"
ROOT = Path(__file__).parent.parent


seeds = st.integers(0, 2**32 - 1)
depths = st.integers(1, 10)


@st.composite
def image_sets(draw):
    """Images of any kind for which the article's space has a network."""
    train = draw(st.integers(50, 500_000))
    validation = draw(st.integers(250, 50_000))
    assume(any((train // b) % 2 == 0 and train // b for b in range(25, 251)))
    return Published(
        "own",
        draw(st.integers(1, 4)),
        draw(st.integers(1, 70)),
        draw(st.integers(1, 400)),
        train,
        validation,
    )


@pytest.fixture(scope="module")
def paper():
    return list(load_campaign("paper").networks())


# ---- the rules


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_known_image_sets_have_the_articles_sizes(name):
    known = KNOWN_IMAGE_SETS[name]
    assert (
        Published(
            known.table_name,
            known.channels,
            known.width,
            known.classes,
            known.train_images,
            known.validation_images,
        )
        == (PUBLISHED[name])
    )


@settings(max_examples=200)
@given(seeds, depths, st.one_of(st.sampled_from(list(PUBLISHED.values())), image_sets()))
@example(0, 1, PUBLISHED["CIFAR-100"])
@example(2**32 - 1, 10, PUBLISHED["SVHN"])
def test_every_sampled_network_obeys_every_rule(seed, depth, facts):
    spec = sample(facts, depth, seed)
    assert broken_rules(spec, facts) == set()
    assert (spec.depth, len(spec.conv_kernels), spec.random_seed) == (depth, depth, seed)


def test_every_network_of_the_paper_campaign_obeys_every_rule(paper):
    for network in paper:
        broken = broken_rules(network.spec, PUBLISHED[network.images.name])
        assert broken == set(), f"network {network.index}: {broken}"


def _with(**changes):
    """A lawful network of depth 2 with pooling and all dropouts, changed."""
    lawful = NetworkSpec(
        id=ID,
        random_seed=1,
        train_gpu=True,
        torch_set_deterministic=True,
        dataset="FashionMNIST",
        batch_size=100,
        loss_fn="CrossEntropyLoss",
        optimizer="SGD",
        learning_rate=0.5,
        momentum=0,
        dampening=0.25,
        weight_decay=1e-3,
        layer_types=(7, 1),
        dropout_rate=0.5,
        conv_kernels=(28, 3),
        conv_strides=(2, 3),
        conv_paddings=(5, 0),
        pool_kernels=(4,),
        pool_strides=(1,),
        pool_paddings=(2,),
        conv_filters=(1, 10),
        fc_dropout_rate=0.1,
        fc_dropout_layers=(0, 1),
        fc_filters=(400, 1, 10),
    )
    return replace(lawful, **changes)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("kernel", {"conv_kernels": (29, 3)}),  # fits the padded width, not the unpadded one
        ("kernel", {"conv_kernels": (28, 8)}),
        ("stride", {"conv_strides": (2, 4)}),
        ("padding", {"conv_paddings": (6, 0)}),
        ("pool kernel", {"pool_kernels": (7,)}),
        ("pool stride", {"pool_strides": (5,)}),
        ("pool padding", {"pool_paddings": (3,)}),
        ("dropout rate", {"dropout_rate": 0}),
        ("dropout rate", {"dropout_rate": 0.71}),
        ("dropout rate", {"layer_types": (3, 1)}),
        ("dropout rate", {"layer_types": (3, 1), "dropout_rate": 0.0}),
        ("filters", {"conv_filters": (401, 10)}),
        ("last filters", {"conv_filters": (1, 9)}),
        ("fully connected layers", {"fc_filters": (9,) * 5 + (10,), "fc_dropout_layers": (1,) * 5}),
        ("fully connected units", {"fc_filters": (401, 1, 10)}),
        ("last units", {"fc_filters": (400, 1, 11)}),
        ("no coin without a rate", {"fc_dropout_rate": 0}),
        ("fully connected dropout rate", {"fc_dropout_rate": 0.09}),
        ("learning rate", {"learning_rate": 1e-7}),
        ("learning rate", {"learning_rate": 0}),
        ("momentum", {"momentum": 0.0}),
        ("dampening", {"dampening": 1.5}),
        ("weight_decay", {"weight_decay": 1e-9}),
        ("batch size", {"batch_size": 24}),
        ("batches", {"batch_size": 37}),  # 1,621 of them
        ("dataset", {"dataset": "F-MNIST"}),
    ],
)
def test_the_rules_of_this_file_notice_a_network_that_breaks_one(rule, changes):
    facts = PUBLISHED["F-MNIST"]
    assert broken_rules(_with(), facts) == set()
    assert rule in broken_rules(_with(**changes), facts)


@settings(max_examples=60)
@given(seeds, depths, st.sampled_from(list(PUBLISHED.values())))
def test_filters_never_fall_where_they_must_increase(seed, depth, facts):
    spec = sample(facts, depth, seed, SearchSpace(increasing_filters="always"))
    assert list(spec.conv_filters) == sorted(spec.conv_filters)
    assert broken_rules(spec, facts) == set()


def test_filters_fall_somewhere_where_they_need_not_increase():
    for facts in PUBLISHED.values():
        space = SearchSpace(increasing_filters="never")
        found = [sample(facts, 10, seed, space).conv_filters for seed in range(50)]
        assert all(list(filters) != sorted(filters) for filters in found)


def test_a_single_convolution_is_the_last_one():
    facts = replace(PUBLISHED["CIFAR-100"], classes=400)
    assert all(sample(facts, 1, seed).conv_filters == (400,) for seed in range(30))
    few_classes = replace(PUBLISHED["CIFAR-100"], classes=1, channels=300)
    filters = [sample(few_classes, 1, seed).conv_filters[0] for seed in range(60)]
    assert min(filters) < 300, "the channels bound the layers before the last, not the last"


def test_a_fully_connected_dropout_rate_stays_recorded_where_no_layer_uses_it(paper):
    unused = [n.spec for n in paper if n.spec.fc_dropout_rate and not any(n.spec.fc_dropout_layers)]
    lengths = {len(spec.fc_dropout_layers) for spec in unused}
    assert {0, 1, 2} <= lengths


@pytest.mark.parametrize(
    ("field", "option"),
    [
        *itertools.product(
            ("momentum", "dampening", "weight_decay", "fc_dropout"), ("coin", "always", "never")
        )
    ],
)
def test_a_coin_falls_both_ways_and_a_setting_one_way(field, option):
    column = "fc_dropout_rate" if field == "fc_dropout" else field
    space = SearchSpace(**{field: option})
    found = {bool(getattr(sample(PUBLISHED["SVHN"], 1, s, space), column)) for s in range(60)}
    assert found == {"coin": {True, False}, "always": {True}, "never": {False}}[option]


@pytest.mark.parametrize(
    ("fields", "value", "column"),
    [
        ("kernel", (2, 3), "conv_kernels"),
        ("stride", (1, 2), "conv_strides"),
        ("padding", (1, 2), "conv_paddings"),
        ("pool_kernel", (2, 3), "pool_kernels"),
        ("pool_stride", (1, 2), "pool_strides"),
        ("pool_padding", (0, 1), "pool_paddings"),
        ("filters", (20, 30), "conv_filters"),
        ("blocks", (2, 5), "layer_types"),
        ("batch_size", (40, 48), "batch_size"),
        ("fc_units", (7, 9), "fc_filters"),
        ("dropout_rate", (0.2, 0.25), "dropout_rate"),
        ("fc_dropout_rate", (0.2, 0.25), "fc_dropout_rate"),
    ],
)
def test_a_smaller_range_of_the_space_bounds_what_is_drawn(fields, value, column):
    space = SearchSpace(kernel=(2, 6)) if fields != "kernel" else ARTICLE
    space = replace(space, **{fields: value})
    found = set()
    for seed in range(60):
        drawn = getattr(sample(PUBLISHED["F-MNIST"], 2, seed, space), column)
        drawn = drawn[:-1] if fields == "fc_units" else drawn
        found |= set(drawn) if isinstance(drawn, tuple) else {drawn}
    found -= {0} if "dropout" in fields else set()
    if fields in ("kernel", "pool_kernel"):  # but the width that reaches a layer still bounds it
        found.discard(1)
    if fields == "blocks":
        assert found == set(value)
    else:
        assert min(found) >= value[0]
        assert max(found) <= value[1]
        assert len(found) > 1


# ---- the campaign


def test_the_paper_campaign_has_200_networks_for_each_dataset_and_depth(paper):
    counts = Counter((network.images.name, network.spec.depth) for network in paper)
    expected = itertools.product(("CIFAR-100", "F-MNIST", "SVHN"), range(1, 11))
    assert counts == dict.fromkeys(expected, 200)
    assert len(paper) == 6_000


def test_seeds_and_ids_are_distinct_and_ids_carry_the_stamp_and_the_index(paper):
    assert len({network.spec.random_seed for network in paper}) == 6_000
    expected = [f"2022_01_05_00_00_00_{index:06d}" for index in range(6_000)]
    assert [network.spec.id for network in paper] == expected
    assert [network.index for network in paper] == list(range(6_000))


def test_a_seed_that_is_taken_is_drawn_again(monkeypatch):
    given_out = {draw: draw // 3 for draw in range(100)}  # each seed three times
    monkeypatch.setattr(
        "nnlc.campaign.campaign.network_seed", lambda seed, name, depth, draw: given_out[draw]
    )
    networks = list(load_campaign("smoke").networks())
    assert [network.spec.random_seed for network in networks] == list(range(8))


# ---- what is refused


def test_an_id_has_six_digits_of_index():
    stamp = load_campaign("paper").stamp
    assert network_id(stamp, 999_999) == "2022_01_05_00_00_00_999999"
    for index in (-1, 1_000_000):
        with pytest.raises(SpecError, match="six digits"):
            network_id(stamp, index)


@pytest.mark.parametrize("depth", [0, -1, MAX_DEPTH + 1])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(SpecError, match="depth"):
        sample(PUBLISHED["SVHN"], depth, 1)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_no_32_bit_number_is_refused(seed):
    with pytest.raises(SpecError, match="32-bit"):
        sample(PUBLISHED["SVHN"], 1, seed)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(PUBLISHED["SVHN"], classes=401), "filters"),
        (replace(PUBLISHED["SVHN"], channels=401), "filters"),
        (replace(PUBLISHED["SVHN"], train=49), "batch_size"),
        (replace(PUBLISHED["SVHN"], validation=24), "batch_size"),
    ],
)
def test_images_for_which_the_space_has_no_network_are_refused(facts, word):
    with pytest.raises(SpaceError, match=word):
        sample(facts, 2, 1)


def test_nan_is_no_end_of_a_range():
    nan = float("nan")
    for name in ("dropout_rate", "fc_dropout_rate", "learning_rate_exponent"):
        for value in ((nan, 0.0), (0.0, nan), (nan, nan)):
            with pytest.raises(SpaceError, match=name):
                SearchSpace(**{name: value})


@settings(max_examples=60)
@given(
    st.integers(1, 600),
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(1, 300),
)
def test_legal_batch_sizes_are_those_with_an_even_number_of_batches(train, low, more, validation):
    images = as_image_set(Published("own", 1, 8, 2, train, validation))
    space = SearchSpace(batch_size=(low, low + more))
    legal = []
    for b in range(low, low + more + 1):
        batches = len(range(0, train - b + 1, b))
        if batches in range(2, train + 1, 2) and b <= validation:
            legal.append(b)
    assert space.legal_batch_sizes(images) == legal


def test_what_is_refused_is_the_users_to_mend():
    assert issubclass(SpaceError, NnlcError)
    assert issubclass(SpecError, NnlcError)


def test_a_dataset_has_one_name_on_screens_and_is_found_by_both():
    column = ["CIFAR100", "FashionMNIST", "blobs"]
    assert [shown_name(value) for value in column] == ["CIFAR-100", "F-MNIST", "blobs"]
    for value in column:
        assert dataset_among(value, column) == dataset_among(shown_name(value), column) == value
    with pytest.raises(NnlcError, match="no table is of dataset 'SVHN'; there are CIFAR-100, F-MN"):
        dataset_among("SVHN", column)
