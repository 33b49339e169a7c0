"""Rules of a network's metadata: values that its standard can draw."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from nnlc.auditing.audited_network import AuditedNetwork, Values, is_not_drawn
from nnlc.auditing.feature_rules import check_features
from nnlc.auditing.findings import Findings, quoted
from nnlc.auditing.standards import Standard
from nnlc.networks.draws import power_of_ten
from nnlc.networks.optimizers import LOSSES, OPTIMIZERS
from nnlc.networks.specification import ID_PATTERN
from nnlc.wording import counted

_ROUNDING = 1e-12
"""Relative tolerance at the ends of a range of powers of ten."""


def check_specification(values: Values, standard: Standard, findings: Findings) -> None:
    """Check a network's metadata against its standard.

    Args:
        values: metadata; rules on absent fields are skipped.
        standard: standard of the table.
        findings: findings of the table, to which findings are added.
    """
    subject = AuditedNetwork(values, standard, standard.images(values.get("dataset")), findings)
    _check_identity(subject)
    _check_training(subject)
    _check_batches(subject)
    check_features(subject)
    _check_classification(subject)


def makes_even_batches(batch_size: int, train_images: int) -> bool:
    """Return True if the batches of an epoch are an even, positive number (article, Fig. 3b)."""
    batches = train_images // batch_size
    return batches > 0 and batches % 2 == 0


def _check_identity(subject: AuditedNetwork) -> None:
    values = subject.values
    if "id" in values and not _is_moment(values["id"]):
        subject.refuse("id", "id", quoted(values["id"]), "YYYY_MM_DD_HH_MM_SS_ffffff")
    seed = values.get("random_seed")
    if seed is not None and not 0 <= seed < 2**32:
        subject.refuse("seed-range", "random_seed", f"{seed}", "0 to 4294967295")
    for field, known in (("loss_fn", LOSSES), ("optimizer", subject.standard.optimizers)):
        if field in values and values[field] not in known:
            right = " or ".join(known)
            subject.refuse("loss-and-optimizer", field, quoted(values[field]), right)
    if not subject.images and "dataset" in values:
        subject.refuse(
            "unknown-dataset",
            "dataset",
            f"the images of {quoted(values['dataset'])} are not known, so that rules on sizes, "
            "classes and images were left out",
            "the folder of a campaign that knows them",
        )


def _is_moment(id_: str) -> bool:
    if not ID_PATTERN.fullmatch(id_):
        return False
    try:
        datetime.strptime(id_[:19], "%Y_%m_%d_%H_%M_%S")
    except ValueError:
        return False
    return True


def _check_training(subject: AuditedNetwork) -> None:
    space = subject.standard.space
    optimizer = OPTIMIZERS.get(subject.values.get("optimizer", ""))
    for rule, field, exponents in (
        ("learning-rate", "learning_rate", space.learning_rate_exponent),
        ("momentum", "momentum", space.momentum_exponent),
        ("dampening", "dampening", space.dampening_exponent),
        ("weight-decay", "weight_decay", space.weight_decay_exponent),
    ):
        value = subject.values.get(field)
        may_be_zero = rule != "learning-rate"
        if value is None or (may_be_zero and is_not_drawn(value)):
            continue
        if optimizer and rule in ("momentum", "dampening") and field not in optimizer.uses:
            subject.refuse(rule, field, f"{value!r}", f"0 under {optimizer.name}")
            continue
        low, high = map(_power, exponents)
        if not low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING):
            zero = "0, or " if may_be_zero else ""
            subject.refuse(rule, field, f"{value!r}", f"{zero}{low} to {high}")


@lru_cache(maxsize=64)
def _power(exponent: float) -> float:
    return power_of_ten(exponent)


def _check_batches(subject: AuditedNetwork) -> None:
    size, images = subject.values.get("batch_size"), subject.images
    if size is None:
        return
    low, high = subject.standard.space.batch_size
    most = min([high, *(reading.validation_images for reading in images)])
    if not low <= size <= most:
        subject.refuse("batch-size", "batch_size", f"{size}", f"{low} to {most}")
    elif images and not any(makes_even_batches(size, one.train_images) for one in images):
        batches = " or ".join(str(one.train_images // size) for one in images)
        found = f"{size} images per batch make {batches} batches of the training images"
        subject.refuse("batches", "batch_size", found, "an even number")


def _check_classification(subject: AuditedNetwork) -> None:
    if "fc_filters" not in subject.values:
        return
    space, units = subject.standard.space, subject.entries("fc_filters")
    low, high = space.fc_layers
    if not low <= len(units) <= high:
        found = f"{len(units)} fully connected layers"
        subject.refuse("fc-layers", "fc_filters", found, f"{low} to {high}")
    low, high = space.fc_units
    for number, count in enumerate(units[:-1], 1):
        if not low <= count <= high:
            found = f"fully connected layer {number} has {count} units"
            subject.refuse("fc-units", "fc_filters", found, f"{low} to {high}")
    least, most = (subject.images[0].classes,) * 2 if subject.images else (1, 2**31 - 1)
    if units and not least <= units[-1] <= most:
        right = f"{least}" if subject.images else "at least 1"
        subject.refuse("classes", "fc_filters", f"the last layer has {units[-1]} units", right)
    _check_fc_dropout(subject, units)


def _check_fc_dropout(subject: AuditedNetwork, units: Sequence[int]) -> None:
    rate, layers = subject.values.get("fc_dropout_rate"), subject.values.get("fc_dropout_layers")
    low, high = subject.standard.space.fc_dropout_rate
    if rate is not None and not is_not_drawn(rate) and not low <= rate <= high:
        right = f"0, or {low} to {high}"
        subject.refuse("fc-dropout-rate", "fc_dropout_rate", f"{rate!r}", right)
    if layers is None:
        return
    if units and len(layers) != len(units) - 1:
        found = (
            f"{counted(len(layers), 'entry', 'entries')} for "
            f"{counted(len(units), 'fully connected layer')}"
        )
        right = counted(len(units) - 1, "entry", "entries")
        subject.refuse("list-length", "fc_dropout_layers", found, right)
    for number, layer in enumerate(layers, 1):
        if layer not in (0, 1) or (layer and rate is not None and is_not_drawn(rate)):
            found = f"entry {number} is {layer}, and the rate {rate!r}"
            right = "0, or 1 where there is a rate"
            subject.refuse("fc-dropout-layers", "fc_dropout_layers", found, right)
