"""The shape walk says of a network what PyTorch makes of it.

By default every 13th network of the paper campaign is built and walked through on PyTorch's meta
device; NNLC_ALL=1 takes all 6,000, about 70 s.
"""

import json
import os
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import SpecError
from nnlc.families.article import NetworkSpec, walk_network
from nnlc.families.article.layer import output_width
from nnlc.families.article.modules.convolution import Convolution
from nnlc.families.article.modules.dropout import Dropout
from nnlc.families.article.modules.network import Network
from nnlc.networks import ImageSet
from nnlc.networks.recipe import TrainingSection

AUTO, DIRECT = TrainingSection(), TrainingSection(convolutions="direct")
EVERY = 1 if os.environ.get("NNLC_ALL") == "1" else 13

IMAGES = ImageSet(
    name="own",
    table_name="own",
    channels=2,
    width=16,
    classes=7,
    train_images=1_000,
    validation_images=300,
)
LAWFUL = NetworkSpec(
    id="2022_01_05_00_00_00_000000",
    random_seed=1,
    train_gpu=False,
    torch_set_deterministic=True,
    dataset="own",
    batch_size=50,
    loss_fn="CrossEntropyLoss",
    optimizer="SGD",
    learning_rate=0.1,
    momentum=0,
    dampening=0,
    weight_decay=0,
    layer_types=(7, 2),
    dropout_rate=0.25,
    conv_kernels=(3, 4),
    conv_strides=(2, 1),
    conv_paddings=(1, 0),
    pool_kernels=(3, 2),
    pool_strides=(1, 2),
    pool_paddings=(1, 0),
    conv_filters=(5, 9),
    fc_dropout_rate=0.5,
    fc_dropout_layers=(1, 0),
    fc_filters=(11, 6, 7),
)


@pytest.fixture(scope="module")
def paper():
    return list(load_campaign("paper").networks())


def batch(images: ImageSet, size: int, device: str) -> torch.Tensor:
    return torch.zeros(size, images.channels, images.width, images.width, device=device)


@torch.no_grad()
def assert_walk_is_what_torch_does(network, device, size, settings=AUTO):
    walk = walk_network(network.spec, network.images)
    with torch.device(device):
        module = Network(walk, network.spec, settings, device=torch.device(device))
    x = batch(network.images, size, device)
    for number, (layer, torch_layer) in enumerate(zip(walk.layers, module, strict=True)):
        where = f"network {network.index}, layer {number}"
        assert tuple(x.shape) == (size, *layer.input), where
        x = torch_layer(x)
        assert tuple(x.shape) == (size, *layer.output), where
        assert sum(p.numel() for p in torch_layer.parameters()) == layer.parameters, where
    assert tuple(x.shape) == (size, network.images.classes)
    assert walk.classes == network.images.classes
    assert walk.parameters == sum(p.numel() for p in module.parameters())
    return walk, module


# ---- against torch


def test_shapes_and_parameters_of_the_paper_networks_are_torchs_own(paper):
    chosen = paper[::EVERY]
    assert {(n.images.name, n.spec.depth) for n in chosen} == {
        *product(("CIFAR-100", "F-MNIST", "SVHN"), range(1, 11))
    }
    for number, network in enumerate(chosen):  # Fourier convolutions take many calls
        assert_walk_is_what_torch_does(network, "meta", 2, DIRECT if number % 10 else AUTO)


@pytest.fixture(scope="module")
def small(paper):
    """Twenty networks that a CPU runs at once: of every dataset, shallow and deep."""
    cheap = [n for n in paper if walk_network(n.spec, n.images).multiply_adds < 2e7]
    return cheap[:: len(cheap) // 20][:20]


def test_small_networks_run_on_a_cpu_with_the_walks_shapes(small):
    assert len(small) == 20
    assert len({network.images.name for network in small}) == 3
    assert len({network.spec.depth for network in small}) > 5
    for network in small:
        _, module = assert_walk_is_what_torch_does(network, "cpu", 2)
        assert torch.isfinite(module(torch.rand_like(batch(network.images, 2, "cpu")))).all()


def test_multiply_adds_are_half_of_the_operations_that_torch_counts(small):
    for network in small:
        walk = walk_network(network.spec, network.images)
        module = Network(walk, network.spec).eval()
        for place, layer in enumerate(walk.layers):
            if layer.kind == "convolution":
                sizes = layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
                module[place] = nn.Conv2d(*sizes)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(batch(network.images, 3, "cpu"))
        assert counter.get_total_flops() == 3 * 2 * walk.multiply_adds


def test_multiply_adds_and_parameters_are_those_counted_by_hand():
    walk = walk_network(LAWFUL, IMAGES)
    # 16 -conv 3/2/1-> 8 -pool 3/1/1-> 8 -conv 4/1/0-> 5 -pool 2/2/0-> 2: 9 * 2 * 2 = 36 features
    convolutions = 2 * 5 * 9 * 8 * 8 + 5 * 9 * 16 * 5 * 5
    assert [layer.output[0] for layer in walk.layers if layer.kind == "flatten"] == [36]
    assert walk.multiply_adds == convolutions + 36 * 11 + 11 * 6 + 6 * 7
    assert walk.parameters == 5 * 19 + 9 * 81 + 11 * 37 + 6 * 12 + 7 * 7
    # convolution, ReLU, dropout, pooling; convolution, pooling; three linear layers, one dropout
    features = 4 * (5 * 8 * 8) + 9 * 5 * 5 + 9 * 2 * 2
    assert walk.activations == features + 11 + 11 + 6 + 7


@settings(max_examples=300)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 10))
def test_an_output_has_a_pixel_for_each_place_of_the_window(width, kernel, stride, padding):
    places = len(range(0, width + 2 * padding - kernel + 1, stride))
    if kernel <= width + 2 * padding:
        assert output_width(width, kernel, stride, padding) == places


# ---- the order of layers

CONV, RELU, DROP, POOL = Convolution, nn.ReLU, Dropout, nn.MaxPool2d


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (1, [CONV, RELU]),
        (2, [CONV, POOL]),
        (3, [CONV, RELU, POOL]),
        (4, [CONV, DROP]),
        (5, [CONV, RELU, DROP]),
        (6, [CONV, DROP, POOL]),
        (7, [CONV, RELU, DROP, POOL]),
    ],
)
def test_a_block_is_relu_then_dropout_then_pooling(block, expected):
    pools = dict.fromkeys(("pool_kernels", "pool_strides"), (2,) if block & 2 else ())
    spec = replace(
        LAWFUL,
        layer_types=(block,),
        conv_kernels=(3,),
        conv_strides=(2,),
        conv_paddings=(1,),
        conv_filters=(5,),
        pool_paddings=(0,) if block & 2 else (),
        fc_dropout_layers=(),
        fc_filters=(7,),
        **pools,
    )
    module = Network(walk_network(spec, IMAGES), spec)
    assert [type(layer) for layer in module] == [*expected, nn.Flatten, nn.Linear]


def test_the_blocks_of_a_deep_network_follow_one_another():
    module = Network(walk_network(LAWFUL, IMAGES), LAWFUL)
    features = [CONV, RELU, DROP, POOL, CONV, POOL, nn.Flatten]
    assert [type(layer) for layer in module] == [*features, nn.Linear, DROP, nn.Linear, nn.Linear]


@pytest.mark.parametrize("coins", [*product((0, 1), repeat=3)])
def test_nothing_but_dropout_stands_between_fully_connected_layers(coins):
    spec = replace(LAWFUL, fc_filters=(4, 3, 2, 7), fc_dropout_layers=coins)
    module = Network(walk_network(spec, IMAGES), spec)
    kinds = [type(layer) for layer in module]
    expected = [nn.Linear]
    for coin in coins:
        expected += [DROP, nn.Linear] if coin else [nn.Linear]
    assert kinds[kinds.index(nn.Flatten) + 1 :] == expected


def test_layers_carry_their_own_window_and_rate():
    module = Network(walk_network(LAWFUL, IMAGES), LAWFUL)
    convolutions = [layer for layer in module if isinstance(layer, CONV)]
    windows = [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions]
    assert windows == [(2, 5, 3), (5, 9, 4)]
    assert [(c.stride[0], c.padding[0]) for c in convolutions] == [(2, 1), (1, 0)]
    assert all(c.bias is not None and c.groups == 1 for c in convolutions)
    pools = [layer for layer in module if isinstance(layer, POOL)]
    assert [(p.kernel_size, p.stride, p.padding) for p in pools] == [(3, 1, 1), (2, 2, 0)]
    assert [layer.rate for layer in module if isinstance(layer, DROP)] == [0.25, 0.5]


def test_the_other_readings_change_pooling_and_feature_dropout_alone():
    walk = walk_network(LAWFUL, IMAGES)
    other = Network(walk, LAWFUL, TrainingSection(pooling="average", dropout="channel"))
    features = [CONV, RELU, DROP, nn.AvgPool2d, CONV, nn.AvgPool2d, nn.Flatten]
    assert [type(layer) for layer in other] == [*features, nn.Linear, DROP, nn.Linear, nn.Linear]
    drops = [layer for layer in other if isinstance(layer, DROP)]
    assert [drop.whole_channels for drop in drops] == [True, False]


# ---- the impossible


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conv_kernels": (19, 4)}, ["convolution kernel of 19", "width 16", "padded by 1"]),
        ({"conv_kernels": (3, 9)}, ["convolution kernel of 9", "width 8", "padded by 0"]),
        ({"pool_kernels": (11, 2)}, ["pooling kernel of 11", "width 8"]),
        ({"pool_kernels": (3, 6)}, ["pooling kernel of 6", "width 5"]),
        ({"pool_paddings": (2, 0)}, ["padding 2", "half", "3"]),
        ({"fc_filters": (11, 6, 8)}, ["8 classes", "own", "7"]),
    ],
)
def test_a_network_that_does_not_fit_its_images_is_refused(changes, words):
    spec = replace(LAWFUL, **changes)
    with pytest.raises(SpecError) as refusal:
        walk_network(spec, IMAGES)
    for word in ("2022_01_05_00_00_00_000000", *words):
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"conv_kernels": (18, 1), "pool_kernels": (1,), "pool_paddings": (0,)},
        {"conv_kernels": (3, 1), "pool_kernels": (10,), "pool_paddings": (1,)},
    ],
)
def test_a_kernel_as_wide_as_the_padded_input_fits(changes):
    spec = replace(LAWFUL, layer_types=(7, 1), pool_strides=(1,), **changes)
    walk = walk_network(spec, IMAGES)
    assert walk.layers[4].input[1] == 1
    assert Network(walk, spec)(batch(IMAGES, 2, "cpu")).shape == (2, 7)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"conv_kernels": (), "layer_types": ()}, "at least one convolution"),
        ({"fc_filters": (), "fc_dropout_layers": ()}, "one fully connected layer"),
        ({"layer_types": (7, 2, 1)}, "layer_types"),
        ({"conv_strides": (2,)}, "conv_strides"),
        ({"conv_paddings": (1, 0, 0)}, "conv_paddings"),
        ({"conv_filters": (5,)}, "conv_filters"),
        ({"pool_kernels": (3,)}, "pool_kernels"),
        ({"pool_strides": ()}, "pool_strides"),
        ({"pool_paddings": (1, 0, 0)}, "pool_paddings"),
        ({"layer_types": (7, 1)}, "pool_kernels"),
        ({"fc_dropout_layers": (1, 0, 0)}, "fc_dropout_layers"),
        ({"layer_types": (7, 10)}, "layer_types"),
        ({"conv_kernels": (0, 4)}, "conv_kernels"),
        ({"conv_strides": (2, 0)}, "conv_strides"),
        ({"conv_paddings": (-1, 0)}, "conv_paddings"),
        ({"pool_kernels": (3, 0)}, "pool_kernels"),
        ({"pool_strides": (0, 2)}, "pool_strides"),
        ({"pool_paddings": (1, -1)}, "pool_paddings"),
        ({"conv_filters": (0, 9)}, "conv_filters"),
        ({"fc_filters": (11, 0, 7)}, "fc_filters"),
        ({"fc_dropout_layers": (2, 0)}, "fc_dropout_layers"),
        ({"dropout_rate": 1.1}, "dropout_rate"),
        ({"fc_dropout_rate": -0.1}, "fc_dropout_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"momentum": -1e-3}, "momentum"),
        ({"dampening": float("nan")}, "dampening"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"batch_size": 0}, "batch_size"),
        ({"random_seed": 2**32}, "random_seed"),
        ({"random_seed": -1}, "random_seed"),
        ({"id": "2022_01_05_00_00_00_00000"}, "ID"),
        ({"id": "2022_01_05_00_00_00_0000000"}, "ID"),
        ({"id": "2022_01_05_00_00_00_000000\n"}, "ID"),
        ({"id": "２０２２_01_05_00_00_00_000000"}, "ID"),
        ({"id": "../2022_01_05_00_00_00_000000"}, "ID"),
    ],
)
def test_a_specification_that_no_network_can_have_is_refused(changes, field):
    with pytest.raises(SpecError, match=field):
        replace(LAWFUL, **changes)


def test_a_specification_survives_json():
    again = NetworkSpec.from_json(json.loads(json.dumps(LAWFUL.to_json())))
    assert repr(again) == repr(LAWFUL)
