"""Networks of one's own train as the article's: whatever interrupts them, the same bits."""

import contextlib
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from own_families import IMAGES, family_of, network_of
from small_networks import CPU
from torch import nn

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families.counted_costs import cost_key, remember
from nnlc.networks.recipe import TrainingSection
from nnlc.ranks import job as job_module
from nnlc.ranks.job import SAMPLE, Job
from nnlc.tables import Row, Table
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.counting import count_network
from nnlc.training.kept_weights import KeptWeights, read_weights
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.step_timing import random_images

pytestmark = pytest.mark.usefixtures("deterministic")
EPOCHS = 2
STEPS = 2 * EPOCHS * (2 + 2)
"""80 images in batches of 20, and 40 of validation: two steps of each in a half epoch."""


class Branches(nn.Module):
    """Two branches, batch normalisation of every kind, and dropout of units and channels."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 6, 3, 2, 1), nn.Conv2d(1, 6, 5, 2, 2)
        self.normal = nn.BatchNorm2d(6)
        self.mean = nn.BatchNorm2d(6, momentum=None, affine=False)
        self.drop, self.flat_drop = nn.Dropout2d(dropout), nn.Dropout(dropout)
        self.head = nn.Linear(6, IMAGES.classes)

    def forward(self, pixels):
        both = self.mean(self.left(pixels)).relu() + self.normal(self.right(pixels))
        return self.head(self.flat_drop(self.drop(both).relu().mean((2, 3))))


class Tied(nn.Module):
    """Two convolutions, and two linear layers, that share their weights."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, 2, 1)
        self.convolutions = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2)))
        self.linears = nn.Sequential(*(nn.Linear(4, 4) for _ in range(2)))
        self.convolutions[1].weight = self.convolutions[0].weight
        self.linears[1].weight = self.linears[0].weight
        self.head = nn.Linear(4, IMAGES.classes)

    def forward(self, pixels):
        means = self.convolutions(self.first(pixels)).relu().mean((2, 3))
        return self.head(self.linears(means))


NETWORKS = {
    "branches": Branches,
    "without dropout": lambda: Branches(0.0),
    "tied": Tied,
}


class InterruptionError(Exception):
    pass


def _loop(make, stop=None, state=None, epochs=EPOCHS):
    """A loop after its training, or after so many steps; all global streams begin anywhere."""
    family, spec = network_of(lambda *_: make(), momentum=0.9, weight_decay=0.01)
    done = 0

    def count():
        nonlocal done
        done += 1
        if done == stop:
            raise InterruptionError

    images = DeviceImages(random_images(IMAGES), TrainingSection(), CPU)
    loop = HalfEpochLoop(family, spec, IMAGES, images, TrainingSection(), epochs, count)
    if state is not None:
        loop.resume(state)
    _scatter()
    with contextlib.suppress(InterruptionError):
        list(loop)
    return loop


def _scatter():
    seed = random.SystemRandom().randrange(2**32)
    torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)


def _bits(loop):
    """All that a training has made, as bytes."""
    state = loop.state()
    tensors = {**state["network"], "rows": state["rows"][:, :3]}
    for number, each in state["optimizer"]["state"].items():
        tensors |= {f"{number}.{name}": tensor for name, tensor in each.items()}
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in tensors.items()}


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request, deterministic):
    make = NETWORKS[request.param]
    return make, _bits(_loop(make))


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_a_checkpoint_in_a_half_epoch_or_a_validation_loses_no_bit(trained, stop, tmp_path):
    make, undisturbed = trained
    stopped = _loop(make, stop)
    kept = Checkpoints(tmp_path, stopped.spec.id, {})
    kept.save(stopped.state())
    state, wrong = kept.load()
    assert not wrong
    assert _bits(_loop(make, state=state)) == undisturbed


def test_running_statistics_and_their_count_are_those_of_all_training_steps_alone():
    loop = _loop(lambda: Branches())
    assert loop.network.normal.num_batches_tracked == loop.network.mean.num_batches_tracked
    assert loop.network.normal.num_batches_tracked == 2 * EPOCHS * 2
    before = _bits(_loop(lambda: Branches(), stop=2))
    after = _bits(_loop(lambda: Branches(), stop=4))  # two steps of validation later
    assert {k for k in before if before[k] != after[k]} == set()


def test_a_network_trains_in_training_mode_and_validates_in_the_other():
    modes = []

    class Notes(nn.Module):
        def forward(self, pixels):
            modes.append(self.training)
            return pixels

    _loop(lambda: nn.Sequential(Notes(), Branches()))
    assert modes == [True, True, False, False] * 2 * EPOCHS


def test_masks_are_other_ones_in_each_step():
    masks = []

    class Masks(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, pixels):
            if self.training:
                masks.append(self.drop(torch.ones(1000)).numpy().tobytes())
            return pixels

    def train():
        masks.clear()
        _loop(lambda: nn.Sequential(Masks(), Branches(0.0)))
        return list(masks)

    first = train()
    assert len(set(first)) == 2 * EPOCHS * 2
    assert train() == first


def test_weights_on_a_cpu_lie_in_memory_with_their_channels_last():
    loop = _loop(lambda: nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Conv2d(4, 6, 3, 2), Head()))
    assert loop.network[1].weight.is_contiguous(memory_format=torch.channels_last)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, IMAGES.classes)

    def forward(self, values):
        return self.linear(values.mean((2, 3)))


@pytest.mark.parametrize("keep", ["final", "best"])
def test_kept_weights_have_running_statistics_and_shared_weights(trained, keep, tmp_path):
    make, _ = trained
    loop = _loop(make)
    path = tmp_path / "w.safetensors"
    checkpoints = Checkpoints(tmp_path, loop.spec.id, {})
    kept = KeptWeights(path, keep, checkpoints, loop.spec, lambda _: None)
    if keep == "best":
        rows, loop.rows = loop.rows, []
        for row in rows:
            loop.rows.append(row)
            kept.add_row(loop)
    kept.write(loop)
    tensors, _ = read_weights(path)
    wanted = loop.network.state_dict()
    assert {name for name in tensors if not name.startswith("training.")} == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_a_training_goes_on_from_kept_weights_to_the_same_bits(trained, tmp_path):
    make, undisturbed = trained
    loop = _loop(make, epochs=1)
    checkpoints = Checkpoints(tmp_path, loop.spec.id, {})
    path = tmp_path / "w.safetensors"
    kept = KeptWeights(path, "final", checkpoints, loop.spec, lambda _: None)
    kept.write(loop)
    state, reason = kept.load(0, 2 * EPOCHS)
    assert reason == ""
    assert _bits(_loop(make, state=state)) == undisturbed


def test_a_network_that_might_fill_the_nodes_memory_is_in_no_sample(monkeypatch):
    networks = []
    for width in range(20):
        family, spec = network_of(lambda *_: Branches(), width=width)
        remember({cost_key(spec): count_network(family.family, spec, IMAGES).counted})
        networks.append(CampaignNetwork(width, IMAGES, spec, family))
    campaign = SimpleNamespace(family=family.reference, training=TrainingSection())
    job = SimpleNamespace(campaign=campaign, work=SimpleNamespace(networks=networks))
    chosen = Job.sample_to_check(job, "cpu", {0, 1})
    assert len(chosen) == SAMPLE
    assert {each["spec"]["id"] for each in chosen} < {n.spec.id for n in networks[2:]}
    monkeypatch.setattr(job_module, "main_memory_bytes", lambda: 1 << 20)
    assert Job.sample_to_check(job, "cpu", {0, 1}) == []


def test_values_of_numpys_types_are_written_as_pythons():
    family = family_of(lambda *_: Branches(), width=np.int32(4), learning_rate=np.float64(0.25))
    with pytest.raises(ValueError, match="width"):
        family.specification(IMAGES, 1, 0, 5, id="2026_01_02_03_04_05_000000", optimizer="SGD")
    _, spec = network_of(lambda *_: Branches(), learning_rate=np.float64(0.25))
    assert b" 0.25 " in Table(spec, (Row(1.0, 1.0, 50.0),)).to_bytes()
