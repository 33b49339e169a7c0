"""The paper campaign's 6,000 networks are draws from the article's distributions.

Each quantity that Table 3 and Figs 1 to 3 name is compared with its distribution: whole numbers
of one range by a chi-square test, everything else by Kolmogorov and Smirnov's after the
probability integral transform, which makes a whole number from any range 1..n uniform on [0, 1]
by spreading it over its own share. The networks are fixed, so a test passes or fails for good.
A p-value below 1e-4 is a failure: with 33 of them an honest sampler would have had a chance of
0.3 % to meet one.

The same tests must refuse a campaign that is biased in every quantity.
"""

from collections import defaultdict
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import scipy

from nnlc.campaign.campaign import load_campaign
from nnlc.families.article import SearchSpace, sample_network

LEAST_P = 1e-4

# channels, width, classes, training images
DATASETS = {
    "CIFAR100": (3, 32, 100, 50_000),
    "FashionMNIST": (1, 28, 10, 60_000),
    "SVHN": (3, 32, 10, 373_257),
}


class Sample:
    """Values drawn, each under the name of its quantity."""

    def __init__(self) -> None:
        self.ranged = defaultdict(list)  # (value, low, high) of whole numbers
        self.real = defaultdict(list)  # values between 0 and 1 after the transform
        self.counted = defaultdict(list)  # (value, possible values)

    def walk(self, spec):
        """The feature part: each layer's range follows from the width that reaches it."""
        _, width, _, _ = DATASETS[spec.dataset]
        pools = iter(zip(spec.pool_kernels, spec.pool_strides, spec.pool_paddings, strict=True))
        for i, block in enumerate(spec.layer_types):
            kernel, stride, padding = (
                spec.conv_kernels[i],
                spec.conv_strides[i],
                spec.conv_paddings[i],
            )
            if i == 0:
                self.counted[f"first kernel at width {width}"].append((kernel, range(1, width + 1)))
            else:
                self.ranged["later kernel"].append((kernel, 1, width))
            self.ranged["stride"].append((stride, 1, kernel))
            self.counted["padding"].append((padding, range(6)))
            self.counted["block"].append((block, range(1, 8)))
            width = (width + 2 * padding - kernel) // stride + 1
            if block in (2, 3, 6, 7):
                kernel, stride, padding = next(pools)
                self.ranged["pool kernel"].append((kernel, 1, width))
                self.ranged["pool stride"].append((stride, 1, kernel))
                self.ranged["pool padding"].append((padding, 0, kernel // 2))
                width = (width + 2 * padding - kernel) // stride + 1

    def filters(self, spec):
        channels, _, classes, _ = DATASETS[spec.dataset]
        filters = spec.conv_filters
        if len(filters) == 1:
            self.ranged["only filters"].append((filters[0], classes, 400))
            return
        self.ranged["first filters"].append((filters[0], channels, 400))
        if len(filters) < 7:
            return
        # Seven or more that need not increase do so with a chance below 1 in 1,000.
        increasing = list(filters) == sorted(filters)
        self.counted["increasing coin"].append((increasing, (False, True)))
        least = filters[-2] if increasing else 0
        self.ranged["last filters"].append((filters[-1], max(classes, least), 400))
        for before, here in pairwise(filters[:-1]):
            self.ranged["inner filters"].append((here, before if increasing else channels, 400))

    def classification(self, spec):
        self.counted["fully connected layers"].append((len(spec.fc_filters), range(1, 6)))
        for units in spec.fc_filters[:-1]:
            self.ranged["fully connected units"].append((units, 1, 400))
        dropout = spec.fc_dropout_rate != 0
        self.counted["fully connected dropout coin"].append((dropout, (False, True)))
        if dropout:
            self.real["fully connected dropout rate"].append((spec.fc_dropout_rate - 0.1) / 0.6)
            for coin in spec.fc_dropout_layers:
                self.counted["coin of a fully connected layer"].append((coin, (0, 1)))

    def training(self, spec):
        _, _, _, images = DATASETS[spec.dataset]
        if spec.dropout_rate:
            self.real["dropout rate"].append((spec.dropout_rate - 0.1) / 0.6)
        self.real["learning rate"].append(np.log10(spec.learning_rate) / 6 + 1)
        coins = []
        for name in ("momentum", "dampening", "weight_decay"):
            value = getattr(spec, name)
            coins.append(value != 0)
            self.counted[f"{name} coin"].append((value != 0, (False, True)))
            if value:
                self.real[name].append(np.log10(value) / 6 + 1)
        together = coins[0] + 2 * coins[1] + 4 * coins[2] + 8 * (spec.fc_dropout_rate != 0)
        self.counted["coins together"].append((together, range(16)))
        legal = [b for b in range(25, 251) if (images // b) % 2 == 0]
        self.counted[f"batch size on {spec.dataset}"].append((spec.batch_size, legal))


def chi_square(pairs):
    """The p-value of values that should be uniform over the possible ones."""
    possible = list(pairs[0][1])
    values = [value for value, _ in pairs]
    if not set(values) <= set(possible):
        return 0.0
    return scipy.stats.chisquare([values.count(option) for option in possible]).pvalue


def spread(triples, generator):
    """Whole numbers of 1..n, each over its share of [0, 1]; ranges of one value tell nothing."""
    value, low, high = np.array([t for t in triples if t[1] < t[2]]).T
    return (value - low + generator.random(len(value))) / (high - low + 1)


def p_values(specs):
    """Quantity to p-value."""
    sample = Sample()
    for spec in specs:
        sample.walk(spec)
        sample.filters(spec)
        sample.classification(spec)
        sample.training(spec)
    generator = np.random.default_rng(0)
    found = {name: chi_square(pairs) for name, pairs in sample.counted.items()}
    for name, triples in sample.ranged.items():
        found[name] = scipy.stats.kstest(spread(triples, generator), "uniform").pvalue
    for name, values in sample.real.items():
        found[name] = scipy.stats.kstest(values, "uniform").pvalue
    return found


@cache
def paper():
    return list(load_campaign("paper").networks())


@cache
def p_values_of_the_paper_campaign():
    return p_values([network.spec for network in paper()])


# Each range a little off, each coin loaded.
BIASED = SearchSpace(
    kernel=(2, "input"),
    stride=(1, 12),
    padding=(0, 4),
    blocks=(1, 2, 3, 4, 5, 6, 7, 7),
    filters=(1, 340),
    dropout_rate=(0.1, 0.65),
    pool_kernel=(2, "input"),
    pool_stride=(1, 8),
    pool_padding=(1, "half"),
    fc_layers=(1, 4),
    fc_units=(1, 380),
    fc_dropout_rate=(0.15, 0.7),
    learning_rate_exponent=(-6.0, -0.3),
    momentum_exponent=(-5.7, 0.0),
    dampening_exponent=(-6.0, -0.3),
    weight_decay_exponent=(-5.7, 0.0),
    batch_size=(25, 210),
)
LOADED = {
    "increasing_filters": "increasing coin",
    "fc_dropout": "fully connected dropout coin",
    "momentum": "momentum coin",
    "dampening": "dampening coin",
    "weight_decay": "weight_decay coin",
}
QUANTITIES = [
    *("first kernel at width 28", "first kernel at width 32", "later kernel", "stride"),
    *("padding", "block", "dropout rate", "pool kernel", "pool stride", "pool padding"),
    *("only filters", "first filters", "inner filters", "last filters", "increasing coin"),
    *("fully connected layers", "fully connected units", "fully connected dropout coin"),
    *("fully connected dropout rate", "coin of a fully connected layer", "learning rate"),
    *("momentum", "dampening", "weight_decay", "momentum coin", "dampening coin"),
    *("weight_decay coin", "coins together", "batch size on CIFAR100"),
    *("batch size on FashionMNIST", "batch size on SVHN"),
]


@cache
def p_values_of_a_biased_campaign():
    return p_values(biased_specs(BIASED, 1))


def biased_specs(space, every):
    return [
        sample_network(space, n.images, n.spec.depth, n.spec.random_seed, id=n.spec.id)
        for n in paper()[::every]
    ]


def test_every_quantity_is_tested():
    assert sorted(p_values_of_the_paper_campaign()) == sorted(QUANTITIES)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_paper_campaign_follows_the_articles_distribution(quantity):
    assert p_values_of_the_paper_campaign()[quantity] > LEAST_P


COINS = {
    *LOADED.values(),
    "coins together",
    "coin of a fully connected layer",
}


@pytest.mark.parametrize("quantity", [name for name in QUANTITIES if name not in COINS])
def test_a_campaign_with_shifted_ranges_is_noticed(quantity):
    assert p_values_of_a_biased_campaign()[quantity] < LEAST_P


@pytest.mark.parametrize("coin", LOADED)
def test_a_campaign_with_a_coin_that_always_falls_one_way_is_noticed(coin):
    for option in ("always", "never"):
        specs = biased_specs(SearchSpace(**{coin: option}), 30)
        assert p_values(specs)[LOADED[coin]] < LEAST_P


def test_a_slightly_loaded_coin_is_noticed():
    generator = np.random.default_rng(1)
    for fair in (False, True):
        heads = generator.random(6_000) < (0.5 if fair else 0.55)
        p = chi_square([(bool(head), (False, True)) for head in heads])
        assert (p > LEAST_P) == fair


def test_coins_that_fall_together_are_noticed():
    generator = np.random.default_rng(2)
    first, second = generator.random((2, 6_000)) < 0.5
    apart = [(int(a) + 2 * int(b), range(4)) for a, b in zip(first, second, strict=True)]
    linked = [(int(a) + 2 * int(a or b), range(4)) for a, b in zip(first, second, strict=True)]
    assert chi_square(apart) > LEAST_P > chi_square(linked)


def test_the_numbers_of_the_campaign_are_independent_from_network_to_network():
    """Ranks of a quantity against those of the next network."""
    for name in ("learning_rate", "random_seed"):
        values = np.array([getattr(network.spec, name) for network in paper()])
        assert scipy.stats.spearmanr(values[:-1], values[1:]).pvalue > LEAST_P
