"""What a module of one's own may do: all else is refused by its name before a campaign starts."""

import random
import sys

import numpy as np
import own_families
import pytest
import torch
from own_families import IMAGES, network_of
from torch import nn
from torch.nn import functional

from nnlc.networks.recipe import TrainingSection
from nnlc.training.module_check import ModuleCheck, check_sample

CLASSES = IMAGES.classes


def _problems(make, device="cpu", **values):
    """Problems of a network whose `body`, between a convolution and the head, `make` returns."""
    family, spec = network_of(lambda _, __: make(), **values)
    return ModuleCheck(family, spec, IMAGES, TrainingSection(), device).problems()


def _with(body):
    def make():
        network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=4), body(), nn.AdaptiveAvgPool2d(1))
        return nn.Sequential(network, nn.Flatten(), nn.Linear(4, CLASSES))

    return make


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, values):
        self.calls += 1
        return values / self.calls


class Remembers(nn.Module):
    def forward(self, values):
        self.before = values.detach()
        return values


class Hides(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, values):
        self.seen += 1
        return values * self.seen


class Rebinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, values):
        self.seen = self.seen + 1
        return values * self.seen


class Clips(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, values):
        with torch.no_grad():
            self.weight.mul_(0.5)
        return values * self.weight


class Grows(nn.Module):
    def forward(self, values):
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(torch.ones(4, 1, 1))
        return values * self.weight


class Draws(nn.Module):
    def __init__(self, draw, when=True):
        super().__init__()
        self.draw, self.when = draw, when

    def forward(self, values):
        return values + self.draw(values) if self.training is self.when else values


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 1, dtype=torch.float16))

    def forward(self, values):
        return values * self.weight.float()


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("turn", torch.ones(4, 1, 1, dtype=torch.complex64))

    def forward(self, values):
        return (values * self.turn).real


class Extra(nn.Module):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        del state

    def forward(self, values):
        return values


class OwnStream(nn.Module):
    def __init__(self):
        super().__init__()
        self.stream = random.Random(1)

    def forward(self, values):
        return values * self.stream.random()


class Settings(nn.Module):
    def forward(self, values):
        torch.backends.cudnn.benchmark = True
        return values


class Modes(nn.Module):
    calls = 0

    def forward(self, values):
        Modes.calls += 1
        return values * Modes.calls


def _closure():
    calls = []

    class Closure(nn.Module):
        def forward(self, values):
            calls.append(1)
            return values * len(calls)

    return Closure()


def _deep_closure():
    def make_counter():
        calls = iter(range(1, 10**9))
        return lambda: next(calls)

    count = make_counter()

    class Deep(nn.Module):
        def forward(self, values):
            return values * count()

    return Deep()


def _hooked():
    module = nn.Identity()
    module.register_forward_hook(lambda *_: None)
    return module


def _hooked_weight():
    module = nn.Conv2d(4, 4, 1)
    module.weight.register_hook(lambda gradient: gradient * 2)
    return module


REFUSED = {
    "a count in an attribute": (Counts, "0.1 (Counts) changes its attribute 'calls'"),
    "activations in an attribute": (Remembers, "0.1 (Remembers) changes its attribute 'before'"),
    "a buffer that is not persistent": (Hides, "0.1 (Hides) changes its buffer 'seen', which is"),
    "another tensor for a buffer": (Rebinds, "puts another tensor in the place of 'seen'"),
    "a variable of a closure": (_closure, "0.1 (Closure) changes 'calls', which is no part"),
    "what nobody can see": (_deep_closure, "differs when training goes on from saved"),
    "a count in the class": (Modes, "0.1 (Modes) changes 'Modes.calls', which is no part"),
    "a stream of its own": (OwnStream, "0.1 (OwnStream) changes its attribute 'stream'"),
    "weights made in forward": (Grows, "0.1 (Grows) puts another tensor in the place of 'weight'"),
    "weights changed in forward": (Clips, "it changes its parameter '0.1.weight' in forward"),
    "hooks": (_hooked, "0.1 (Identity) has hooks"),
    "hooks on weights": (_hooked_weight, "0.1 (Conv2d) has hooks on 'weight'"),
    "half precision": (Half, "0.1 (Half) has 'weight' of torch.float16"),
    "complex numbers": (Complex, "0.1 (Complex) has 'turn' of torch.complex64"),
    "an extra state": (Extra, "0.1 (Extra) has an extra state"),
    "torch's global stream": (
        lambda: Draws(torch.rand_like),
        "0.1 (Draws) draws random numbers with torch.rand_like",
    ),
    "torch's global stream in validation": (
        lambda: Draws(torch.rand_like, when=False),
        "0.1 (Draws) draws random numbers with torch.rand_like",
    ),
    "dropout as a function": (
        lambda: Draws(lambda values: functional.dropout(values)),
        "0.1 (Draws) draws random numbers with torch.",
    ),
    "NumPy's global stream": (
        lambda: Draws(lambda _: np.random.rand()),
        "0.1 (Draws) draws random numbers with numpy.random",
    ),
    "Python's global stream": (
        lambda: Draws(lambda _: random.random()),
        "0.1 (Draws) draws random numbers with random:",
    ),
    "settings of torch": (Settings, "it changes torch.backends.cudnn.benchmark"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_module_that_keeps_or_draws_what_no_file_has_is_refused_by_name(kind, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    make, words = REFUSED[kind]
    problems = _problems(_with(make))
    assert any(words in problem.text for problem in problems), problems
    assert not any(problem.is_failure for problem in problems)
    for problem in problems:
        assert problem.text.startswith("family own@1, network 2026_01_02_03_04_05_000000: ")
        assert "\n" not in problem.text


FAILING = {
    "a lazy module": (_with(lambda: nn.LazyConv2d(4, 1)), "0.1 (LazyConv2d) is lazy"),
    "too many scores": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, CLASSES + 1)),
        "its module returned float32 (20, 6) for 20 images: let forward return",
    ),
    "scores of positions": (
        lambda: nn.Conv2d(1, CLASSES, 12),
        "its module returned float32 (20, 5, 1, 1)",
    ),
    "whole numbers": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, CLASSES), Round()),
        "its module returned int64 (20, 5)",
    ),
    "several results": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(144, CLASSES), Twice()),
        "its module returned a tuple",
    ),
    "nothing to train": (lambda: nn.Flatten(), "it has no parameters to train"),
    "no module": (lambda: "a network", "build returned str, not a torch.nn.Module"),
    "sizes that don't fit": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(7, CLASSES)),
        "its module raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (20x144 and",
    ),
    "too much memory": (lambda: nn.Linear(1 << 22, 1 << 24), "out of memory: "),
}


class Round(nn.Module):
    def forward(self, values):
        return values.round().long()


class Twice(nn.Module):
    def forward(self, values):
        return values, values


@pytest.mark.parametrize("kind", FAILING)
def test_a_network_that_cannot_be_trained_is_named_with_what_is_wrong(kind):
    make, words = FAILING[kind]
    [problem] = _problems(make)
    assert problem.is_failure
    assert words in problem.text


def test_an_exception_of_build_is_one_line_with_its_kind_text_and_place():
    def fail():
        raise KeyError("depth")

    [problem] = _problems(fail)
    assert f"build raised KeyError: 'depth' ({own_families.__file__}, line " in problem.text
    assert isinstance(problem.cause.__cause__, KeyError)


def test_a_build_that_ends_the_program_is_one_line_too():
    [problem] = _problems(lambda: sys.exit("no such network"))
    assert "build raised SystemExit: no such network (" in problem.text


ON_GPUS = {
    "the mean of parts of an image": (lambda: nn.AdaptiveAvgPool2d(2), "AdaptiveAvgPool2d"),
    "the largest of parts of an image": (lambda: nn.AdaptiveMaxPool2d(2), "AdaptiveMaxPool2d"),
    "mirrored borders": (lambda: nn.ReflectionPad2d(1), "ReflectionPad2d"),
    "cubic upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), "Upsample"),
}


@pytest.mark.parametrize("kind", ON_GPUS)
def test_a_layer_without_a_deterministic_kernel_is_refused_on_gpus_alone(kind):
    make, name = ON_GPUS[kind]
    assert not _problems(_with(make))
    [problem] = _problems(_with(make), "cuda")
    assert f"0.1 ({name}) needs torch's " in problem.text
    assert "no deterministic kernel on GPUs" in problem.text


SOUND = {
    "batch normalisation": lambda: nn.BatchNorm2d(4),
    "without a momentum": lambda: nn.BatchNorm2d(4, momentum=None),
    "dropout": lambda: nn.Sequential(nn.Dropout2d(0.5), nn.AlphaDropout(0.1)),
    "upsampling": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "weights of a norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)),
    "a spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 1)),
    "weights of three dimensions": lambda: Deep(),
    "group normalisation": lambda: nn.GroupNorm(2, 4),
    "pooling": lambda: nn.Sequential(nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1)),
    "a constant that is not saved": lambda: Constant(),
    "attention": lambda: Attention(),
}


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv3d(1, 1, 1)

    def forward(self, values):
        return self.inner(values[:, None])[:, 0]


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.full((), 0.5), persistent=False)

    def forward(self, values):
        return values * self.scale


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, values):
        tokens = values.flatten(2).mT
        return self.inner(tokens, tokens, tokens)[0].mT.unflatten(2, values.shape[2:])


@pytest.mark.parametrize("kind", SOUND)
def test_what_torch_saves_and_repeats_passes(kind):
    assert not _problems(_with(SOUND[kind]), "cuda")


def test_a_module_for_one_batch_size_alone_is_checked_with_that():
    class Fixed(nn.Module):
        def forward(self, values):
            return values.reshape(20, 4, -1)[..., None]

    assert not _problems(_with(Fixed))


def test_a_build_that_draws_from_another_stream_than_torchs_is_refused():
    def make():
        network = _with(nn.Identity)()
        with torch.no_grad():
            network[2].bias.fill_(np.random.rand())
        return network

    [problem] = _problems(make)
    assert "'2.bias' differs when the network is built twice" in problem.text


def test_a_check_leaves_all_random_streams_and_the_family_as_they_were():
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    _problems(_with(lambda: nn.Dropout(0.5)))
    found = random.random(), np.random.rand(), torch.rand(())
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    assert found == (random.random(), np.random.rand(), torch.rand(()))


def _sample(bad, *widths):
    """What a check of networks of these widths finds, where those of width 6 have the bad body."""
    sample = []
    for width in widths:
        family, spec = network_of(
            lambda spec, _: _with(bad if spec.width == 6 else nn.Identity)(), width=width
        )
        sample.append((spec, IMAGES))
    return check_sample(family, sample, TrainingSection(), "cpu")


def test_one_module_of_a_sample_that_must_not_be_trained_refuses_the_campaign():
    lines = _sample(Counts, 4, 5, 6)["refused"]
    assert all("own@1, network 2026_01_02_03_04_05_000006: " in line for line in lines)
    assert "0.1 (Counts) changes its attribute 'calls' in a step" in lines[0]


def test_networks_of_a_sample_that_fail_refuse_the_campaign_only_if_none_is_left():
    found = _sample(lambda: nn.Conv2d(7, 4, 1), 4, 5, 6)
    assert len(found["failing"]) == 1
    assert "refused" not in found
    found = _sample(lambda: nn.Conv2d(7, 4, 1), 6, 6)
    assert len(found["refused"]) == 2
