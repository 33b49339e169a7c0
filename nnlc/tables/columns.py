"""The 28 columns of a table, defined once, with how each value is written and read.

Source: the data article, section 1, and the bytes of the published tables: floats are Python's
shortest round-trip text, a parameter that was not drawn is the integer 0, lists are joined by
hyphens, an empty list is an empty field.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|nan|-?inf")
_TEXT = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its published name, its field in `NetworkSpec` or `Row`, and its encoding."""

    name: str
    field: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    """Raises ValueError, whose text says what would be right."""


def _write_number(value: float) -> str:
    return repr(value)


def _read_number(text: str) -> float:
    """A drawn parameter, or the integer 0 for one that was not drawn."""
    return 0 if text == "0" else read_float(text)


def read_float(text: str) -> float:
    """A float that is written as Python's `repr` writes it."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    value = float(text)
    if repr(value) != text:
        raise ValueError(f"{text!r} is not the shortest text of its value: {value!r} is")
    return value


def _read_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number without sign or leading zeros")
    return int(text)


def _write_integers(values: tuple[int, ...]) -> str:
    return "-".join(map(str, values))


def _read_integers(text: str) -> tuple[int, ...]:
    """Whole numbers joined by hyphens; an empty field is an empty list."""
    return tuple(_read_integer(part) for part in text.split("-")) if text else ()


def _read_flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"{text!r} is neither True nor False")
    return text == "True"


def _read_text(text: str) -> str:
    if not _TEXT.fullmatch(text):
        raise ValueError(f"{text!r} is no word of printable characters")
    return text


def _write_curve_value(value: float | None) -> str:
    return "" if value is None else repr(value)


def _read_curve_value(text: str) -> float | None:
    """A value of the learning curve; a blank field, as some writers leave for NaN, is None."""
    return read_float(text) if text else None


def _curve(name: str, field: str) -> Column:
    return Column(name, field, _write_curve_value, _read_curve_value)


def _text(name: str, field: str) -> Column:
    return Column(name, field, str, _read_text)


def _flag(name: str, field: str) -> Column:
    return Column(name, field, repr, _read_flag)


def _integer(name: str, field: str) -> Column:
    return Column(name, field, str, _read_integer)


def _number(name: str, field: str) -> Column:
    return Column(name, field, _write_number, _read_number)


def _integers(name: str, field: str) -> Column:
    return Column(name, field, _write_integers, _read_integers)


EPOCHS = Column("epochs", "epochs", repr, read_float)

CURVE_COLUMNS = (
    _curve("trainLoss", "train_loss"),
    _curve("valLoss", "val_loss"),
    _curve("valAcc", "val_accuracy_percent"),
)

METADATA_COLUMNS = (
    _text("ID", "id"),
    _integer("random_seed", "random_seed"),
    _flag("train_GPU", "train_gpu"),
    _flag("torch_set_deterministic", "torch_set_deterministic"),
    _text("dataset", "dataset"),
    _integer("batch_size", "batch_size"),
    _text("loss_fn", "loss_fn"),
    _text("optimizer", "optimizer"),
    _number("learning_rate", "learning_rate"),
    _number("momentum", "momentum"),
    _number("dampening", "dampening"),
    _number("weight_decay", "weight_decay"),
    _integers("layer_types", "layer_types"),
    _number("dropout_rate", "dropout_rate"),
    _integers("convKernels", "conv_kernels"),
    _integers("convStrides", "conv_strides"),
    _integers("convPaddings", "conv_paddings"),
    _integers("poolKernels", "pool_kernels"),
    _integers("poolStrides", "pool_strides"),
    _integers("poolPaddings", "pool_paddings"),
    _integers("convFilters", "conv_filters"),
    _number("FC_dropout_rate", "fc_dropout_rate"),
    _integers("FC_dropout_layers", "fc_dropout_layers"),
    _integers("FCFilters", "fc_filters"),
)

COLUMNS = (EPOCHS, *CURVE_COLUMNS, *METADATA_COLUMNS)
"""All 28, in the published order."""

HEADER = " ".join(column.name for column in COLUMNS)
