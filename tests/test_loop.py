"""The half-epoch loop on the bundled images: what it records, and that its bits depend on nothing
but the network."""

import dataclasses
import random
import re

import numpy as np
import pytest
import torch
from small_networks import CPU, SAMPLE, bits, bundled_images, curve, first, loop_on, spec
from torch import nn

from nnlc.campaign.campaign import TrainingSection
from nnlc.errors import DeviceError
from nnlc.families.article import NetworkSpec, SearchSpace, sample_network, walk_network
from nnlc.families.article.family import ARTICLE
from nnlc.families.article.modules.network import Network
from nnlc.training.attempt import failure_reason
from nnlc.training.determinism import make_deterministic
from nnlc.training.loaded_images import Images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages, channel_statistics

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture(scope="module")
def images() -> Images:
    return bundled_images()


def test_two_rows_an_epoch_so_80_in_40(images):
    assert len(curve(spec(), first(images, 200, 100), epochs=40)) == 80


def test_the_same_network_gives_the_same_bits_whatever_ran_before(images):
    expected = curve(spec(), images)
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    torch.rand(17)
    curve(spec(random_seed=6), images)
    assert curve(spec(), images) == expected
    assert curve(spec(random_seed=6), images) != expected


def test_no_random_stream_is_carried_from_step_to_step(images):
    """What draws from torch's global stream between half epochs changes nothing."""
    expected = curve(spec(), images, epochs=2)
    loop = HalfEpochLoop(
        ARTICLE, spec(), SAMPLE, DeviceImages(images, TrainingSection(), CPU), TrainingSection(), 2
    )
    rows = []
    for row in loop:
        torch.manual_seed(len(rows))
        torch.rand(3)
        rows.append(row)
    assert rows == expected


@pytest.mark.parametrize("setting", [{"pooling": "average"}, {"dropout": "channel"}])
def test_every_choice_of_a_layer_changes_the_curve(images, setting):
    assert curve(spec(), images, **setting) != curve(spec(), images)


def _memorising(images: Images) -> tuple[NetworkSpec, Images]:
    """A network and real images with shuffled labels: all that it can do is learn by heart."""
    network = spec(
        layer_types=(1, 1),
        dropout_rate=0,
        conv_kernels=(5, 5),
        conv_strides=(2, 2),
        conv_paddings=(0, 0),
        pool_kernels=(),
        pool_strides=(),
        pool_paddings=(),
        conv_filters=(16, 64),
        fc_filters=(10,),
        fc_dropout_layers=(),
        batch_size=10,
    )
    labels = np.random.default_rng(0).permutation(images.train_labels)
    return network, first(dataclasses.replace(images, train_labels=labels), 1000, 100)


def _saw_teeth(rows, of_last_epochs: int) -> int:
    """Epochs whose first half has the lower training loss, among the last ones."""
    losses = [row.train_loss for row in rows]
    pairs = list(zip(losses[::2], losses[1::2], strict=True))[-of_last_epochs:]
    return sum(first_half < second_half for first_half, second_half in pairs)


def test_an_overfitting_network_shows_the_saw_tooth_of_reshuffling_once_an_epoch(images):
    """An image of the first half was last seen 0.75 epochs ago on average, one of the second half
    1.25: so the loss at x.5 is below the one at x + 0.5 once the network has learned by heart."""
    assert _saw_teeth(curve(*_memorising(images), epochs=20), 10) == 10


def test_the_saw_tooth_is_gone_where_each_half_epoch_is_drawn_by_itself(images, monkeypatch):
    def independent_halves(self, epoch):
        generator = torch.Generator().manual_seed(epoch)
        halves = [torch.randperm(1000, generator=generator)[:500] for _ in range(2)]
        return torch.cat(halves).view(-1, 10)

    monkeypatch.setattr(HalfEpochLoop, "_batches", independent_halves)
    assert _saw_teeth(curve(*_memorising(images), epochs=20), 10) < 7


def test_validation_is_the_true_mean_over_the_full_batches(images):
    """Against plain PyTorch on the same weights: the last partial batch is left out."""
    network = spec(batch_size=150)
    loop = HalfEpochLoop(
        ARTICLE, network, SAMPLE, DeviceImages(images, TrainingSection(), CPU), TrainingSection(), 1
    )
    row = next(iter(loop))
    used = 1000 // 150 * 150
    pixels = torch.from_numpy(images.validation_images[:used]).float() / 255
    labels = torch.from_numpy(images.validation_labels[:used])
    loop.network.eval()
    with torch.no_grad():
        scores = loop.network(pixels)
    assert row.val_loss == pytest.approx(nn.functional.cross_entropy(scores, labels).item(), 1e-5)
    correct = int((scores.argmax(1) == labels).sum())
    assert row.val_accuracy_percent == 100 * correct / used


OPTIMIZED = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.5, dampening=0.25),
    "SGD-Nesterov": lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.5, nesterov=True),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.05, betas=(0.5, 0.9), eps=1e-3),
    "AdamW": lambda weights: torch.optim.AdamW(
        weights, lr=0.05, betas=(0.5, 0.9), eps=1e-3, weight_decay=0
    ),
}


@pytest.mark.parametrize("name", OPTIMIZED)
def test_the_first_half_epoch_is_what_plain_pytorch_makes_of_the_same_batches(images, name):
    has_momentum, own = name.startswith("SGD"), {"betas": (0.5, 0.9), "eps": 1e-3}
    network = spec(
        layer_types=(3,),
        dropout_rate=0,
        optimizer=name,
        momentum=0.5 if has_momentum else 0,
        dampening=0.25 if name == "SGD" else 0,
    )
    settings = TrainingSection(optimizer=name, **({} if has_momentum else own))
    loop = HalfEpochLoop(ARTICLE, network, SAMPLE, DeviceImages(images, settings, CPU), settings, 1)
    twin = Network(walk_network(network, SAMPLE), network)
    twin.load_state_dict(loop.network.state_dict())
    batches = loop._batches(0)
    assert sorted(batches.flatten().tolist()) == list(range(4000))
    row = next(iter(loop))
    optimizer = OPTIMIZED[name](twin.parameters())
    losses, correct = [], 0
    for batch in batches[:20]:
        pixels = torch.from_numpy(images.train_images[batch.numpy()]).float() / 255
        labels, scores = torch.from_numpy(images.train_labels[batch.numpy()]), twin(pixels)
        loss = nn.functional.cross_entropy(scores, labels)
        correct += int((scores.argmax(1) == labels).sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert row.train_loss == sum(losses) / 20
    assert (loop.train_correct, loop.train_images) == ([correct], 2000)


def test_epochs_are_different_permutations_of_the_same_truncated_set(images):
    network = spec(batch_size=150)  # 26 batches use 3,900 of 4,000
    loops = {
        choice: HalfEpochLoop(
            ARTICLE,
            network,
            SAMPLE,
            DeviceImages(images, TrainingSection(truncate=choice), CPU),
            TrainingSection(truncate=choice),
            2,
        )
        for choice in ("dataset", "epoch")
    }
    orders = {
        key: [loop._batches(e).flatten().tolist() for e in (0, 1)] for key, loop in loops.items()
    }
    assert orders["dataset"][0] != orders["dataset"][1]
    for order in orders["dataset"]:
        assert sorted(order) == list(range(3900))
    used = [set(order) for order in orders["epoch"]]
    assert all(len(seen) == 3900 for seen in used)
    assert used[0] != used[1]
    assert max(used[0]) >= 3900


def test_a_diverging_network_still_gets_all_its_rows(images):
    rows = curve(spec(learning_rate=1e6, momentum=0), first(images, 400, 100), epochs=3)
    assert len(rows) == 6
    assert not np.isfinite(rows[-1].train_loss)


DIVERGING = {
    "a convolution alone": {"layer_types": (4,), "pool_kernels": (), "pool_strides": ()},
    "pooling and ReLU": {"layer_types": (3,)},
    "momentum and weight decay": {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1},
    "wide padding": {"conv_kernels": (1,), "conv_strides": (1,), "conv_paddings": (5,)},
    "dropout everywhere": {"fc_dropout_rate": 0.5, "fc_dropout_layers": (1,)},
}


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("name", DIVERGING)
def test_the_rest_of_a_diverged_network_is_what_training_on_would_give(
    images, monkeypatch, name, pooling
):
    changes = DIVERGING[name]
    if "pool_kernels" in changes:
        changes = {**changes, "pool_paddings": ()}
    network, few = spec(learning_rate=1e12, **changes), first(images, 400, 250)
    short = loop_on(few, network, 5, pooling=pooling)
    filled = bits(list(short))
    monkeypatch.setattr(HalfEpochLoop, "_has_diverged", lambda _: False)
    long = loop_on(few, network, 5, pooling=pooling)
    assert filled == bits(list(long))
    assert short.train_correct == long.train_correct
    assert len(short.images.taken) < len(long.images.taken) / 2


def test_a_network_of_which_a_part_still_lives_is_trained_on(images):
    """A loss that is NaN alone is no proof."""
    loop = loop_on(first(images, 400, 250), spec(), 3)
    loop.steps.sums[0] = float("nan")
    rows = list(loop)
    assert np.isnan(rows[0].train_loss)
    assert all(np.isfinite(row.train_loss) for row in rows[1:])
    assert len(loop.images.taken) == 6 * (2 + 2)


def test_standardised_pixels_have_mean_0_and_deviation_1_over_the_training_images(images):
    on_device = DeviceImages(images, TrainingSection(pixels="standardised"), CPU)
    pixels, _ = on_device.train_batch(torch.arange(4000))
    assert pixels.mean().item() == pytest.approx(0, abs=1e-4)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)
    mean, deviation = channel_statistics(images.train_images)
    assert mean[0] == pytest.approx(images.train_images.mean() / 255)
    assert deviation[0] == pytest.approx(images.train_images.std() / 255)


def test_unit_pixels_are_bytes_over_255_and_nothing_else(images):
    on_device = DeviceImages(images, TrainingSection(), CPU)
    pixels, labels = on_device.validation_batch(torch.arange(10, 15))
    expected = images.validation_images[10:15].astype(np.float32) / np.float32(255)
    assert np.array_equal(pixels.numpy(), expected)
    assert labels.tolist() == images.validation_labels[10:15].tolist()


def test_trainers_refuse_to_run_without_the_switches_of_determinism(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with pytest.raises(DeviceError, match="CUBLAS_WORKSPACE_CONFIG"):
        make_deterministic()


def test_memory_that_runs_out_is_named_with_its_size():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert re.match(r"out of memory: .*4000000000000000 bytes", failure_reason(caught.value))
    assert failure_reason(RuntimeError("no\nmore")) == "RuntimeError: no"
    illegal = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert not failure_reason(illegal).startswith("out of memory")


def test_any_sampled_network_trains_a_step(images):
    space = SearchSpace(filters=(1, 16), fc_units=(1, 30), batch_size=(100, 100))
    for depth in (1, 3, 6, 10):
        network = sample_network(space, SAMPLE, depth, depth, id="2026_01_01_00_00_00_000000")
        rows = curve(network, first(images, 200, 100))
        assert len(rows) == 2
