"""The rules of the article's Table 3 and Figs 1 to 3, written down again for the tests."""

import math
import re
from dataclasses import dataclass

from nnlc.families.article import NetworkSpec, SearchSpace, sample_network
from nnlc.networks import ImageSet

ID = "2022_01_05_00_00_00_000000"
ARTICLE = SearchSpace()


@dataclass(frozen=True)
class Published:
    """What the article says of a dataset."""

    value: str
    channels: int
    width: int
    classes: int
    train: int
    validation: int


PUBLISHED = {
    "CIFAR-100": Published("CIFAR100", 3, 32, 100, 50_000, 10_000),
    "F-MNIST": Published("FashionMNIST", 1, 28, 10, 60_000, 10_000),
    "SVHN": Published("SVHN", 3, 32, 10, 373_257, 26_032),
}


def after(width, kernel, stride, padding):
    """Window positions along one side, counted one by one."""
    return sum(1 for _ in range(0, width + 2 * padding - kernel + 1, stride))


def broken_rules(spec: NetworkSpec, facts: ImageSet | Published) -> set[str]:
    """The names of the rules of Table 3 and Figs 1 to 3 that a network breaks."""
    broken = set()

    def rule(name, holds):
        if not holds:
            broken.add(name)

    def drawn(value, low, high):
        return type(value) is float and low <= value <= high

    not_drawn = "0"  # as a table writes the integer, which the float 0.0 would not be
    depth = len(spec.conv_kernels)
    pools = iter(zip(spec.pool_kernels, spec.pool_strides, spec.pool_paddings, strict=True))
    width = facts.width
    for i in range(depth):
        kernel, stride, padding = (
            spec.conv_kernels[i],
            spec.conv_strides[i],
            spec.conv_paddings[i],
        )
        rule("kernel", 1 <= kernel <= width)
        rule("stride", 1 <= stride <= kernel)
        rule("padding", 0 <= padding <= 5)
        width = after(width, kernel, stride, padding)
        rule("block", spec.layer_types[i] in (1, 2, 3, 4, 5, 6, 7))
        if spec.layer_types[i] in (2, 3, 6, 7):
            kernel, stride, padding = next(pools)
            rule("pool kernel", 1 <= kernel <= width)
            rule("pool stride", 1 <= stride <= kernel)
            rule("pool padding", 0 <= padding <= math.floor(kernel / 2))
            width = after(width, kernel, stride, padding)
    rule("a pooling entry for each pooling layer", next(pools, None) is None)
    some_dropout = any(block >= 4 for block in spec.layer_types)
    rule(
        "dropout rate",
        drawn(spec.dropout_rate, 0.1, 0.7) if some_dropout else repr(spec.dropout_rate) == "0",
    )
    rule("filters", all(facts.channels <= f <= 400 for f in spec.conv_filters[:-1]))
    rule("last filters", facts.classes <= spec.conv_filters[-1] <= 400)
    rule("fully connected layers", 1 <= len(spec.fc_filters) <= 5)
    rule("fully connected units", all(1 <= units <= 400 for units in spec.fc_filters[:-1]))
    rule("last units", spec.fc_filters[-1] == facts.classes)
    coins = spec.fc_dropout_layers
    rule("a coin for each but the last", len(coins) == len(spec.fc_filters) - 1)
    rule("coins", set(coins) <= {0, 1})
    if repr(spec.fc_dropout_rate) == not_drawn:
        rule("no coin without a rate", not any(coins))
    else:
        rule("fully connected dropout rate", drawn(spec.fc_dropout_rate, 0.1, 0.7))
    rule("learning rate", drawn(spec.learning_rate, 1e-6, 1))
    for name in ("momentum", "dampening", "weight_decay"):
        value = getattr(spec, name)
        rule(name, repr(value) == not_drawn or drawn(value, 1e-6, 1))
    rule("batch size", 25 <= spec.batch_size <= 250)
    batches = facts.train // spec.batch_size
    rule("batches", batches > 0 and batches % 2 == 0)
    rule("seed", 0 <= spec.random_seed < 2**32)
    rule("ID", re.fullmatch(r"[0-9]{4}(_[0-9]{2}){5}_[0-9]{6}", spec.id))
    rule("dataset", spec.dataset == facts.value)
    rule("loss and optimizer", (spec.loss_fn, spec.optimizer) == ("CrossEntropyLoss", "SGD"))
    rule("flags", (spec.train_gpu, spec.torch_set_deterministic) == (True, True))
    return broken


def as_image_set(facts: Published) -> ImageSet:
    return ImageSet(
        name="own",
        table_name=facts.value,
        channels=facts.channels,
        width=facts.width,
        classes=facts.classes,
        train_images=facts.train,
        validation_images=facts.validation,
    )


def sample(facts: Published, depth: int, seed: int, space: SearchSpace = ARTICLE) -> NetworkSpec:
    return sample_network(space, as_image_set(facts), depth, seed, id=ID)
