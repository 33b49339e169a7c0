"""The 28 columns of a table, with functions that write and read the values of each.

The data article, section 1, and the bytes of the published tables define the format. Floats are
written as Python's shortest round-trip text, a parameter that was not drawn as the integer 0, a
list as integers joined by hyphens, and an empty list as an empty field.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|nan|-?inf")
_WORD = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its published name, its field in `NetworkSpec` or `Row`, and its encoding."""

    name: str
    field: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    """Function that converts text into a value; its ValueError says what is wrong with the text."""


def _read_number(text: str) -> float:
    """Return a drawn parameter, or the integer 0 for a parameter that was not drawn."""
    return 0 if text == "0" else read_float(text)


def read_float(text: str) -> float:
    """Return the float written as `text`; only the form that Python's `repr` writes is accepted."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    value = float(text)
    if repr(value) != text:
        raise ValueError(f"{text!r} is not the shortest text of its number, {value!r}")
    return value


def _read_integer(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number without sign or leading zeros")
    return int(text)


def _write_integers(values: tuple[int, ...]) -> str:
    return "-".join(map(str, values))


def _read_integers(text: str) -> tuple[int, ...]:
    """Return the integers of a list joined by hyphens; an empty field is an empty list."""
    return tuple(_read_integer(part) for part in text.split("-")) if text else ()


def _read_flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"{text!r} is neither True nor False")
    return text == "True"


def _read_text(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} must be printable ASCII without spaces")
    return text


def _write_curve_value(value: float | None) -> str:
    return "" if value is None else repr(value)


def _read_curve_value(text: str) -> float | None:
    """Return a value of a learning curve; None for an empty field, as some programs write NaN."""
    return read_float(text) if text else None


_CURVE = (_write_curve_value, _read_curve_value)
_TEXT, _FLAG, _INTEGER = (str, _read_text), (repr, _read_flag), (str, _read_integer)
_NUMBER, _INTEGERS = (repr, _read_number), (_write_integers, _read_integers)

EPOCHS = Column("epochs", "epochs", repr, read_float)

CURVE_COLUMNS = (
    Column("trainLoss", "train_loss", *_CURVE),
    Column("valLoss", "val_loss", *_CURVE),
    Column("valAcc", "val_accuracy_percent", *_CURVE),
)

METADATA_COLUMNS = (
    Column("ID", "id", *_TEXT),
    Column("random_seed", "random_seed", *_INTEGER),
    Column("train_GPU", "train_gpu", *_FLAG),
    Column("torch_set_deterministic", "torch_set_deterministic", *_FLAG),
    Column("dataset", "dataset", *_TEXT),
    Column("batch_size", "batch_size", *_INTEGER),
    Column("loss_fn", "loss_fn", *_TEXT),
    Column("optimizer", "optimizer", *_TEXT),
    Column("learning_rate", "learning_rate", *_NUMBER),
    Column("momentum", "momentum", *_NUMBER),
    Column("dampening", "dampening", *_NUMBER),
    Column("weight_decay", "weight_decay", *_NUMBER),
    Column("layer_types", "layer_types", *_INTEGERS),
    Column("dropout_rate", "dropout_rate", *_NUMBER),
    Column("convKernels", "conv_kernels", *_INTEGERS),
    Column("convStrides", "conv_strides", *_INTEGERS),
    Column("convPaddings", "conv_paddings", *_INTEGERS),
    Column("poolKernels", "pool_kernels", *_INTEGERS),
    Column("poolStrides", "pool_strides", *_INTEGERS),
    Column("poolPaddings", "pool_paddings", *_INTEGERS),
    Column("convFilters", "conv_filters", *_INTEGERS),
    Column("FC_dropout_rate", "fc_dropout_rate", *_NUMBER),
    Column("FC_dropout_layers", "fc_dropout_layers", *_INTEGERS),
    Column("FCFilters", "fc_filters", *_INTEGERS),
)

COLUMNS = (EPOCHS, *CURVE_COLUMNS, *METADATA_COLUMNS)
"""All 28 columns, in the published order."""

HEADER = " ".join(column.name for column in COLUMNS)
