"""Residual networks: what is drawn, what is built, and a curve that plain PyTorch gives too."""

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from small_networks import CPU, SAMPLE, bits, bundled_images, first
from torch import nn
from torch.nn import functional

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError
from nnlc.families import ImageSet
from nnlc.families.reference import FamilyReference
from nnlc.families.registry import make_family
from nnlc.networks.image_sets import CIFAR10
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import FamilySpec
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages

GOLDEN = Path(__file__).parent / "golden" / "residual.csv"
RECIPE = TrainingSection(
    pixels="standardised",
    optimizer="SGD-Nesterov",
    schedule="cosine",
    augmentation=("crop:3", "flip"),
)
EPOCHS = 2
HEAD = 'extends = "residual"\n[datasets.CIFAR-10]\nnetworks_per_group = 1\n'


def family(**space):
    return make_family(FamilyReference(name="residual"), space)


def drawn(images=CIFAR10, group=9, seed=1, **space):
    of = family(**space)
    return of.specification(
        images, group, 0, seed, id="2026_01_01_00_00_00_000000", optimizer="SGD-Nesterov"
    )


def with_own(spec, **values):
    return replace(spec, own=tuple((n, kind, values.get(n, v)) for n, kind, v in spec.own))


def small(**values) -> FamilySpec:
    """A network of four blocks, some of which change width or size and some do not."""
    own = {"blocks": (1, 2, 1), "widths": (8, 12, 12), "strides": (1, 2, 2), "stem_width": 8}
    spec = replace(
        drawn(SAMPLE), batch_size=50, learning_rate=0.002, momentum=0.9, weight_decay=1e-3
    )
    return with_own(spec, **own | values)


def steps_of(images, spec, between_steps=lambda: None):
    facts = replace(
        SAMPLE,
        train_images=len(images.train_labels),
        validation_images=len(images.validation_labels),
    )
    held = DeviceImages(images, RECIPE, CPU)
    return HalfEpochLoop(family(), spec, facts, held, RECIPE, EPOCHS, between_steps)


# ---- what is drawn


@st.composite
def image_sets(draw):
    train, validation = draw(st.integers(64, 500_000)), draw(st.integers(40, 50_000))
    sizes = range(32, min(256, validation) + 1)
    assume(any(train // b and train // b % 2 == 0 for b in sizes))
    shape = {"channels": draw(st.integers(1, 4)), "width": draw(st.integers(1, 64))}
    return ImageSet(
        **shape,
        name="x",
        table_name="x",
        classes=draw(st.integers(2, 200)),
        train_images=train,
        validation_images=validation,
    )


@given(image_sets(), st.integers(3, 27), st.integers(0, 2**32 - 1))
def test_a_network_has_its_groups_blocks_and_whole_batches_in_each_half_epoch(images, group, seed):
    spec = drawn(images, group, seed)
    assert (len(spec.blocks), sum(spec.blocks), min(spec.blocks) >= 1) == (3, group, True)
    for width, factor in zip((spec.stem_width, *spec.widths), (1, 1, 2, 4), strict=True):
        assert 8 * factor <= width <= 32 * factor
        assert width % 4 == 0
    assert set(spec.strides) <= {1, 2}
    assert (images.train_images // spec.batch_size) % 2 == 0
    assert 32 <= spec.batch_size <= images.validation_images
    assert 0.01 <= spec.learning_rate <= 10**-0.3
    assert 0.8 <= spec.momentum <= 0.98
    assert list(family().family.check(spec, images)) == []


def test_every_value_of_a_setting_is_drawn():
    specs = [drawn(group=5, seed=seed, width=(4, 8)) for seed in range(300)]
    assert {spec.blocks for spec in specs} == {
        (a, b, 5 - a - b) for a in range(1, 4) for b in range(1, 5 - a)
    }
    assert {spec.widths[2] for spec in specs} == {16, 20, 24, 28, 32}
    assert {spec.strides for spec in specs} == {
        (a, b, c) for a in (1, 2) for b in (1, 2) for c in (1, 2)
    }
    assert {spec.bottleneck for spec in specs} == {True, False}
    assert all(drawn(seed=seed, bottleneck="always").bottleneck for seed in range(9))


@pytest.mark.parametrize("name", ["residual-smoke", "residual"])
def test_the_networks_of_a_shipped_campaign_are_these(name):
    """The first of every group. After a change of what is drawn, raise the family's version."""
    campaign = load_campaign(name)
    (section,) = campaign.datasets.values()
    found = []
    for network in list(campaign.networks())[:: section.networks_per_depth]:
        columns = network.spec.layout.columns
        values = [column.write(getattr(network.spec, column.field)) for column in columns]
        found.append([name, *values])
    with GOLDEN.open(newline="") as file:
        assert found == [row for row in csv.reader(file) if row[0] == name]


@pytest.mark.parametrize(
    ("wrong", "column"),
    [
        ({"blocks": (1, 2)}, "blocks"),
        ({"blocks": (9, 9, 10)}, "blocks"),
        ({"blocks": (3, 0, 1)}, "blocks"),
        ({"widths": (8, 16, 30)}, "widths"),
        ({"stem_width": 6}, "stem_width"),
        ({"strides": (1, 2, 5)}, "strides"),
        ({"batch_size": 64}, "batch_size"),
    ],
)
def test_a_value_that_no_residual_network_has_is_found(wrong, column):
    spec = replace(drawn(group=4), batch_size=wrong.get("batch_size", 100))
    (found, *_) = family().family.check(with_own(spec, **wrong), CIFAR10)
    assert column in found.column


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("width = [6, 8]", "width = [6, 8]: give multiples of 4"),
        ("stride = [2, 1]", "stride = [2, 1]: give the smaller end first"),
        ("batch_size = [64, 64]", "batch_size = [64, 64]: none of these divides the 50000"),
        ("widths = [8, 16]", "widths"),
    ],
)
def test_a_wrong_setting_is_named_with_file_and_key(tmp_path, space, words):
    file = tmp_path / "wrong.toml"
    file.write_text(f"{HEAD}[space]\n{space}\n")
    with pytest.raises(NnlcError) as caught:
        load_campaign(file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


# ---- what is built


def test_the_papers_network_of_20_layers_has_as_many_weights_as_in_the_paper():
    """0.27 million (He et al. 2016, Table 6); 2,752 of these are in shortcuts."""
    spec = with_own(
        drawn(bottleneck="never"),
        blocks=(3, 3, 3),
        widths=(16, 32, 64),
        strides=(1, 2, 2),
        stem_width=16,
    )
    module = family().family.build(spec, CIFAR10)
    assert sum(each.numel() for each in module.parameters()) == 269_722 + 2_752
    assert sum(isinstance(each, nn.Conv2d) for each in module.modules()) == 19 + 2
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


class PlainBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, bottleneck):
        super().__init__()
        inner = outputs // 4
        shapes = [(inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
        if bottleneck:
            shapes = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)]
        self.layers = nn.ModuleList()
        for a, b, kernel, step in shapes:
            self.layers += [
                nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False),
                nn.BatchNorm2d(b),
            ]
        self.project = inputs != outputs or stride > 1
        if self.project:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = x
        for convolution, norm in zip(self.layers[::2], self.layers[1::2], strict=True):
            y = norm(convolution(y))
            y = y if norm is self.layers[-1] else y.relu()
        return (y + (self.shortcut_norm(self.shortcut(x)) if self.project else x)).relu()


def plain_network(spec):
    layers = [nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    width = 8
    for blocks, outputs, stride in zip((1, 2, 1), (8, 12, 12), (1, 2, 2), strict=True):
        for number in range(blocks):
            step = stride if number == 0 else 1
            layers.append(PlainBlock(width, outputs, step, spec.bottleneck))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10))


def seed_of(spec, purpose, epoch):
    text = f"{purpose}\x1f{spec.random_seed}\x1f{epoch}"
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) >> 193


def plain_pixels(pixels, images):
    """Standardised images; float32 throughout, as these networks make much of the last bits."""
    mean, deviation = ((images.train_images / 255).mean(), (images.train_images / 255).std())
    scaled = (torch.from_numpy(pixels).float() / 255 - float(mean)) / float(deviation)
    return scaled.to(memory_format=torch.channels_last)


def plain_changes(images, chosen, draws):
    """Training images, cropped and mirrored one by one, and then standardised."""
    padded = np.pad(images.train_images, ((0, 0), (0, 0), (3, 3), (3, 3)))
    changed = []
    for image, (top, left, mirrored) in zip(chosen, draws, strict=True):
        window = padded[image, :, top : top + 28, left : left + 28]
        changed.append(window[..., ::-1] if mirrored else window)
    return plain_pixels(np.stack(changed), images)


def plain_curve(images, spec, weights):
    """Rows of a usual training loop, with torch's own optimizer, schedule and layers.

    Memory is channels-last, as nnlc has it on CPUs: torch's batch normalisation is less exact so.
    """
    module, b = plain_network(spec).to(memory_format=torch.channels_last), spec.batch_size
    with torch.no_grad():
        for to, value in zip(module.parameters(), weights, strict=True):
            to.copy_(value)
    optimizer = torch.optim.SGD(
        module.parameters(), lr=spec.learning_rate, momentum=0.9, weight_decay=1e-3, nesterov=True
    )
    steps = len(images.train_labels) // b
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * EPOCHS)
    labels, truth = map(torch.from_numpy, (images.train_labels, images.validation_labels))
    rows, losses = [], []
    for epoch in range(EPOCHS):
        generator = torch.Generator().manual_seed(seed_of(spec, "order", epoch))
        order = torch.randperm(steps * b, generator=generator)
        generator = torch.Generator().manual_seed(seed_of(spec, "augment", epoch))
        draws = [torch.randint(high, (len(order),), generator=generator) for high in (7, 7, 2)]
        draws = torch.stack(draws, 1)
        for step in range(steps):
            place = slice(step * b, (step + 1) * b)
            module.train()
            scores = module(plain_changes(images, order[place], draws[place].tolist()))
            loss = functional.cross_entropy(scores, labels[order[place]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if (step + 1) % (steps // 2) == 0:
                module.eval()
                with torch.no_grad():
                    scores = module(plain_pixels(images.validation_images, images))
                right = (scores.argmax(1) == truth).float().mean().item()
                rows.append([np.mean(losses), functional.cross_entropy(scores, truth), 100 * right])
                losses = []
    return np.array(rows)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.usefixtures("deterministic")
def test_a_curve_is_that_of_a_usual_loop_with_torchs_own_parts(bottleneck):
    images, spec = first(bundled_images(), 400, 200), small(bottleneck=bottleneck)
    loop = steps_of(images, spec)
    weights = [each.clone() for each in loop.network.parameters()]
    found = np.array([[row.train_loss, row.val_loss, row.val_accuracy_percent] for row in loop])
    assert found == pytest.approx(plain_curve(images, spec, weights), rel=1e-5)


@pytest.mark.usefixtures("deterministic")
def test_a_network_stopped_at_any_step_goes_on_with_the_same_bits():
    """Within a half epoch and within a validation: weights, momenta and running statistics."""
    images, spec = first(bundled_images(), 400, 200), small()
    expected = bits(steps_of(images, spec))
    total = EPOCHS * (8 + 2 * 4)
    for stop in (1, 3, 4, 6, 9, 13, 18, total - 1):
        left = iter([None] * (stop - 1))
        loop = steps_of(images, spec, lambda left=left: next(left))
        with pytest.raises((StopIteration, RuntimeError)):
            list(loop)
        saved = io.BytesIO()
        torch.save(loop.state(), saved)
        again = steps_of(images, spec)
        again.resume(torch.load(io.BytesIO(saved.getvalue()), weights_only=True))
        assert bits([*again.rows, *again]) == expected, stop


def test_a_specification_survives_a_message():
    spec = drawn()
    assert FamilySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
