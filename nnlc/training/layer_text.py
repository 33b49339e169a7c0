"""A network as text: a description of its layers, and source code that needs only PyTorch.

Only numbers of a table enter the source code, each formatted from its value: no table can inject
code.
"""

import math
from collections.abc import Iterator

from nnlc.families.article import Layer, NetworkSpec, Walk, walk_network
from nnlc.families.article.torch_calls import CALLS
from nnlc.networks.draws import training_seed
from nnlc.networks.optimizers import optimizer_of
from nnlc.networks.recipe import TrainingSection
from nnlc.training.origin import Origin

_PIXELS = {
    "unit": "pixels from 0 to 1",
    "standardised": "pixels of mean 0 and deviation 1 in each channel of the training images",
}
_UNKNOWN_WEIGHTS = "drawn anew: the initial weights of published networks were not recorded"
_KEPT = """
# Weights that its campaign has kept; those whose names begin with "training." are no weights:
# saved = safetensors.torch.load_file("weights/{id}.safetensors")
# network.load_state_dict({{k: v for k, v in saved.items() if not k.startswith("training.")}})
"""
_HEAD = ("", "layer", "kernel", "stride", "padding", "output", "parameters", "multiply-adds")


def describe_network(spec: NetworkSpec, origin: Origin) -> Iterator[str]:
    """Yield lines for a network's layers, by index in the module, and for its training.

    Multiply-adds are those of one image's forward pass.

    Raises:
        SpecError: nnlc does not know the optimizer or loss, or sizes don't fit the images.
    """
    walk, settings = walk_network(spec, origin.images), origin.settings
    yield f"{spec.id}  {origin.images.name}  seed {spec.random_seed}"
    yield from _layers(walk, settings)
    yield f"optimizer   {_optimizer(spec, settings)}"
    yield f"loss        torch.nn.{spec.loss_fn}()"
    yield f"batch size  {spec.batch_size}"
    yield f"images      {_PIXELS[settings.pixels]}"
    if origin.is_assumed:
        yield "settings    nnlc's defaults, as no campaign is known"
    else:
        yield f"settings    of campaign {origin.campaign.name}"
    # A network of nnlc: published tables have False here.
    known = spec.torch_set_deterministic
    yield f"weights     {'the initial weights of its training' if known else _UNKNOWN_WEIGHTS}"


def python_source(spec: NetworkSpec, origin: Origin) -> str:
    """Return a program that builds the network, its loss and its optimizer, with PyTorch alone.

    Raises:
        SpecError: nnlc does not know the optimizer or loss, or sizes don't fit the images.
    """
    walk, settings = walk_network(spec, origin.images), origin.settings
    channels, width, _ = walk.layers[0].input
    seed = _number(training_seed(spec.random_seed, "init"))
    lines = [
        f'"""Network {spec.id}.',
        "",
        f"Input: float32 (batch, {channels}, {width}, {width}), {_PIXELS[settings.pixels]}.",
        f"Output: (batch, {walk.classes}), unnormalised.",
        '"""',
        "",
        "import torch",
        "from torch import nn",
        "",
        f"torch.manual_seed({seed})  # its initial weights"
        if spec.torch_set_deterministic
        else f"# {_UNKNOWN_WEIGHTS}",
        "network = nn.Sequential(",
        *(f"    nn.{_call(layer, settings)}," for layer in walk.layers),
        ")",
        f"loss_function = nn.{spec.loss_fn}()",
        f"optimizer = {_optimizer(spec, settings)}",
        f"batch_size = {_number(spec.batch_size)}",
    ]
    kept = _KEPT.format(id=spec.id) if origin.campaign.run.keep != "none" else ""
    return "\n".join(lines) + "\n" + kept


def _layers(walk: Walk, settings: TrainingSection) -> Iterator[str]:
    yield _line(*_HEAD)
    yield _line("", "input", "", "", "", _shape(walk.layers[0].input), "", "")
    for place, layer in enumerate(walk.layers):
        window = [str(layer.kernel), str(layer.stride), str(layer.padding)]
        yield _line(
            str(place),
            _name(layer, settings),
            *(window if layer.kernel else ("", "", "")),
            _shape(layer.output),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
        )
    yield _line("", "sum", "", "", "", "", f"{walk.parameters:,}", f"{walk.multiply_adds:,}")


def _line(*texts: str) -> str:
    widths = (3, 18, 7, 7, 8, 14, 14, 18)
    place, name, *rest = texts
    cells = [f" {text:>{width - 1}}" for text, width in zip(rest, widths[2:], strict=True)]
    return f"{place:>{widths[0]}}  {name:<{widths[1]}}{''.join(cells)}".rstrip()


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _name(layer: Layer, settings: TrainingSection) -> str:
    kind, _, _ = CALLS[layer.kind](layer, settings)
    return f"{kind} {layer.rate:.3f}" if layer.rate else kind


def _call(layer: Layer, settings: TrainingSection) -> str:
    kind, sizes, arguments = CALLS[layer.kind](layer, settings)
    named = (f"{name}={_number(value)}" for name, value in arguments.items())
    return f"{kind}({', '.join([*map(_number, sizes), *named])})"


def _optimizer(spec: NetworkSpec, settings: TrainingSection) -> str:
    known = optimizer_of(spec)
    words = (f"{key}={_value(value)}" for key, value in known.arguments(spec, settings).items())
    return f"torch.optim.{known.torch_name}(network.parameters(), {', '.join(words)})"


def _value(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_number, value))})"
    return repr(value) if isinstance(value, bool) else _number(value)


def _number(value: float) -> str:
    """Return the Python literal of a number."""
    if isinstance(value, int):
        return repr(int(value))
    return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
