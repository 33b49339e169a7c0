"""Rules on the metadata of the article's tables: values that a search space can draw."""

from collections.abc import Sequence
from functools import lru_cache

from nnlc.families.article.feature_rules import Standard, check_features, is_not_drawn
from nnlc.families.article.sampler import sample_network
from nnlc.families.article.space import SearchSpace
from nnlc.families.article.spec import NetworkSpec
from nnlc.families.table_rules import LayoutRules, TableValues, Values
from nnlc.networks.draws import power_of_ten
from nnlc.networks.image_sets import ImageSet, makes_even_batches
from nnlc.networks.optimizers import OPTIMIZERS
from nnlc.wording import counted

_ROUNDING = 1e-12
"""Relative tolerance at the ends of a range of powers of ten."""
_SECTION_1 = "data article, section 1"
_SECTION_2_1 = "data article, section 2.1"
_SECTION_2_2 = "data article, section 2.2"
_TABLE_1 = "data article, Table 1"
_TABLE_3 = "data article, Table 3"
_FIGURE_2 = "data article, Fig. 2"
_FIGURE_3 = "data article, Fig. 3"
_LISTED = (
    ("list-length", _SECTION_1, "an entry for each convolution, pooling or FC layer"),
    ("block", _TABLE_1, "a block is a sum of ReLU 1, pooling 2, dropout 4"),
    ("conv-kernel", _TABLE_3, "a kernel fits into the unpadded input that reaches it"),
    ("conv-stride", _TABLE_3, "a stride is at most its kernel"),
    ("conv-padding", _TABLE_3, "padding is 0 to 5, or what the campaign says"),
    ("pool-kernel", _TABLE_3, "a pooling kernel fits into the input that reaches it"),
    ("pool-stride", _TABLE_3, "a pooling stride is at most its kernel"),
    ("pool-padding", _TABLE_3, "pooling pads at most half of its kernel"),
    ("output-width", "PyTorch", "no layer's output vanishes"),
    ("filters", _FIGURE_2, "filters from the image's channels to 400"),
    ("last-filters", _FIGURE_2, "the last convolution has a filter for each class"),
    ("dropout-rate", _SECTION_1, "a rate of 0.1 to 0.7 if a block drops out, else 0"),
    ("fc-layers", _TABLE_3, "1 to 5 fully connected layers"),
    ("fc-units", _TABLE_3, "units of a fully connected layer are 1 to 400"),
    ("classes", _SECTION_2_2, "the last layer has a unit for each class"),
    ("fc-dropout-rate", _SECTION_2_1, "0.1 to 0.7 if the coin came up true, else 0"),
    ("fc-dropout-layers", _SECTION_2_1, "0 or 1; no 1 without a rate"),
    ("learning-rate", _TABLE_3, "10^-6 to 1"),
    ("momentum", _TABLE_3, "0, or 10^-6 to 1; 0 where the optimizer has none"),
    ("dampening", _TABLE_3, "0, or 10^-6 to 1; 0 where the optimizer has none"),
    ("weight-decay", _TABLE_3, "0, or 10^-6 to 1; 0 where the optimizer has none"),
    ("batch-size", _TABLE_3, "25 to 250, and no more than there are validation images"),
    ("batches", _FIGURE_3, "the training images make an even number of batches"),
)


def check_values(table: TableValues, standard: Standard) -> None:
    """Note the values of a table that a standard can't draw; absent fields are skipped."""
    if table.layout.is_named:
        return
    _check_training(table, standard.space)
    _check_batches(table, standard.space)
    check_features(table, standard)
    _check_classification(table, standard.space)


def _check_training(table: TableValues, space: SearchSpace) -> None:
    optimizer = OPTIMIZERS.get(table.values.get("optimizer", ""))
    for rule, field, exponents in (
        ("learning-rate", "learning_rate", space.learning_rate_exponent),
        ("momentum", "momentum", space.momentum_exponent),
        ("dampening", "dampening", space.dampening_exponent),
        ("weight-decay", "weight_decay", space.weight_decay_exponent),
    ):
        value = table.values.get(field)
        may_be_zero = rule != "learning-rate"
        if value is None or (may_be_zero and is_not_drawn(value)):
            continue
        if optimizer and rule in ("momentum", "dampening") and field not in optimizer.uses:
            table.refuse(rule, field, f"{value!r}", f"0 under {optimizer.name}")
            continue
        low, high = map(_power, exponents)
        if not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING):
            zero = "0, or " if may_be_zero else ""
            table.refuse(rule, field, f"{value!r}", f"{zero}{low} to {high}")


@lru_cache(maxsize=64)
def _power(exponent: float) -> float:
    return power_of_ten(exponent)


def _check_batches(table: TableValues, space: SearchSpace) -> None:
    size, images = table.values.get("batch_size"), table.images
    if size is None:
        return
    low, high = space.batch_size
    most = min([high, *(reading.validation_images for reading in images)])
    if not low <= size <= most:
        table.refuse("batch-size", "batch_size", f"{size}", f"{low} to {most}")
    elif images and not any(makes_even_batches(size, one.train_images) for one in images):
        batches = " or ".join(str(one.train_images // size) for one in images)
        found = f"{size} images per batch make {batches} batches of the training images"
        table.refuse("batches", "batch_size", found, "an even number")


def _check_classification(table: TableValues, space: SearchSpace) -> None:
    if "fc_filters" not in table.values:
        return
    units = table.entries("fc_filters")
    low, high = space.fc_layers
    if not low <= len(units) <= high:
        found = f"{len(units)} fully connected layers"
        table.refuse("fc-layers", "fc_filters", found, f"{low} to {high}")
    low, high = space.fc_units
    for number, count in enumerate(units[:-1], 1):
        if not low <= count <= high:
            found = f"fully connected layer {number} has {count} units"
            table.refuse("fc-units", "fc_filters", found, f"{low} to {high}")
    least, most = (table.images[0].classes,) * 2 if table.images else (1, 2**31 - 1)
    if units and not least <= units[-1] <= most:
        right = f"{least}" if table.images else "at least 1"
        table.refuse("classes", "fc_filters", f"the last layer has {units[-1]} units", right)
    _check_fc_dropout(table, space, units)


def _check_fc_dropout(table: TableValues, space: SearchSpace, units: Sequence[int]) -> None:
    rate, layers = table.values.get("fc_dropout_rate"), table.values.get("fc_dropout_layers")
    low, high = space.fc_dropout_rate
    if rate is not None and not is_not_drawn(rate) and not low <= rate <= high:
        right = f"0, or {low} to {high}"
        table.refuse("fc-dropout-rate", "fc_dropout_rate", f"{rate!r}", right)
    if layers is None:
        return
    if units and len(layers) != len(units) - 1:
        found = (
            f"{counted(len(layers), 'entry', 'entries')} for "
            f"{counted(len(units), 'fully connected layer')}"
        )
        right = counted(len(units) - 1, "entry", "entries")
        table.refuse("list-length", "fc_dropout_layers", found, right)
    for number, layer in enumerate(layers, 1):
        if layer not in (0, 1) or (layer and rate is not None and is_not_drawn(rate)):
            found = f"entry {number} is {layer}, and the rate {rate!r}"
            right = "0, or 1 where there is a rate"
            table.refuse("fc-dropout-layers", "fc_dropout_layers", found, right)


def _redraw(values: Values, images: ImageSet) -> NetworkSpec:
    """Return the network that a table's seed gives in the article's space.

    Raises:
        NnlcError: it gives none, for example if no batch size in the article's range fits.
    """
    return sample_network(
        _PUBLISHED.space,
        images,
        len(values["conv_kernels"]),
        values["random_seed"],
        id=values["id"],
        train_gpu=values["train_gpu"],
    )


_PUBLISHED = Standard(SearchSpace(), most_block=7)
_ANY = Standard(
    SearchSpace(
        padding=(0, 1024),
        filters=(1, 65_536),
        dropout_rate=(0.0, 1.0),
        fc_layers=(1, 64),
        fc_units=(1, 1_048_576),
        fc_dropout_rate=(0.0, 1.0),
        learning_rate_exponent=(-30.0, 3.0),
        momentum_exponent=(-30.0, 0.0),
        dampening_exponent=(-30.0, 0.0),
        weight_decay_exponent=(-30.0, 3.0),
        batch_size=(1, 1_048_576),
    )
)
"""The widest space that nnlc accepts."""

RULES = LayoutRules(
    _LISTED,
    check_published=lambda table: check_values(table, _PUBLISHED),
    check_any=lambda table: check_values(table, _ANY),
    redraw=_redraw,
)
"""Rules on the article's tables without a campaign."""
