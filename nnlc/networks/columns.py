"""Columns of a table that describe its network: names, encodings, and the twelve of every training.

The data article, section 1, and the bytes of the published tables define the format. Floats are
written as Python's shortest round-trip text, a parameter that was not drawn as the integer 0, a
list as integers joined by hyphens, and an empty list as an empty field.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "integer", "flag", "number", "integers"]
"""Kind of a column's values: str, int, bool, float, or a tuple of int."""

_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|nan|-?inf")
_WORD = re.compile(r"[!-~]+")
"""Pattern of text values in a table: printable ASCII without spaces."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in a header, its field in a specification or `Row`, and its encoding."""

    name: str
    field: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    """Function that converts text into a value; its ValueError says what is wrong with the text."""
    kind: Kind = "number"
    description: str = ""
    """Sentence on the column, for exports."""
    unit: str = ""


def read_float(text: str) -> float:
    """Return the float written as `text`; only the form that Python's `repr` writes is accepted."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    value = float(text)
    if repr(value) != text:
        raise ValueError(f"{text!r} is not the shortest text of its number, {value!r}")
    return value


def _read_number(text: str) -> float:
    """Return a drawn parameter, or the integer 0 for a parameter that was not drawn."""
    return 0 if text == "0" else read_float(text)


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


def read_text(text: str) -> str:
    """Return a text value; only printable ASCII without spaces is accepted."""
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} must be printable ASCII without spaces")
    return text


_ENCODINGS: Mapping[Kind, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "text": (str, read_text),
    "integer": (str, _read_integer),
    "flag": (repr, _read_flag),
    "number": (repr, _read_number),
    "integers": (_write_integers, _read_integers),
}
KINDS: tuple[Kind, ...] = tuple(_ENCODINGS)


def column(name: str, field: str, kind: Kind, description: str = "", unit: str = "") -> Column:
    """Return the column of metadata with this name, field and kind."""
    return Column(name, field, *_ENCODINGS[kind], kind, description, unit)


TRAINING_COLUMNS = (
    column("ID", "id", "text", "The network's name, as in the name of its table."),
    column(
        "random_seed",
        "random_seed",
        "integer",
        "The seed from which the network was generated.",
    ),
    column("train_GPU", "train_gpu", "flag", "True if the network was trained on a GPU."),
    column(
        "torch_set_deterministic",
        "torch_set_deterministic",
        "flag",
        "True if PyTorch was set to be deterministic.",
    ),
    column("dataset", "dataset", "text", "The images for training and validation."),
    column("batch_size", "batch_size", "integer", "Number of images in a batch.", "images"),
    column("loss_fn", "loss_fn", "text", "The loss function."),
    column("optimizer", "optimizer", "text", "The optimizer."),
    column("learning_rate", "learning_rate", "number", "Step size of the optimizer."),
    column("momentum", "momentum", "number", "Momentum of the optimizer; 0 if it has none."),
    column("dampening", "dampening", "number", "Dampening of the momentum; 0 if it has none."),
    column(
        "weight_decay",
        "weight_decay",
        "number",
        "Weight decay of the optimizer; 0 if it has none.",
    ),
)
"""The twelve columns of every network, whatever its family."""

FAMILY_COLUMN = column("family", "family", "text", "Name and version of the network's family.")
"""Column after the twelve, in tables of every family but the article's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of metadata in a family's tables, and the specification that they make."""

    own: tuple[Column, ...]
    """Columns of the family itself, after the twelve of every training."""
    make: Callable[[Mapping[str, Any]], Any]
    """Function from values by field to a specification; raises SpecError."""
    is_named: bool = True
    """True if the column `family` comes before the family's own; only the article's have none."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of metadata, in their order."""
        return (*TRAINING_COLUMNS, *([FAMILY_COLUMN] if self.is_named else []), *self.own)
