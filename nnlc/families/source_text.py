"""Optimizer, loss and recipe of a network, as words and as source code that needs only PyTorch.

Only numbers of a table enter the code, each formatted from its value: no table can inject code.
"""

import math
from collections.abc import Iterator

from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification
from nnlc.wording import counted

PIXELS = {
    "unit": "pixels from 0 to 1",
    "standardised": "pixels of mean 0 and deviation 1 in each channel of the training images",
}
"""Pixels in words, by the setting `pixels`."""
UNKNOWN_WEIGHTS = "drawn anew: the initial weights of published networks were not recorded"


def optimizer_source(spec: Specification, settings: TrainingSection) -> str:
    """Return the call that makes a network's optimizer.

    Raises:
        SpecError: nnlc does not know the optimizer or the loss.
    """
    known = optimizer_of(spec)
    words = (f"{key}={_value(value)}" for key, value in known.arguments(spec, settings).items())
    return f"torch.optim.{known.torch_name}(network.parameters(), {', '.join(words)})"


def loss_source(spec: Specification, settings: TrainingSection) -> str:
    """Return the call that makes a network's loss in training."""
    smoothing = settings.label_smoothing
    words = f"label_smoothing={number_source(smoothing)}" if smoothing else ""
    return f"nn.{spec.loss_fn}({words})"


def recipe_words(settings: TrainingSection) -> Iterator[tuple[str, str]]:
    """Yield name and value, in words, of what else a recipe changes during the training."""
    words = {
        "step": f"times {settings.step_factor} after each {settings.step_epochs} epochs",
        "cosine": f"half a cosine, to {settings.last_rate}",
    }
    rate = [words[settings.schedule]] if settings.schedule in words else []
    if settings.warmup_epochs:
        rate.append(f"warm-up of {counted(settings.warmup_epochs, 'epoch')}")
    if rate:
        yield "rate", ", ".join(rate)
    if settings.augmentation:
        yield "changes", f"{', '.join(settings.augmentation)} of training images"


def _value(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(number_source, value))})"
    return repr(value) if isinstance(value, bool) else number_source(value)


def number_source(value: float) -> str:
    """Return the Python literal of a number."""
    if isinstance(value, int):
        return repr(int(value))
    return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
