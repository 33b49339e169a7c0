"""A network's learning-rate schedule as source code that needs only PyTorch."""

from nnlc.families.source_text import number_source
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification

_PROGRAM = """
# Learning rate: call schedule.step() after each of the {steps} training steps of an epoch.
from math import cos, pi

schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: {factor}
)
"""


def schedule_source(spec: Specification, settings: TrainingSection, epochs: int, steps: int) -> str:
    """Return code for a network's schedule, or "" if its learning rate stays the same.

    Args:
        spec: the network.
        settings: the campaign's training settings.
        epochs: number of epochs of the campaign.
        steps: number of training steps of an epoch.
    """
    if not settings.changes_rate:
        return ""
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
    return _PROGRAM.format(steps=steps, factor=" * ".join(factors))
