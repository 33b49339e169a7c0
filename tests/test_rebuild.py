"""Networks built again from their tables, as modules and as source code."""

import ast
import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import HANG_SECONDS
from small_networks import CPU, bundled_images, loop_on, spec
from table_samples import SPEC as PUBLISHED
from test_cli import run_nnlc
from torch import nn
from typer.testing import CliRunner, Result

import nnlc
from nnlc.campaign.campaign import Campaign, RunSection
from nnlc.cli import app
from nnlc.errors import NnlcError, SpecError
from nnlc.families.article import NetworkSpec
from nnlc.families.article.modules.network import Network
from nnlc.networks import ImageSet
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Row, Table, write_table
from nnlc.training.network_text import describe_network, python_source
from nnlc.training.origin import origin_of
from nnlc.training.rebuild import rebuild

ROWS = (Row(1.0, 1.0, 10.0),)
# Two convolutions and two fully connected layers, with every kind of layer among them.
RICH = {
    "layer_types": (7, 5),
    "conv_kernels": (5, 3),
    "conv_strides": (2, 1),
    "conv_paddings": (4, 1),
    "conv_filters": (6, 8),
    "fc_dropout_rate": 0.3,
    "fc_dropout_layers": (1,),
}


def table(**changes: object) -> Table:
    return Table(spec(**RICH | changes), ROWS)


def pixels(count: int = 4, channels: int = 1, width: int = 28) -> torch.Tensor:
    return torch.rand(count, channels, width, width, generator=torch.Generator().manual_seed(1))


def campaign(**training: object) -> Campaign:
    return Campaign(
        name="other",
        seed=1,
        stamp="2026-01-01T00:00:00",
        datasets={"F-MNIST-sample": {"networks_per_depth": 1}},
        training=training,
    )


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("plain", [True, False])
def test_a_rebuilt_network_has_the_very_weights_that_its_training_begins_with(plain):
    loop = loop_on(bundled_images(), table().spec)
    assert same_weights(rebuild(table(), plain=plain), loop.network)
    other = rebuild(table(random_seed=6), plain=plain)
    assert not same_weights(other, loop.network)


def test_weights_do_not_depend_on_what_the_caller_has_set():
    expected = rebuild(table())
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        assert same_weights(rebuild(table()), expected)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def test_rebuilding_leaves_the_callers_random_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    rebuild(table())
    assert torch.equal(torch.rand(2), expected)


def test_the_plain_module_and_the_trained_one_load_each_other_and_agree():
    plain, trained = rebuild(table()), rebuild(table(random_seed=9), plain=False)
    assert isinstance(trained, Network)
    assert {type(layer).__module__.split(".")[0] for layer in plain} == {"torch"}
    trained.load_state_dict(plain.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(pixels()), trained.eval()(pixels()))
    plain.load_state_dict(rebuild(table(random_seed=9), plain=False).state_dict())


def test_the_published_network_is_built_from_its_table_alone(tmp_path):
    write_table(Table(PUBLISHED, ROWS), tmp_path / f"{PUBLISHED.id}.txt")
    network = nnlc.rebuild(tmp_path / f"{PUBLISHED.id}.txt")
    assert network(pixels(2, 3, 32)).shape == (2, 100)
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == [
        *("Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "Dropout", "Flatten", "Linear"),
    ]
    assert (network[0].kernel_size, network[0].stride, network[0].padding) == (
        (24, 24),
        (12, 12),
        (4, 4),
    )


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("setting", "kinds"),
    [
        ({"pooling": "average"}, {nn.AvgPool2d}),
        ({"dropout": "channel"}, {nn.Dropout2d, nn.MaxPool2d}),
        ({}, {nn.MaxPool2d}),
    ],
)
def test_pooling_and_dropout_are_those_of_the_campaign(setting, kinds, plain):
    network = rebuild(table(), campaign=campaign(**setting), plain=plain)
    special = {nn.AvgPool2d, nn.MaxPool2d, nn.Dropout2d}
    found = {type(layer) for layer in network} & special
    if not plain and "dropout" in setting:
        assert any(getattr(layer, "whole_channels", False) for layer in network)
        kinds = kinds - {nn.Dropout2d}
    assert found == kinds
    if plain and "dropout" in setting:  # the fully connected part drops single values still
        assert any(type(layer) is nn.Dropout for layer in network)


def test_the_campaign_beside_a_table_is_found(tmp_path, monkeypatch):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign(pooling="average"))
    path = tmp_path / "r" / "F-MNIST-sample_models" / f"{spec().id}.txt"
    write_table(table(), path)
    monkeypatch.chdir(path.parent)
    assert any(type(layer) is nn.AvgPool2d for layer in rebuild(path.name))
    assert "AvgPool2d" in run("rebuild", path.name).stdout
    elsewhere = tmp_path / "alone.txt"
    write_table(table(), elsewhere)
    assert any(type(layer) is nn.MaxPool2d for layer in rebuild(elsewhere))
    job = run("rebuild", elsewhere, "--campaign", tmp_path / "r")
    assert "AvgPool2d" in job.stdout
    assert "of campaign other" in job.stdout


def test_images_of_ones_own_are_known_by_their_campaign_or_must_be_given():
    mine = table(dataset="mine", fc_filters=(20, 3))
    with pytest.raises(NnlcError, match="mine images is not known; name the campaign"):
        rebuild(mine)
    images = ImageSet(
        name="mine",
        table_name="mine",
        channels=2,
        width=12,
        classes=3,
        train_images=9,
        validation_images=6,
    )
    assert rebuild(mine, images)(pixels(1, 2, 12)).shape == (1, 3)
    own = {
        "networks_per_depth": 1,
        "npz": "/mine.npz",
        "sha256": "0" * 64,
        **{key: getattr(images, key) for key in ImageSet.__slots__ if "name" not in key},
    }
    described = campaign().model_copy(update={"datasets": {}}).model_dump()
    described = Campaign(**described | {"datasets": {"mine": own}})
    assert rebuild(mine, campaign=described)(pixels(1, 2, 12)).shape == (1, 3)
    with pytest.raises(NnlcError, match="F-MNIST-sample is not among those"):
        rebuild(table(), campaign=described)


@pytest.mark.parametrize(
    "sizes", [{"fc_filters": (2**31 - 1, 10)}, {"conv_paddings": (2**31 - 1, 2**31 - 1)}]
)
def test_a_network_that_memory_has_no_room_for_is_refused_in_words(sizes):
    with pytest.raises(NnlcError, match="parameters can't be allocated"):
        rebuild(table(**sizes, conv_filters=(6, 2**31 - 1)))


def run_source(source: str) -> dict:
    names: dict = {}
    exec(compile(source, "network.py", "exec"), names)
    return names


def source_of(network: NetworkSpec, **training: object) -> str:
    return python_source(network, origin_of(network, campaign(**training)))


@pytest.mark.parametrize("setting", [{}, {"pooling": "average", "dropout": "channel"}])
def test_the_source_runs_and_makes_the_same_network_and_optimizer(setting):
    network = table(momentum=0.25, dampening=0.5, weight_decay=1e-5)
    names = run_source(source_of(network.spec, **setting))
    expected = rebuild(network, campaign=campaign(**setting))
    assert same_weights(names["network"], expected)
    assert str(names["network"]) == str(expected)
    torch.manual_seed(1)
    ours = names["network"](pixels())
    torch.manual_seed(1)
    assert torch.equal(ours, expected(pixels()))
    (group,) = names["optimizer"].param_groups
    values = [group[key] for key in ("lr", "momentum", "dampening", "weight_decay")]
    assert values == [0.05, 0.25, 0.5, 1e-5]
    assert names["batch_size"] == 100
    kept = campaign(**setting).model_copy(update={"run": RunSection(keep="final")})
    source = python_source(network.spec, origin_of(network.spec, kept))
    load = source[source.index("# network.load_state_dict") + 2 :]
    exec(load, {**names, "saved": {**expected.state_dict(), "training.rows": torch.ones(1)}})
    assert isinstance(names["loss_function"], nn.CrossEntropyLoss)


def test_the_recipe_of_the_campaign_stands_in_description_and_source():
    recipe = {
        "label_smoothing": 0.1,
        "schedule": "cosine",
        "last_rate": 0.001,
        "warmup_epochs": 1,
        "augmentation": ["flip", "crop:4"],
    }
    network = table().spec
    lines = list(describe_network(network, origin_of(network, campaign(**recipe))))
    source = source_of(network, **recipe)
    assert run_source(source)["loss_function"].label_smoothing == 0.1
    for words in (
        "half a cosine, to 0.001, warm-up of 1 epoch",
        "crop:4, flip of training images",
    ):
        assert any(line.endswith(words) for line in lines)
        assert words in source
    assert "loss        torch.nn.CrossEntropyLoss(label_smoothing=0.1)" in lines
    usual = "\n".join(describe_network(network, origin_of(network, campaign())))
    assert "cosine" not in usual
    assert "of training images" not in usual


def test_the_source_of_a_published_network_does_not_claim_to_know_its_weights():
    source = python_source(PUBLISHED, origin_of(PUBLISHED, None))
    assert "manual_seed" not in source
    assert "were not recorded" in source
    assert run_source(source)["network"](pixels(1, 3, 32)).shape == (1, 100)


VALUES = st.one_of(st.floats(0, math.inf), st.just(0), st.integers(0, 10**6))
RATES = st.one_of(st.floats(0, 1), st.just(0))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(
    lr=VALUES,
    momentum=VALUES,
    rate=RATES,
    batch=st.integers(1, 2**31 - 1),
    padding=st.integers(0, 2**31 - 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_but_numbers_of_a_table_enters_the_source(lr, momentum, rate, batch, padding, seed):
    changes = {
        "learning_rate": lr,
        "momentum": momentum,
        "dropout_rate": rate,
        "batch_size": batch,
        "conv_paddings": (padding, 1),
        "random_seed": seed,
    }
    hostile = dataclasses.replace(table(**changes).spec, dataset='""";__import__("os").abort()#')
    origin = origin_of(spec(), None)
    template = ast.parse(python_source(table().spec, origin))
    found = ast.parse(python_source(hostile, origin))
    assert "abort" not in python_source(hostile, origin)
    assert shape_of(found) == shape_of(template)


def shape_of(tree: ast.AST) -> list[str]:
    """The names and attributes that a program uses, infinities left out, in order."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    names = [node.id if isinstance(node, ast.Name) else node.attr for node in nodes]
    return sorted(name for name in names if name != "float")


@pytest.mark.parametrize("change", [{"optimizer": "Lion"}, {"loss_fn": "x();import_os"}])
def test_an_optimizer_or_loss_that_is_not_known_is_refused(change):
    network = table(**change).spec
    with pytest.raises(NnlcError, match=f"network {network.id}: its .* nnlc trains with"):
        source_of(network)
    with pytest.raises(NnlcError, match=f"network {network.id}: its .* nnlc trains with"):
        list(describe_network(network, origin_of(network, None)))


def test_sizes_that_do_not_fit_the_images_are_refused():
    network = table(conv_kernels=(99, 3)).spec
    with pytest.raises(SpecError, match="does not fit"):
        rebuild(Table(network, ROWS))


def test_the_description_has_every_layer_with_its_sizes_and_their_sums():
    network = table().spec
    text = list(describe_network(network, origin_of(network, None)))
    module = rebuild(table())
    rows = [line.split() for line in text[3 : 3 + len(module)]]
    assert [row[1] for row in rows] == [type(layer).__name__ for layer in module]
    assert rows[0][2:] == ["5", "2", "4", "6×16×16", "156", "38,400"]  # 6 * 1 * 5² * 16²
    total = next(line for line in text if line.split()[0] == "sum").split()
    assert int(total[1].replace(",", "")) == sum(p.numel() for p in module.parameters())
    assert any("lr=0.05, momentum=0.5, dampening=0, weight_decay=0)" in line for line in text)
    assert any(line.split() == ["batch", "size", "100"] for line in text)


def test_the_command_describes_a_table_and_prints_its_source_without_loading_torch(tmp_path):
    path = tmp_path / "table.txt"
    write_table(table(), path)
    code = (
        "import sys\nfrom nnlc.cli import app\n"
        "try:\n    app(['rebuild', sys.argv[1], *sys.argv[2:]])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    for option in ([], ["--python"]):
        job = subprocess.run(
            [sys.executable, "-c", code, path, *option],
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert job.returncode == 0, job.stderr
        assert "Conv2d" in job.stdout
    assert same_weights(run_source(job.stdout)["network"], rebuild(path))


def test_a_mistake_is_told_in_a_line(tmp_path):
    job = run_nnlc("rebuild", tmp_path / "no.txt")
    assert (job.returncode, job.stdout) == (1, "")
    assert job.stderr.startswith("error: ")
    assert "Traceback" not in job.stderr
    path = Path(tmp_path / "table.txt")
    write_table(table(), path)
    assert "no results folder" in str(run("rebuild", path, "--campaign", tmp_path).exception)


def test_the_module_runs_where_it_is_moved_and_takes_any_batch():
    network = rebuild(table()).to(CPU).double()
    assert network(pixels(7).double()).dtype == torch.float64
