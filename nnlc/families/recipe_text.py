"""The recipe of a campaign's training in words, and as source code that needs only PyTorch."""

from collections.abc import Iterator

from nnlc.families.source_text import number_source
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification
from nnlc.wording import counted

_PROGRAM = """
# Learning rate: call schedule.step() after each of the {steps} training steps of an epoch.
from math import cos, pi

schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: {factor}
)
"""
_CHANGES = """
# The training images change at random in each epoch, in this order: {changes}.
"""


def recipe_words(settings: TrainingSection, epochs: int) -> Iterator[tuple[str, str]]:
    """Yield what a recipe has beside optimizer and loss, as pairs of name and text.

    Args:
        settings: the campaign's training settings.
        epochs: number of epochs of the campaign.
    """
    if settings.changes_rate:
        yield "schedule", _schedule_words(settings, epochs)
    if settings.augmentation:
        yield "augmented", ", ".join(settings.augmentation)


def _schedule_words(settings: TrainingSection, epochs: int) -> str:
    words = {
        "constant": "constant",
        "step": f"times {settings.step_factor} after each {counted(settings.step_epochs, 'epoch')}",
        "cosine": f"cosine to {settings.last_rate} over {counted(epochs, 'epoch')}",
    }[settings.schedule]
    warm_up = settings.warmup_epochs
    return words + (f", warm-up in the first {counted(warm_up, 'epoch')}" if warm_up else "")


def loss_source(spec: Specification, settings: TrainingSection) -> str:
    """Return the call that makes the loss of training, without its module."""
    smoothing = settings.label_smoothing
    given = f"label_smoothing={number_source(smoothing)}" if smoothing else ""
    return f"{spec.loss_fn}({given})"


def recipe_source(spec: Specification, settings: TrainingSection, epochs: int, steps: int) -> str:
    """Return code for a network's schedule, and a comment on its augmentation; "" without both.

    Args:
        spec: the network.
        settings: the campaign's training settings.
        epochs: number of epochs of the campaign.
        steps: number of training steps of an epoch.
    """
    factor = " * ".join(_factors(spec, settings, epochs, steps))
    program = _PROGRAM.format(steps=steps, factor=factor) if factor else ""
    changes = ", ".join(settings.augmentation)
    return program + (_CHANGES.format(changes=changes) if changes else "")


def _factors(spec: Specification, settings: TrainingSection, epochs: int, steps: int) -> list[str]:
    """Return factors of the learning rate at a step, whose product is that of `Schedule`."""
    factors, warm_up = [], settings.warmup_epochs * steps
    if settings.schedule == "step":
        fall = number_source(settings.step_factor)
        factors.append(f"{fall} ** (step // {steps * settings.step_epochs})")
    if settings.schedule == "cosine":
        rate = float(spec.learning_rate)
        last = number_source(min(settings.last_rate, rate) / rate if rate else 1.0)
        done = f"max(0, step - {warm_up})" if warm_up else "step"
        share = f"{done} / {max(1, epochs * steps - warm_up)}"
        factors.append(f"({last} + (1 - {last}) * (1 + cos(pi * {share})) / 2)")
    if warm_up:
        factors.append(f"min(1, (step + 1) / {warm_up})")
    return factors
