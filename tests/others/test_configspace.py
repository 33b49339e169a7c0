"""A campaign's search space as a ConfigSpace: each of its configurations is one of its networks."""

import textwrap
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import Configuration, ConfigurationSpace
from ConfigSpace.util import get_one_exchange_neighbourhood, get_random_neighbor
from network_rules import PUBLISHED, broken_rules
from scipy import stats

import nnlc
import nnlc.benchmark.config_space
from nnlc import NnlcError, SearchSpace, config_space, config_to_network
from nnlc import network_to_config as to_config
from nnlc.benchmark.hyperparameters import hyperparameters

ID = "2026_01_31_12_00_00_000000"
LEAST_P = 1e-4
PAPER = nnlc.load_campaign("paper")
NETWORKS = list(PAPER.networks())
SPACES = {name: config_space(PAPER, name, seed=1) for name in PUBLISHED}


def network_of(config, random_seed=7, id=ID):
    return config_to_network(config, id=id, random_seed=random_seed)


def paper_with(depths=(1, 4), optimizer="SGD", **space):
    """The article's campaign for one image set, with changes."""
    section = PAPER.datasets["F-MNIST"].model_copy(update={"depths": depths})
    training = PAPER.training.model_copy(update={"optimizer": optimizer})
    changes = {"datasets": {"F-MNIST": section}, "training": training}
    return PAPER.model_copy(update=changes | {"space": SearchSpace(**space)})


def test_the_example_of_the_module_runs(capsys):
    text = nnlc.benchmark.config_space.__doc__
    begin, end = text.index("    import nnlc"), text.index("The sampler makes")
    exec(textwrap.dedent(text[begin:end]), {})
    assert capsys.readouterr().out.count("\n") == 1


def test_networks_of_the_campaign_come_back_exactly():
    for place in np.random.default_rng(0).choice(len(NETWORKS), 200, replace=False):
        spec, images = NETWORKS[place].spec, NETWORKS[place].images
        config = to_config(spec, SPACES[images.name])
        config.check_valid_configuration()
        found = network_of(config, spec.random_seed, spec.id)
        assert found == spec
        assert repr(found) == repr(spec)  # 0 is not 0.0
    published = replace(spec, torch_set_deterministic=False)
    assert to_config(published, SPACES[images.name]) == config


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_sample_and_every_neighbour_is_a_legal_network(name):
    configs = SPACES[name].sample_configuration(30)
    neighbours = [
        neighbour
        for seed, config in enumerate(configs[:10])
        for neighbour in (
            *islice(get_one_exchange_neighbourhood(config, seed), 60),
            get_random_neighbor(config, seed),
        )
    ]
    for config in (*configs, SPACES[name].get_default_configuration(), *neighbours):
        config.check_valid_configuration()
        spec = network_of(config)
        assert not broken_rules(spec, PUBLISHED[name])
        assert spec.depth == config["depth"]
    for config in configs:
        assert network_of(to_config(network_of(config), SPACES[name])) == network_of(config)


def test_the_end_of_a_share_is_the_highest_value():
    space = SPACES["SVHN"]
    for end, kernel, filters in ((0.0, 1, 10), (1.0, 32, 400)):
        values = dict(space.get_default_configuration()) | {"depth": 1}
        values |= {"conv1_kernel": end, "conv1_filters": end}
        values = {k: v for k, v in values.items() if not k[4:5].isdigit() or k[4] + k[5] == "1_"}
        spec = network_of(Configuration(space, values=values))
        assert (spec.conv_kernels, spec.conv_filters) == ((kernel,), (filters,))


def test_uniform_samples_have_the_distribution_of_the_campaign():
    theirs = [network_of(config) for config in SPACES["CIFAR-100"].sample_configuration(1500)]
    ours = [one.spec for one in NETWORKS if one.images.name == "CIFAR-100"]
    sampled, drawn = (
        hyperparameters(pd.DataFrame([spec.to_json() | {"depth": spec.depth} for spec in specs]))
        for specs in (theirs, ours)
    )
    compared = 0
    for name in drawn.columns.drop("optimizer"):
        pair = [frame[name].dropna().to_numpy(dtype=float) for frame in (sampled, drawn)]
        shares = [len(values) for values in pair], [len(sampled), len(drawn)]
        assert stats.fisher_exact([shares[0], np.subtract(*shares[::-1])]).pvalue > LEAST_P, name
        assert stats.ks_2samp(*pair).pvalue > LEAST_P, name
        compared += 1
    assert compared == 97


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"depths": (3, 3)}, "depth"),
        ({"optimizer": "Adam"}, "momentum dampening momentum_exponent"),
        ({"optimizer": "Adam", "momentum": "always"}, "momentum_exponent"),
        ({"optimizer": "SGD-Nesterov"}, "dampening dampening_exponent"),
        ({"blocks": (1, 1, 5)}, "pool1_kernel"),
        ({"blocks": (7,)}, "conv1_block"),
        ({"blocks": (2,)}, "conv1_block dropout_rate"),
        ({"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1)}, "conv1_kernel conv2_padding"),
        ({"filters": (64, 64)}, "conv1_filters"),
        ({"fc_layers": (3, 3)}, "fc_layers"),
        ({"fc_layers": (1, 1)}, "fc_layers fc1_units fc1_dropout"),
        ({"fc_dropout": "never"}, "fc_dropout fc_dropout_rate fc1_dropout"),
        ({"fc_dropout": "always"}, "fc_dropout"),
        ({"increasing_filters": "always"}, "increasing_filters"),
        ({"weight_decay": "never"}, "weight_decay weight_decay_exponent"),
        ({"weight_decay": "always", "weight_decay_exponent": (-30.0, -30.0)}, "weight_decay"),
        ({"learning_rate_exponent": (-2.0, -2.0)}, "learning_rate_exponent"),
        ({"batch_size": (50, 50)}, "batch_size"),
        ({"dropout_rate": (0, 1), "fc_dropout_rate": (0.5, 0.5)}, "fc_dropout_rate"),
    ],
)
def test_what_leaves_no_choice_has_no_hyperparameter_and_networks_are_the_samplers(changes, absent):
    campaign = paper_with(**changes)
    space = config_space(campaign, seed=3)
    assert not set(absent.split()) & set(space)
    for config in space.sample_configuration(10):
        for neighbour in (config, *islice(get_one_exchange_neighbourhood(config, 1), 10)):
            neighbour.check_valid_configuration()
            network_of(neighbour)
        assert network_of(to_config(network_of(config), space)) == network_of(config)
    for network in islice(campaign.networks(), 0, 800, 80):
        spec = network.spec
        assert network_of(to_config(spec, space), spec.random_seed, spec.id) == spec


def test_a_block_that_is_listed_twice_is_drawn_twice_as_often():
    spaces = [config_space(paper_with(blocks=(1, 5, 5)), seed=seed) for seed in (1, 1, 2)]
    first, again, other = (
        [config["conv1_block"] for config in space.sample_configuration(600)] for space in spaces
    )
    assert 350 < first.count(5) < 450
    assert first == again != other


def test_what_is_outside_the_space_is_told():
    spec = next(one.spec for one in NETWORKS if one.images.name == "SVHN" and one.spec.depth == 2)
    for changes, words in (
        ({"dataset": "CIFAR100"}, "dataset is CIFAR100, not SVHN"),
        ({"conv_kernels": (33, *spec.conv_kernels[1:])}, "conv1_kernel is 33, not from 1 to 32"),
        ({"learning_rate": 10.0}, "learning_rate is 10.0, not 0.99"),
        ({"learning_rate": 1e-9}, "learning_rate is 1e-09, not 1e-06"),
        ({"batch_size": 7}, "batch_size is 7"),
        ({"optimizer": "Adam"}, "optimizer is Adam, not SGD"),
    ):
        with pytest.raises(NnlcError, match=f"network {spec.id} is not in .*: {words}"):
            to_config(replace(spec, **changes), SPACES["SVHN"])
    shallow = config_space(paper_with(depths=(1, 1)))
    deep = next(
        one.spec for one in NETWORKS if one.images.name == "F-MNIST" and one.spec.depth == 3
    )
    with pytest.raises(NnlcError, match="depth is 3, not from 1 to 1"):
        to_config(deep, shallow)


def test_mistakes_are_told():
    with pytest.raises(NnlcError, match="image sets CIFAR-100, F-MNIST, SVHN: name one"):
        config_space("paper")
    with pytest.raises(NnlcError, match="image sets CIFAR-100, F-MNIST, SVHN: 'MNIST' is none"):
        config_space("paper", "MNIST")
    assert set(config_space("paper", "FashionMNIST")) == set(SPACES["F-MNIST"])  # as in tables
    others = ConfigurationSpace({"x": (0.0, 1.0)})
    for call in (
        lambda: network_of(others.sample_configuration()),
        lambda: to_config(NETWORKS[0].spec, others),
    ):
        with pytest.raises(NnlcError, match=r"names no campaign .* use nnlc\.config_space"):
            call()
    config, spec = SPACES["SVHN"].sample_configuration(), NETWORKS[0].spec
    for given in ({"depth": 1}, None, spec):
        with pytest.raises(
            NnlcError, match=r"give a ConfigSpace.Configuration; for a dict, Config"
        ):
            network_of(given)
    for wrong, space, words in (
        (
            pd.Series({"depth": 1}),
            SPACES["SVHN"],
            r"spec is of type Series, .*read_table\(path\)\.spec",
        ),
        (SPACES["SVHN"], spec, "spec is of type ConfigurationSpace, but must be a NetworkSpec"),
        (spec, {}, r"space is of type dict, but must be the result of nnlc\.config_space"),
    ):
        with pytest.raises(NnlcError, match=words):
            to_config(wrong, space)
    for id_ in ("x", 3):
        with pytest.raises(NnlcError, match=f"ID {id_!r} does not have the form"):
            network_of(config, id=id_)
    for seed in (1.5, True, "1", None, -1):
        with pytest.raises(
            NnlcError, match=f"random_seed {seed!r} is not a 32-bit unsigned integer"
        ):
            network_of(config, random_seed=seed)
    assert repr(network_of(config, np.uint32(7))) == repr(network_of(config, 7))
