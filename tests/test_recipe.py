"""Recipes: curves are those of a plain PyTorch loop, and no interruption changes their bits."""

import hashlib
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from campaign_files import PLAIN, refusal
from hypothesis import given
from hypothesis import strategies as st
from limits import HANG_SECONDS
from small_networks import CPU, bits, bundled_images, curve, first, loop_on, spec
from torch import nn
from torch.nn import functional
from worker_jobs import TWO, events, run_worker, start_worker, tables, wait_for, write_campaign

import nnlc
from nnlc.campaign.campaign import load_campaign
from nnlc.families.arithmetic import fingerprint
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.schedule import Schedule
from nnlc.training.augmentation import Augmentation
from nnlc.training.network_text import python_source
from nnlc.training.origin import origin_of

pytestmark = pytest.mark.usefixtures("deterministic")

EPOCHS = 3
PLAIN_NETWORK = {"layer_types": (3,), "dropout_rate": 0, "dampening": 0}
RECIPES = {
    "cosine": (
        {"optimizer": "SGD-Nesterov", "momentum": 0.9, "weight_decay": 1e-3},
        {
            "schedule": "cosine",
            "last_rate": 1e-3,
            "warmup_epochs": 1,
            "label_smoothing": 0.1,
            "pixels": "standardised",
            "augmentation": ("crop:4", "flip", "cutout:9"),
        },
    ),
    "step": (
        {"momentum": 0.5, "dampening": 0.25},
        {"schedule": "step", "step_epochs": 1, "step_factor": 0.3, "augmentation": ("flip",)},
    ),
    "AdamW": (
        {"optimizer": "AdamW", "learning_rate": 0.01, "momentum": 0, "weight_decay": 0.1},
        {"schedule": "cosine", "label_smoothing": 0.2, "augmentation": ("crop:2", "cutout:4")},
    ),
    "warm-up alone": ({}, {"warmup_epochs": 2, "augmentation": ("cutout:40",)}),
}


def network_of(name):
    return spec(**PLAIN_NETWORK | RECIPES[name][0])


def settings_of(name):
    return RECIPES[name][1] | {"optimizer": network_of(name).optimizer}


def seed_of(purpose, *where):
    text = "\x1f".join(map(str, (purpose, spec().random_seed, *where)))
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) >> 193


def plain_augmentation(pixels, changes, epoch, places, count, statistics):
    """Images (batch, 1, 28, 28) of bytes, changed one by one, and scaled."""
    sizes = {text.split(":")[0]: int((text + ":0").split(":")[1]) for text in changes}
    padding, side = sizes.get("crop", 0), sizes.get("cutout", 0)
    draws = torch.Generator().manual_seed(seed_of("augment", epoch))
    drawn = [
        torch.randint(high, (count,), generator=draws)[places].tolist()
        for high in (2 * padding + 1, 2 * padding + 1, 2 if "flip" in sizes else 1, 28, 28)
    ]
    changed = []
    for image, top, left, mirrored, row, column in zip(pixels, *drawn, strict=True):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        one = padded[:, top : top + 28, left : left + 28]
        one = one[:, :, ::-1] if mirrored else one
        one = (one.astype(np.float32) / np.float32(255) - statistics[0]) / statistics[1]
        if side:
            above, before = max(0, row - side // 2), max(0, column - side // 2)
            below, behind = row - side // 2 + side, column - side // 2 + side
            one[:, above : max(0, below), before : max(0, behind)] = 0
        changed.append(one)
    return torch.from_numpy(np.stack(changed))


def plain_rate(base, settings, done, steps):
    """The learning rate of a step, with the C library's cosine."""
    warm_up, whole = settings.get("warmup_epochs", 0) * steps, EPOCHS * steps
    rate = base
    if settings.get("schedule") == "step":
        rate = base * settings["step_factor"] ** (done // steps // settings["step_epochs"])
    if settings.get("schedule") == "cosine":
        last, place = settings.get("last_rate", 0), max(0, done - warm_up) / (whole - warm_up)
        rate = last + (base - last) * (1 + math.cos(math.pi * place)) / 2
    return rate * min(1, (done + 1) / warm_up) if warm_up else rate


def plain_loss(scores, labels, smoothing):
    logarithms = functional.log_softmax(scores, 1)
    of_labels = logarithms.gather(1, labels[:, None]).mean()
    return -(1 - smoothing) * of_labels - smoothing * logarithms.mean()


def plain_optimizer(network, module):
    about = {"lr": network.learning_rate, "weight_decay": network.weight_decay}
    if network.optimizer == "AdamW":
        return torch.optim.AdamW(module.parameters(), **about)
    nesterov = network.optimizer == "SGD-Nesterov"
    about |= {"momentum": network.momentum, "dampening": network.dampening}
    return torch.optim.SGD(module.parameters(), **about, nesterov=nesterov)


def plain_curve(network, images, settings, weights):
    """Rows of a loop that is written for this test alone."""
    pixels, labels = images.train_images, torch.from_numpy(images.train_labels)
    statistics = np.float32(0), np.float32(1)
    if settings.get("pixels") == "standardised":
        statistics = np.float32(pixels.mean() / 255), np.float32(pixels.std() / 255)
    module = nn.Sequential(
        *(nn.Conv2d(1, 10, 4, 3, 1), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten()),
        *(nn.Linear(160, 20), nn.Linear(20, 10)),
    )
    own = dict(zip(module.state_dict(), weights.values(), strict=True))
    module.load_state_dict(own)
    optimizer = plain_optimizer(network, module)
    b, rows = network.batch_size, []
    steps = len(labels) // b
    validated = plain_augmentation(images.validation_images, (), 0, slice(None), 300, statistics)
    for epoch in range(EPOCHS):
        generator = torch.Generator().manual_seed(seed_of("order", epoch))
        order = torch.randperm(steps * b, generator=generator)
        losses = []
        for step in range(steps):
            places = slice(step * b, (step + 1) * b)
            chosen = order[places]
            batch = plain_augmentation(
                *(pixels[chosen.numpy()], settings["augmentation"], epoch, places),
                *(steps * b, statistics),
            )
            optimizer.param_groups[0]["lr"] = plain_rate(
                network.learning_rate, settings, epoch * steps + step, steps
            )
            optimizer.zero_grad()
            loss = plain_loss(module(batch), labels[chosen], settings.get("label_smoothing", 0))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if step + 1 in (steps // 2, steps):
                with torch.no_grad():
                    scores = module(validated)
                truth = torch.from_numpy(images.validation_labels)
                right = 100 * (scores.argmax(1) == truth).sum().item() / len(truth)
                rows.append((np.mean(losses), functional.cross_entropy(scores, truth), right))
                losses = []
    return np.array(rows)


@pytest.mark.parametrize("name", RECIPES)
def test_a_curve_is_that_of_a_plain_pytorch_loop(name):
    images, network = first(bundled_images(), 800, 300), network_of(name)
    settings = settings_of(name)
    loop = loop_on(images, network, EPOCHS, **settings)
    weights = {key: one.clone() for key, one in loop.network.state_dict().items()}
    found = np.array([[row.train_loss, row.val_loss, row.val_accuracy_percent] for row in loop])
    assert found == pytest.approx(plain_curve(network, images, settings, weights), rel=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_an_interrupted_training_has_the_same_bits(name):
    """In its first epoch, within a validation, and in a half epoch after the rate has fallen."""
    images, network, settings = first(bundled_images(), 1000), network_of(name), settings_of(name)
    expected = bits(curve(network, images, EPOCHS, **settings))

    for after in (3, 8, 37, 62):
        left = iter([None] * (after - 1))
        loop = loop_on(images, network, EPOCHS, lambda left=left: next(left), **settings)
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(loop)
        saved = io.BytesIO()
        torch.save(loop.state(), saved)
        saved.seek(0)
        again = loop_on(images, network, EPOCHS, **settings)
        again.resume(torch.load(saved, weights_only=True))
        assert bits([*again.rows, *again]) == expected


def test_each_setting_of_a_recipe_changes_the_curve_and_what_a_checkpoint_must_have():
    images, network = first(bundled_images(), 1000), spec(**PLAIN_NETWORK)
    recipes = [
        {},
        {"schedule": "cosine"},
        {"schedule": "cosine", "last_rate": 0.01},
        {"schedule": "step", "step_epochs": 1},
        {"schedule": "step", "step_epochs": 1, "step_factor": 0.5},
        {"warmup_epochs": 1},
        {"label_smoothing": 0.1},
        {"augmentation": ("crop:4",)},
        {"augmentation": ("crop:3",)},
        {"augmentation": ("flip",)},
        {"augmentation": ("cutout:8",)},
    ]
    assert len({str(bits(curve(network, images, 2, **each))) for each in recipes}) == len(recipes)
    kept = [fingerprint(TrainingSection(**each)) for each in recipes]
    assert len({str(each) for each in kept}) == len(recipes)
    assert kept[0].keys() == {"pixels", "pooling", "dropout", "truncate"}


@pytest.mark.parametrize("name", ["cosine", "step"])
def test_a_rate_in_memory_gives_the_same_curve(name):
    """As on GPUs, whose captured steps read it there, by SGD's fused kernel."""
    images, network, settings = first(bundled_images(), 1000), network_of(name), settings_of(name)
    loop = loop_on(images, network, EPOCHS, **settings)
    loop.steps._rate = torch.zeros(())
    loop._optimizer.param_groups[0].update(foreach=False, fused=True)
    found, expected = (
        np.array([[row.train_loss, row.val_loss] for row in rows])
        for rows in (loop, curve(network, images, EPOCHS, **settings))
    )
    assert found == pytest.approx(expected, rel=1e-5)


def test_validation_knows_neither_augmentation_nor_smoothing():
    images, network = first(bundled_images(), 200), spec(learning_rate=0, momentum=0)
    own = {"augmentation": ("crop:4", "flip", "cutout:8"), "label_smoothing": 0.3}
    [plain, *_], [row, *_] = curve(network, images), curve(network, images, **own)
    assert row.train_loss != plain.train_loss
    assert replace(row, train_loss=0) == replace(plain, train_loss=0)


def test_the_first_rows_of_a_schedule_are_those_of_the_whole_campaign():
    """As `nnlc verify --half-epochs` trains them."""
    images, network = first(bundled_images(), 1000), spec()
    whole = curve(network, images, 4, schedule="cosine")
    loop = loop_on(images, network, 1, campaign_epochs=4, schedule="cosine")
    assert bits(list(loop)) == bits(whole[:2])
    assert bits(curve(network, images, 1, schedule="cosine")) != bits(whole[:2])


@pytest.mark.parametrize("name", RECIPES)
def test_the_source_of_a_network_has_the_rates_of_its_training(name, tmp_path):
    settings = TrainingSection(**settings_of(name))
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN.replace("F-MNIST", "F-MNIST-sample"))
    campaign = load_campaign(path).model_copy(update={"training": settings, "epochs": 5})
    network = network_of(name)
    origin = origin_of(network, campaign)
    made: dict = {}
    exec(python_source(network, origin), made)
    schedule, steps = Schedule(network.learning_rate, settings, 5, 40), []
    for k in range(5 * 40):
        steps.append((made["schedule"].get_last_lr()[0], schedule.rate_of(*divmod(k, 40))))
        made["optimizer"].step()
        made["schedule"].step()
    for printed, trained in steps:
        assert printed == pytest.approx(trained, rel=1e-12)
    usual = campaign.model_copy(update={"training": TrainingSection()})
    assert "schedule" not in python_source(spec(), origin_of(spec(), usual))


def test_one_process_or_many_with_any_interruption_leave_the_same_bytes(tmp_path):
    recipe = """
[training]
optimizer = "SGD-Nesterov"
schedule = "cosine"
warmup_epochs = 1
label_smoothing = 0.1
augmentation = ["crop:4", "flip", "cutout:8"]
pixels = "standardised"

[run]
checkpoint_minutes = 0.0001
"""
    text = TWO.replace("epochs = 1", "epochs = 2") + recipe
    campaign, one, two = write_campaign(tmp_path, text), tmp_path / "one", tmp_path / "two"
    assert run_worker(campaign, "--results", one).returncode == 0
    job = start_worker(campaign, "--results", two)
    wait_for(two, "checkpoint", process=job)
    job.terminate()
    job.communicate(timeout=HANG_SECONDS)
    assert run_worker(campaign, "--results", two, ranks=2).returncode == 0
    assert events(two, "resume")
    assert len(tables(one)) == 2
    assert tables(one) == tables(two)
    for verdict in nnlc.verify(one / "F-MNIST-sample_models", half_epochs=1):
        assert (verdict.problem, verdict.differs, verdict.half_epochs) == (None, False, 1)


RATES = st.floats(1e-6, 10)
ANY = st.builds(
    TrainingSection,
    schedule=st.sampled_from(["constant", "step", "cosine"]),
    warmup_epochs=st.integers(0, 4),
)


def rates(rate, settings, epochs, steps):
    schedule = Schedule(rate, settings, epochs, steps)
    return [schedule.rate_of(*divmod(k, steps)) for k in range(epochs * steps)]


@given(RATES, ANY, st.integers(5, 9), st.integers(1, 30))
def test_a_rate_rises_to_the_networks_own_and_never_rises_again(rate, settings, epochs, steps):
    found = rates(rate, settings, epochs, steps)
    top = max(settings.warmup_epochs * steps - 1, 0)
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top] == pytest.approx(rate, rel=1e-15)
    assert found[top:] == sorted(found[top:], reverse=True)
    assert min(found) >= 0


@given(RATES, RATES, st.integers(1, 9), st.integers(1, 30))
def test_a_cosine_ends_near_the_last_rate_and_is_symmetric(rate, last, epochs, steps):
    settings = TrainingSection(schedule="cosine", last_rate=last)
    found = rates(rate, settings, epochs, steps)
    end = min(rate, last)
    assert all(end <= one <= rate * (1 + 1e-15) for one in found)
    for early, late in zip(found[1:], found[:0:-1], strict=True):
        assert early + late == pytest.approx(rate + end, rel=1e-14)
    for k, one in enumerate(found):
        cosine = math.cos(math.pi * k / len(found))
        assert one == pytest.approx(end + (rate - end) * (1 + cosine) / 2, rel=1e-12, abs=1e-15)


@given(RATES, st.integers(1, 4), st.floats(0.01, 0.99), st.integers(1, 9))
def test_steps_fall_at_the_start_of_epochs(rate, every, factor, steps):
    settings = TrainingSection(schedule="step", step_epochs=every, step_factor=factor)
    found = np.array(rates(rate, settings, 8, steps)).reshape(8, steps)
    for epoch, row in enumerate(found):
        assert row == pytest.approx(rate * factor ** (epoch // every), rel=1e-14)


WIDTH = 7
CHANGES = st.tuples(
    st.sampled_from([(), ("crop:1",), ("crop:6",)]),
    st.sampled_from([(), ("flip",)]),
    st.sampled_from([(), ("cutout:1",), ("cutout:4",), ("cutout:7",)]),
).map(lambda parts: sum(parts, ()))


@given(CHANGES, st.integers(0, 2**63 - 1))
def test_an_augmented_image_has_only_its_own_pixels_and_zeros(changes, seed):
    """Each pixel says where it came from, and rows and columns stay in line."""
    augmentation = Augmentation(changes, WIDTH, CPU)
    drawn = augmentation.draw(seed, 20)
    assert torch.equal(drawn, augmentation.draw(seed, 20))
    numbers = torch.arange(1, WIDTH * WIDTH + 1, dtype=torch.uint8).view(1, 1, WIDTH, WIDTH)
    pixels = torch.cat([numbers, numbers + 100], 1).expand(20, -1, -1, -1).contiguous()
    moved = augmentation.move(pixels, drawn)
    floats = augmentation.cut_out(moved.float(), drawn)
    for image, (top, left, mirrored, row, column) in zip(floats, drawn.tolist(), strict=True):
        assert torch.equal(image[1], torch.where(image[0] > 0, image[0] + 100, image[1]))
        padding = next((int(c[5:]) for c in changes if c.startswith("crop")), 0)
        side = next((int(c[7:]) for c in changes if c.startswith("cutout")), 0)
        for y in range(WIDTH):
            for x in range(WIDTH):
                there = (
                    y + top - padding,
                    (WIDTH - 1 - x if mirrored else x) + left - padding,
                )
                cut = all(0 <= a - b + side // 2 < side for a, b in ((y, row), (x, column)))
                seen = all(0 <= each < WIDTH for each in there) and not cut
                assert image[0, y, x] == (there[0] * WIDTH + there[1] + 1 if seen else 0)


def test_draws_of_an_augmentation_take_every_value_about_equally_often():
    drawn = Augmentation(("crop:4", "flip", "cutout:8"), 28, CPU).draw(1, 28_000)
    for column, values in zip(drawn.T, (9, 9, 2, 28, 28), strict=True):
        counts = torch.bincount(column, minlength=values)
        assert len(counts) == values
        assert (counts / (28_000 / values) - 1).abs().max() < 0.2


HOSTILE = {
    'schedule = "linear"': ("schedule", "'constant', 'step' or 'cosine'"),
    "schedule = 3": ("schedule", "'cosine'"),
    'schedule = "step"\nstep_epochs = 0': ("step_epochs", "greater than or equal to 1"),
    'schedule = "step"\nstep_epochs = 1.5': ("step_epochs", "whole number"),
    'schedule = "step"\nstep_epochs = 40': ("step_epochs", "must be below"),
    'schedule = "step"\nstep_factor = 1.0': ("step_factor", "less than 1"),
    'schedule = "step"\nstep_factor = nan': ("step_factor", "than"),
    "step_epochs = 3": ("step_epochs", 'is for schedule = "step" only'),
    'schedule = "cosine"\nstep_factor = 0.5': ("step_factor", 'and the schedule is "cosine"'),
    'schedule = "step"\nlast_rate = 0.5': ("last_rate", 'is for schedule = "cosine" only'),
    'schedule = "cosine"\nlast_rate = -1e-3': ("last_rate", "greater than or equal to 0"),
    'schedule = "cosine"\nlast_rate = inf': ("last_rate", "finite"),
    "warmup_epochs = 40": ("warmup_epochs", "must be below the campaign's number of"),
    "warmup_epochs = -1": ("warmup_epochs", "greater than or equal to 0"),
    "warmup_epochs = true": ("warmup_epochs", "whole number"),
    "label_smoothing = 1.0": ("label_smoothing", "less than 1"),
    "label_smoothing = nan": ("label_smoothing", "than"),
    'label_smoothing = "0.1"': ("label_smoothing", "number"),
    'augmentation = "flip"': ("augmentation", "[1, 3]"),
    'augmentation = ["crop"]': ("augmentation.0", '"crop:4", "flip" or "cutout:8"'),
    'augmentation = ["flip", "crop:0"]': ("augmentation.1", "above 0"),
    'augmentation = ["crop:-4"]': ("augmentation.0", "above 0"),
    'augmentation = ["crop:99999999999999999999"]': ("augmentation.0", '"crop:4"'),
    'augmentation = ["flip:2"]': ("augmentation.0", '"flip"'),
    'augmentation = ["crop:4\\n"]': ("augmentation.0", '"crop:4"'),
    'augmentation = ["mixup"]': ("augmentation.0", '"cutout:8"'),
    "augmentation = [4]": ("augmentation.0", "text"),
    'augmentation = ["crop:4", "crop:2"]': ("augmentation", "the same kind of change twice"),
    'augmentation = ["crop:28"]': ("augmentation", "28 pixels wide; at most 27"),
    'augmentation = ["cutout:29"]': ("augmentation", "of F-MNIST, 28 pixels wide; at most 28"),
}


@pytest.mark.parametrize("lines", HOSTILE)
def test_a_wrong_recipe_is_one_line_with_file_and_key(lines, tmp_path):
    key, words = HOSTILE[lines]
    path = tmp_path / "mine.toml"
    path.write_text(f"{PLAIN}[training]\n{lines}\n")
    message = refusal(path)
    assert message.startswith(f"{path}, key training.{key}: ")
    assert words in message
    assert "\n" not in message


def test_changes_are_made_in_one_order_however_a_file_lists_them(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'{PLAIN}[training]\naugmentation = ["cutout:8", "flip", "crop:4"]\n')
    assert load_campaign(path).training.augmentation == ("crop:4", "flip", "cutout:8")
