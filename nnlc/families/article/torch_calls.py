"""Calls that make each kind of layer with PyTorch, for modules and source code alike.

A new kind of `nnlc.families.article.layers` needs an entry in `CALLS`. If it is missing, the import
of this module says so. This module does not load PyTorch.
"""

from collections.abc import Callable

from nnlc.families.article import Layer
from nnlc.families.article.layers import KINDS
from nnlc.networks.recipe import TrainingSection

Call = tuple[str, tuple[int, ...], dict[str, float]]
"""Name of a class in `torch.nn`, its positional arguments, and its keyword arguments."""


def drops_channels(layer: Layer, settings: TrainingSection) -> bool:
    """Return True if a dropout layer sets whole channels to 0; after flatten, it never does."""
    return settings.dropout == "channel" and len(layer.input) == 3


def _window(layer: Layer) -> dict[str, float]:
    return {"kernel_size": layer.kernel, "stride": layer.stride, "padding": layer.padding}


CALLS: dict[str, Callable[[Layer, TrainingSection], Call]] = {
    "convolution": lambda layer, _: ("Conv2d", (layer.input[0], layer.output[0]), _window(layer)),
    "relu": lambda *_: ("ReLU", (), {}),
    "dropout": lambda layer, settings: (
        "Dropout2d" if drops_channels(layer, settings) else "Dropout",
        (),
        {"p": layer.rate},
    ),
    "pooling": lambda layer, settings: (
        "MaxPool2d" if settings.pooling == "max" else "AvgPool2d",
        (),
        _window(layer),
    ),
    "flatten": lambda *_: ("Flatten", (), {}),
    "linear": lambda layer, _: ("Linear", (layer.input[0], layer.output[0]), {}),
}
"""Functions that return the call for a layer, by its kind."""

if missing := sorted({kind.kind for kind in KINDS} ^ CALLS.keys()):
    raise TypeError(
        f"{', '.join(missing)}: a kind of layer needs an entry in "
        "nnlc/families/article/layers.py, in KINDS, and one in "
        "nnlc/families/article/torch_calls.py, in CALLS"
    )
