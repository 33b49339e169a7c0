"""Values that a family's specify gives for a network, as nnlc takes and checks them."""

from collections.abc import Collection, Mapping
from math import inf
from typing import cast

from nnlc.errors import SpecError
from nnlc.families.interface import Value
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import check_value

DRAWN = ("batch_size", "learning_rate", "momentum", "dampening", "weight_decay")
"""Values of every training that a family gives with its own; the first two are required."""


def taken(given: object, columns: Collection[str]) -> dict[str, Value]:
    """Return what specify gave for a network, as Python's own types.

    Args:
        given: what it returned.
        columns: the family's own columns.

    Raises:
        SpecError: values are missing, or are of no column.
    """
    if not isinstance(given, Mapping):
        raise SpecError(f"specify must return a dictionary, not {given!r:.40}")
    wanted = {*columns, *DRAWN[:2]}
    missing = sorted(wanted - given.keys())
    unknown = sorted(map(str, given.keys() - {*wanted, *DRAWN}))
    faults = [
        f"{fault} {', '.join(names)}"
        for fault, names in (("lacks", missing), ("has unknown", unknown))
        if names
    ]
    if faults:
        raise SpecError(
            f"what specify returned {' and '.join(faults)}: it must have "
            f"{', '.join((*DRAWN[:2], *columns))}, and may have {', '.join(DRAWN[2:])}"
        )
    return {name: _plain(value) for name, value in given.items()}


def check_training(values: Mapping[str, Value], images: ImageSet) -> None:
    """Check the values of the training, each of which is given.

    Raises:
        SpecError: a table can't hold one, or no training can be made with it.
    """
    for name in DRAWN:
        check_value(name, "integer" if name == "batch_size" else "number", values[name])
    given = cast(Mapping[str, float], values)
    for name, is_right, right in (
        ("learning_rate", 0 < given["learning_rate"] < inf, "above 0, such as 0.1"),
        ("momentum", 0 <= given["momentum"] < 1, "from 0 and below 1, such as 0.9"),
        ("dampening", 0 <= given["dampening"] <= 1, "from 0 to 1"),
        ("weight_decay", 0 <= given["weight_decay"] < inf, "from 0, such as 0.0005"),
    ):
        if not is_right:
            raise SpecError(f"{name} is {given[name]}: it must be {right}")
    _check_batch_size(cast(int, values["batch_size"]), images)


def _check_batch_size(batch_size: int, images: ImageSet) -> None:
    """Check that half epochs of whole batches can be made of some images.

    Raises:
        SpecError: they can't; the text names the nearest sizes that fit.
    """

    def fits(size: int) -> bool:
        batches = images.train_images // size
        return batches >= 2 and batches % 2 == 0

    most = images.validation_images
    if 0 < batch_size <= most and fits(batch_size):
        return
    sizes = list(filter(fits, range(1, most + 1)))
    near = [*[s for s in sizes if s < batch_size][-1:], *[s for s in sizes if s > batch_size][:1]]
    if 0 < batch_size <= most:
        wrong = (
            f"does not cut the {images.train_images:,} training images of {images.name} into an "
            "even number of whole batches"
        )
    else:
        wrong = f"is not between 1 and {most:,}, the number of validation images of {images.name}"
    raise SpecError(
        f"batch_size {batch_size} {wrong}: "
        + (f"{' and '.join(map(str, near))} would fit" if near else f"no size fits {images.name}")
    )


def _plain(value: Value) -> Value:
    """Return a value as one of Python's own types, which tables write; NumPy's have other texts."""
    if isinstance(value, list | tuple):
        return tuple(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
