"""A table's network as text: its layers, and how it is trained."""

from collections.abc import Iterator
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.families.layer_lines import layer_lines
from nnlc.families.registry import make_family
from nnlc.families.schedule_source import schedule_source
from nnlc.families.source_text import (
    PIXELS,
    UNKNOWN_WEIGHTS,
    loss_source,
    optimizer_source,
    recipe_words,
)
from nnlc.networks import Specification
from nnlc.networks.columns import FAMILY_COLUMN
from nnlc.networks.image_sets import shown_name
from nnlc.tables.images_of_table import image_set_of
from nnlc.training.origin import Origin, campaign_of, origin_of

_KEPT = """
# Weights that its campaign has kept; those whose names begin with "training." are no weights:
# saved = safetensors.torch.load_file("weights/{id}.safetensors")
# network.load_state_dict({{k: v for k, v in saved.items() if not k.startswith("training.")}})
"""


def describe_network(spec: Specification, origin: Origin) -> Iterator[str]:
    """Yield lines for a network's layers and for its training.

    Raises:
        SpecError: nnlc does not know the optimizer or loss, or sizes don't fit the images.
        FamilyError: the code of the network's family can't be used.
    """
    settings = origin.settings
    yield f"{spec.id}  {origin.images.name}  seed {spec.random_seed}"
    yield from origin.family.layer_table(spec, origin.images, settings)
    yield f"optimizer   {optimizer_source(spec, settings)}"
    yield f"loss        torch.{loss_source(spec, settings)}"
    yield f"batch size  {spec.batch_size}"
    yield f"images      {PIXELS[settings.pixels]}"
    yield from (f"{name:<12}{words}" for name, words in recipe_words(settings))
    if origin.is_assumed:
        yield "settings    nnlc's defaults, as no campaign is known"
    else:
        yield f"settings    of campaign {origin.campaign.name}"
    # A network of nnlc: published tables have False here.
    known = spec.torch_set_deterministic
    yield f"weights     {'the initial weights of its training' if known else UNKNOWN_WEIGHTS}"


def python_source(spec: Specification, origin: Origin) -> str:
    """Return a program that builds the network and what trains it, with PyTorch alone.

    Raises:
        SpecError: nnlc does not know the optimizer or loss, or sizes don't fit the images.
        FamilyError: nnlc can't print networks of this family.
    """
    settings, steps = origin.settings, origin.images.train_images // spec.batch_size // 2 * 2
    source = origin.family.python_source(spec, origin.images, settings)
    source += schedule_source(spec, settings, origin.campaign.epochs, steps)
    return source + (_KEPT.format(id=spec.id) if origin.campaign.run.keep != "none" else "")


def network_lines(spec: Specification, table: Path) -> Iterator[str]:
    """Yield lines on a table's network: its layers, or what is known without them.

    Raises:
        SpecError: the article's network does not fit its images.
    """
    if spec.layout.is_named:
        yield from _own_lines(spec, table)
        return
    images = image_set_of(spec.dataset, table)
    if images is None:
        dataset = shown_name(spec.dataset)
        yield f"(the size of {dataset} images is not known, so no shapes can be shown)"
    else:
        yield from layer_lines(make_family(None, None).layers(spec, images), images)


def _own_lines(spec: Specification, table: Path) -> Iterator[str]:
    """Yield the layers of another family's network, or its own values if its code can't be used."""
    yield f"family {getattr(spec, FAMILY_COLUMN.field)}"
    for column in spec.layout.own:
        yield f"{column.field}: {column.write(getattr(spec, column.field))}"
    yield ""
    try:
        origin = origin_of(spec, campaign_of(table))
        lines = list(layer_lines(origin.family.layers(spec, origin.images), origin.images))
    except NnlcError as problem:
        lines = [f"(no layers can be shown: {problem})"]
    yield from lines
