"""How PyTorch has each kind of layer: source text and module in one, without loading PyTorch.

A new kind of `nnlc.networks.layers` is an entry in `CALLS`. Whoever forgets it is told when this
module is imported.
"""

from collections.abc import Callable

from nnlc.networks import Layer
from nnlc.networks.layers import KINDS
from nnlc.networks.recipe import TrainingSection

Call = tuple[str, tuple[int, ...], dict[str, float]]
"""The name of a class in `torch.nn`, and what it is called with: source text and module in one."""


def drops_channels(layer: Layer, settings: TrainingSection) -> bool:
    """Tell whether a dropout sets whole channels to 0: not behind the feature part."""
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
"""By kind: how PyTorch has it."""


def _check_complete() -> None:
    """See that every kind of layer has a module.

    Raises:
        TypeError: which has none, and where it goes.
    """
    names = {kind.kind for kind in KINDS}
    if missing := sorted(names ^ CALLS.keys()):
        raise TypeError(
            f"{', '.join(missing)}: a kind of layer stands in nnlc/networks/layers.py, in KINDS, "
            "and in nnlc/training/torch_calls.py, in CALLS"
        )


_check_complete()
