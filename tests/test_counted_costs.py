"""Costs of own families: counted by hand, on torch's meta device, and from files."""

import sys
from dataclasses import dataclass, replace
from operator import mul
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from paper_networks import paper
from small_networks import SAMPLE
from torch import nn

from nnlc.calibration.calibrate import Sample, cross_validated_errors, errors
from nnlc.calibration.probe import _with_short_steps
from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families import Family
from nnlc.families.article import walk_network
from nnlc.families.article.source_text import python_source
from nnlc.families.counted_costs import Counted, UnknownCostError, cost_key, remember
from nnlc.families.own_family import OwnFamily
from nnlc.families.reference import FamilyReference
from nnlc.families.residual import Residual
from nnlc.networks import ImageSet
from nnlc.networks.machine import CPU, Machine
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec
from nnlc.networks.work import Work
from nnlc.training import counting
from nnlc.training.counting import count_network

sys.path.insert(0, str(Path(__file__).parent / "families"))
from skipping import Skipping

SETTINGS = TrainingSection()
SMALL = replace(SAMPLE, width=4, classes=3)
B = 5
ID = "2026_01_01_00_00_00_000000"


@dataclass(frozen=True)
class Given(Family):
    """A family of one network: the module that `make` returns."""

    name: ClassVar[str] = "given"
    version: ClassVar[str] = "1"
    columns: ClassVar = {}

    make: object = None

    def specify(self, draws, images, group, number):
        return {"batch_size": B, "learning_rate": 0.1}

    def build(self, spec, images):
        return self.make()


def spec(batch_size: int = B, **own: int) -> FamilySpec:
    return FamilySpec(
        id=ID,
        random_seed=1,
        train_gpu=False,
        torch_set_deterministic=True,
        dataset=SAMPLE.table_name,
        batch_size=batch_size,
        loss_fn="CrossEntropyLoss",
        optimizer="SGD",
        learning_rate=0.1,
        momentum=0,
        dampening=0,
        weight_decay=0,
        family="given@1",
        own=tuple((name, "integer", value) for name, value in own.items()),
    )


def count(*layers: nn.Module, images: ImageSet = SMALL, batch_size: int = B) -> Counted:
    """Counts of layers that the meta device can do."""
    found = count_network(Given(lambda: nn.Sequential(*layers)), spec(batch_size), images)
    assert found.on_cpu is None
    return found.counted


def networks(family: Family, group: int, seeds: range, images: ImageSet = SAMPLE):
    own = OwnFamily(family, FamilyReference(name=family.name))
    return own, [
        own.specification(images, group, 0, seed, id=ID, optimizer="SGD") for seed in seeds
    ]


def test_a_network_counted_by_hand_has_these_counts():
    with torch.device("meta"):
        layers = (nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(8, 3))
    found = count(*layers)
    convolution, linear = 4 * 2 * 9, 8 * 3  # multiply-adds: 2×2 outputs of 2 channels, 3×3 windows
    assert found.parameters == 2 * 9 + 8 * 3 + 3
    assert (found.parameter_tensors, found.buffer_bytes, found.convolutions) == (3, 0, 1)
    assert found.multiply_adds == convolution + linear
    assert found.forward_operations == 2 * B * (convolution + linear)
    # Gradients of weights, and of the inputs of all layers but the first.
    assert found.backward_operations == 2 * B * (convolution + 2 * linear)
    assert found.narrow_operations == 2 * B * convolution
    # Convolution 16 to 8 values, linear 8 to 3, log-softmax 3 to 3, loss of 3 and a label to 2.
    assert found.forward_values == B * (16 + 8 + 8 + 3 + 3 + 3 + 3 + 1) + 2
    assert found.forward_kernels == 4
    # Images, the convolution's output, log-softmax, labels, and the loss's divisor.
    assert found.kept_bytes == B * (4 * (16 + 8 + 3) + 8) + 4
    assert found.largest_bytes == 4 * 16 * B
    assert found.kept_bytes < found.peak_bytes < 2 * found.kept_bytes


def test_a_tensor_that_two_layers_keep_is_counted_once():
    with torch.device("meta"):
        plain = nn.Linear(16, 3)
    without = count(nn.Flatten(), plain)
    # Both keep the rectified values.
    found = count(nn.Flatten(), nn.ReLU(), plain)
    assert found.kept_bytes == without.kept_bytes
    assert found.peak_bytes > without.peak_bytes


def test_batch_normalisation_has_buffers_and_no_operations():
    with torch.device("meta"):
        layers = nn.Flatten(), nn.Linear(16, 3)
        more = nn.BatchNorm2d(1)
    without, found = count(*layers), count(more, *layers)
    assert found.buffer_bytes == 4 + 4 + 8  # mean, variance, number of batches
    assert found.multiply_adds == without.multiply_adds
    assert found.forward_values > without.forward_values + 2 * 16 * B - 1


@pytest.mark.parametrize("family", [Skipping(), Residual()])
def test_the_meta_device_and_a_processor_count_alike(family):
    _, [network] = networks(family, 3, range(1))
    few = replace(network, batch_size=4)
    on_meta = counting._count_step(family, few, SAMPLE, "meta", 4)
    assert on_meta == counting._count_step(family, few, SAMPLE, "cpu", 4)
    assert count_network(family, few, SAMPLE) == (on_meta, None)


def test_work_grows_with_the_batch_and_the_weights_do_not():
    _, [network] = networks(Skipping(), 2, range(1))
    found = count_network(Skipping(), network, SAMPLE).counted
    half = replace(network, batch_size=network.batch_size // 2)
    smaller = count_network(Skipping(), half, SAMPLE).counted
    assert smaller.forward_operations == found.forward_operations / 2
    assert smaller.forward_values == pytest.approx(found.forward_values / 2, rel=1e-3)
    assert smaller.parameters == found.parameters
    assert smaller.scaled(2).peak_bytes == pytest.approx(found.peak_bytes, rel=0.01)


class Looks(nn.Module):
    """A layer that needs the values of its input, which the meta device does not have."""

    def forward(self, images):
        return images * (1.0 if images.sum().item() < 1e9 else 2.0)


def test_a_module_that_looks_at_values_is_counted_on_the_processor_and_scaled():
    plain = count_network(
        Given(lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3))), spec(100), SMALL
    )
    found = count_network(
        Given(lambda: nn.Sequential(Looks(), nn.Flatten(), nn.Linear(16, 3))), spec(100), SMALL
    )
    assert found.on_cpu.startswith("RuntimeError: ")
    assert found.counted.forward_operations == plain.counted.forward_operations
    assert found.counted.peak_bytes > plain.counted.peak_bytes


def test_what_fails_everywhere_is_an_error_and_the_others_are_counted():
    def fail():
        raise ZeroDivisionError("no such network")

    with pytest.raises(ZeroDivisionError):
        count_network(Given(fail), spec(), SMALL)
    _, [network] = networks(Skipping(), 2, range(1))
    request = {
        "family": {"reference": {"name": "residual", "label": "residual@1"}, "space": {}},
        "networks": [
            {"key": "wrong", "spec": network.to_json(), "image_set": vars_of(SAMPLE)},
            {"key": "right", "spec": residual().to_json(), "image_set": vars_of(SAMPLE)},
        ],
    }
    wrong, right = counting.answers(request)
    assert wrong["key"] == "wrong"
    assert wrong["reason"].startswith(f"{ID}: AttributeError: ")
    assert Counted(*right["counts"]) == count_network(Residual(), residual(), SAMPLE).counted


def residual() -> FamilySpec:
    return networks(Residual(), 3, range(1))[1][0]


def vars_of(images: ImageSet) -> dict:
    return {name: getattr(images, name) for name in images.__dataclass_fields__}


def test_operations_of_the_articles_networks_are_those_of_their_own_model():
    cheap = [n for n in paper()[1] if walk_network(n.spec, n.images).multiply_adds < 2e7]
    for n in cheap[:: len(cheap) // 12]:
        walk, names = walk_network(n.spec, n.images), {}

        def make(walk=walk, n=n, names=names):
            exec(python_source(walk, n.spec, SETTINGS), names)
            return names["network"]

        found = count_network(Given(make), spec(n.spec.batch_size), n.images).counted
        assert found.parameters == walk.parameters
        assert found.multiply_adds == walk.multiply_adds
        assert found.convolutions == n.spec.depth
        step = 3 * walk.multiply_adds - walk.layers[0].multiply_adds
        both = found.forward_operations + found.backward_operations
        assert both == 2 * n.spec.batch_size * step


def test_size_work_and_memory_of_a_network_follow_from_its_counts():
    family, [network] = networks(Skipping(widest=12), 2, range(1))
    assert not family.knows_cost(network)
    with pytest.raises(UnknownCostError, match="'nnlc specs CAMPAIGN --costs FILE'"):
        family.size(network, SAMPLE)
    assert family.step_operations(network, SAMPLE) == 0
    found = count_network(family.family, network, SAMPLE).counted
    remember({cost_key(network): found})
    size = family.size(network, SAMPLE)
    assert (size.parameters, size.multiply_adds) == (found.parameters, found.multiply_adds)
    forward = family.forward_work(network, SAMPLE, SETTINGS, "cpu")
    backward = family.backward_work(network, SAMPLE, SETTINGS, "cpu")
    assert forward.operations == found.forward_operations
    assert backward.operations == found.backward_operations
    assert backward.weights > forward.weights == found.parameters
    for device in ("cpu", "cuda"):
        here = family.memory_bytes(network, SAMPLE, SETTINGS, device)
        assert here > found.peak_bytes + 3 * 4 * found.parameters
        more = family.memory_bytes(
            network, SAMPLE, SETTINGS, device, resident=[replace(SAMPLE, name="x")]
        )
        assert more > here
    with_momentum = replace(network, momentum=0)
    remember({cost_key(with_momentum): found})
    assert family.memory_bytes(with_momentum, SAMPLE, SETTINGS, "cuda") < here


def test_a_machine_fitted_to_counted_networks_predicts_others():
    slow = Machine.from_unit_seconds(Work(*map(mul, CPU.unit_seconds, (3, 1, 1, 1, 6, 2, 1, 4, 9))))
    samples = []
    for group in range(1, 9):
        family, drawn = networks(Skipping(), group, range(3))
        for network in drawn:
            remember({cost_key(network): count_network(Skipping(), network, SAMPLE).counted})
            work = family.half_epoch_work(network, SAMPLE, SETTINGS, "cpu")
            samples.append(Sample(work, slow.seconds(work)))
    assert errors(samples, CPU).median > 0.6
    assert cross_validated_errors(samples, CPU).median < 0.05


def test_a_probe_times_fewer_images_of_a_network_by_the_counts_of_all():
    family, [network] = networks(Skipping(widest=31), 8, range(1))
    remember({cost_key(network): count_network(family.family, network, SAMPLE).counted})
    whole = CampaignNetwork(0, SAMPLE, network, family)
    short = _with_short_steps(whole, SETTINGS, "cpu")
    assert short.spec.batch_size < network.batch_size
    shorter, full = (
        family.training_work(each, SAMPLE, SETTINGS, "cpu") for each in (short.spec, network)
    )
    share = short.spec.batch_size / network.batch_size
    assert shorter.operations == pytest.approx(share * full.operations)
    assert shorter.kernels == full.kernels


def test_the_mean_of_counts_is_rounded_and_of_none_zero():
    first, second = (Counted(*range(start, start + 15)) for start in (0, 3))
    assert Counted.mean([first, second]) == Counted(*(round(n + 1.5) for n in range(15)))
    assert Counted.mean([]) == Counted(*[0] * 15)
