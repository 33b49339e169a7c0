"""An article's network as text: a table of its layers, and source code that needs only PyTorch."""

from collections.abc import Iterator

from nnlc.families.article.geometry import Walk
from nnlc.families.article.layer import Layer
from nnlc.families.article.torch_calls import CALLS
from nnlc.families.source_text import (
    PIXELS,
    UNKNOWN_WEIGHTS,
    loss_source,
    number_source,
    optimizer_source,
    recipe_words,
)
from nnlc.networks.draws import training_seed
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.specification import Specification

_HEAD = ("", "layer", "kernel", "stride", "padding", "output", "parameters", "multiply-adds")


def python_source(walk: Walk, spec: Specification, settings: TrainingSection) -> str:
    """Return a program that builds the network, its loss and its optimizer, with PyTorch alone.

    Raises:
        SpecError: nnlc does not know the optimizer or loss.
    """
    channels, width, _ = walk.layers[0].input
    seed = number_source(training_seed(spec.random_seed, "init"))
    lines = [
        f'"""Network {spec.id}.',
        "",
        f"Input: float32 (batch, {channels}, {width}, {width}), {PIXELS[settings.pixels]}.",
        f"Output: (batch, {walk.classes}), unnormalised.",
        '"""',
        "",
        "import torch",
        "from torch import nn",
        "",
        f"torch.manual_seed({seed})  # its initial weights"
        if spec.torch_set_deterministic
        else f"# {UNKNOWN_WEIGHTS}",
        "network = nn.Sequential(",
        *(f"    nn.{_call(layer, settings)}," for layer in walk.layers),
        ")",
        f"loss_function = {loss_source(spec, settings)}",
        f"optimizer = {optimizer_source(spec, settings)}",
        f"batch_size = {number_source(spec.batch_size)}",
        *(f"# In its training, {name}: {words}" for name, words in recipe_words(settings)),
    ]
    return "\n".join(lines) + "\n"


def layer_table(walk: Walk, settings: TrainingSection) -> Iterator[str]:
    """Yield lines for a network's layers, by index in the module, and for their sums.

    Multiply-adds are those of one image's forward pass.
    """
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
    named = (f"{name}={number_source(value)}" for name, value in arguments.items())
    return f"{kind}({', '.join([*map(number_source, sizes), *named])})"
