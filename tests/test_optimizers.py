"""What trains a network is what its table names."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from small_networks import CPU, SAMPLE, bits, bundled_images, curve, first, loop_on, spec
from typer.testing import CliRunner
from worker_jobs import ONE

import nnlc
from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.findings import Findings
from nnlc.auditing.specification_rules import check_specification
from nnlc.auditing.standards import standard_without_campaign
from nnlc.cli import app
from nnlc.errors import CampaignError, SpecError, TableError
from nnlc.families.article import SearchSpace, sample_network
from nnlc.families.article.memory import memory_bytes
from nnlc.networks.optimizers import OPTIMIZERS, optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.training.build import make_loss, make_optimizer

NAMES = list(OPTIMIZERS)
SPACE = SearchSpace(
    momentum="always", dampening="always", weight_decay="always", batch_size=(100, 200)
)

pytestmark = pytest.mark.usefixtures("deterministic")


def drawn(name, seed=3):
    return sample_network(SPACE, SAMPLE, 2, seed, id=spec().id, train_gpu=False, optimizer=name)


def test_all_draws_keep_their_order_and_what_an_optimizer_has_no_use_for_is_0():
    sgd = drawn("SGD")
    assert all((sgd.momentum, sgd.dampening, sgd.weight_decay))
    assert drawn("SGD-Nesterov") == replace(sgd, optimizer="SGD-Nesterov", dampening=0)
    for name in ("Adam", "AdamW"):
        assert drawn(name) == replace(sgd, optimizer=name, momentum=0, dampening=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_for_each_weight_is_what_torch_keeps(name):
    """So that checkpoints and memory are predicted for each optimizer."""
    for network in (drawn(name), replace(drawn(name), momentum=0, dampening=0)):
        module = torch.nn.Linear(3, 5)
        optimizer = make_optimizer(module, network, TrainingSection(optimizer=name), CPU)
        for _ in range(2):
            make_loss(network)(module(torch.ones(2, 3)), torch.tensor([0, 1])).backward()
            optimizer.step()
        kept = [
            value
            for values in optimizer.state.values()
            for value in values.values()
            if torch.is_tensor(value) and value.dim()
        ]
        expected = optimizer_of(network).kept_values(network)
        assert sum(value.numel() for value in kept) == expected * (3 * 5 + 5)


def test_more_memory_is_predicted_for_what_keeps_more():
    plain = spec(momentum=0)
    sizes = [
        memory_bytes(each, SAMPLE, TrainingSection(), "cuda")
        for each in (plain, replace(plain, momentum=0.5), replace(plain, optimizer="Adam"))
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_network_has_the_same_bits(name):
    def stop():
        steps.append(1)
        if len(steps) == 13:
            raise KeyboardInterrupt

    images, network, settings = first(bundled_images(), 1000), drawn(name), {"optimizer": name}
    steps: list[int] = []
    loop = loop_on(images, network, 2, stop, **settings)
    with pytest.raises(KeyboardInterrupt):
        list(loop)
    state = loop.state()
    again = loop_on(images, network, 2, **settings)
    again.resume(state)
    assert bits([*again.rows, *again]) == bits(curve(network, images, 2, **settings))


def test_nesterov_without_momentum_is_plain_sgd():
    images, plain = first(bundled_images(), 1000), spec(momentum=0, dampening=0)
    nesterov = replace(plain, optimizer="SGD-Nesterov")
    assert bits(curve(nesterov, images)) == bits(curve(plain, images))


def test_optimizers_give_curves_of_their_own():
    """Else a table could name one and hold another's."""
    images = first(bundled_images(), 1000)
    curves = {name: str(bits(curve(drawn(name), images, optimizer=name))) for name in NAMES}
    assert len(set(curves.values())) == len(NAMES)


UNKNOWN = [
    ({"optimizer": "Lion"}, "its optimizer is 'Lion'; nnlc trains with SGD, SGD-Nesterov, Adam"),
    ({"loss_fn": "MSELoss"}, "its loss_fn is 'MSELoss'; nnlc trains with CrossEntropyLoss"),
    ({"optimizer": "Adam"}, "its momentum is 0.5, and Adam has none"),
    ({"optimizer": "SGD-Nesterov", "dampening": 0.1}, "its dampening is 0.1, and SGD-Nesterov"),
]


@pytest.mark.parametrize(("values", "words"), UNKNOWN)
def test_what_is_not_known_is_refused_before_it_is_trained_or_rebuilt(values, words, tmp_path):
    network = replace(spec(), **values)
    with pytest.raises(SpecError, match=words):
        loop_on(first(bundled_images(), 1000), network)
    path = tmp_path / f"{network.id}.txt"
    rows = tuple(curve(spec(), first(bundled_images(), 200)))
    nnlc.write_table(nnlc.Table(network, rows), path)
    [verdict] = nnlc.verify(path)
    assert words in verdict.problem
    done = CliRunner().invoke(app, ["rebuild", str(path)])
    assert words in str(done.exception)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('optimizer = "Lion"', "must be one of SGD, SGD-Nesterov, Adam, AdamW"),
        ('optimizer = "sgd"', "must be one of SGD"),
        ("betas = [0.5, 0.9]", "training.betas: is for Adam and AdamW only; SGD has none"),
        ('optimizer = "SGD-Nesterov"\neps = 1e-3', "training.eps: is for Adam and AdamW only"),
        ('optimizer = "Adam"\nbetas = [0.5, 1.0]', "less than 1"),
        ('optimizer = "Adam"\neps = 0.0', "greater than 0"),
    ],
)
def test_a_campaign_that_asks_for_what_is_not_known_is_refused(line, words, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "smoke"\nname = "mine"\n[training]\n{line}\n')
    with pytest.raises(CampaignError, match=words):
        nnlc.load_campaign(path)


def findings(network, *, published=False):
    path, found = Path("x"), Findings(Path("x"))
    standard = standard_without_campaign(network.layout, published=published)
    about = path, network.layout, asdict(network), None, None, standard
    check_specification(AuditedTable(*about, found, TableError("no file")))
    return [(one.rule.name, one.found) for one in found.told()]


def test_the_audit_knows_each_optimizer_and_holds_the_article_to_its_own():
    for name in NAMES:
        assert not findings(drawn(name))
    assert ("loss-and-optimizer", "'Adam'") in findings(drawn("Adam"), published=True)
    wrong = replace(drawn("Adam"), momentum=0.5)
    assert ("momentum", "0.5") in findings(wrong)


def test_source_page_and_audit_speak_of_what_trained_a_table(tmp_path):
    network = replace(drawn("AdamW"), batch_size=100)
    rows = tuple(curve(network, first(bundled_images(), 200), optimizer="AdamW"))
    folder = tmp_path / "F-MNIST-sample_models"
    folder.mkdir()
    path = folder / f"{network.id}.txt"
    nnlc.write_table(nnlc.Table(network, rows), path)
    campaign = tmp_path / "tiny.toml"
    own = 'optimizer = "AdamW"\nbetas = [0.8, 0.99]\neps = 1e-6'
    campaign.write_text(f"{ONE}\n[training]\n{own}\n")
    told = (
        CliRunner()
        .invoke(app, ["rebuild", str(path), "--python", "--campaign", str(campaign)])
        .output
    )
    assert "torch.optim.AdamW(network.parameters(), lr=" in told
    assert "betas=(0.8, 0.99), eps=1e-06, weight_decay=" in told
    names: dict = {}
    exec(told, names)
    assert isinstance(names["optimizer"], torch.optim.AdamW)
    page = tmp_path / "page.html"
    CliRunner().invoke(app, ["report", str(folder), "-o", str(page)])
    assert "CrossEntropyLoss, AdamW" in page.read_text()
    assert "loss-and-optimizer" not in nnlc.audit(folder).by_rule()
