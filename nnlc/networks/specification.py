"""Specification of a network: the twelve values of every training, and those of its family."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from nnlc.errors import SpecError
from nnlc.networks.columns import KINDS, Kind, Layout, column
from nnlc.networks.draws import derive_seed

Value = str | int | float | bool | tuple[int, ...]
"""Value of a column."""

ID_PATTERN = re.compile(r"[0-9]{4}(_[0-9]{2}){5}_[0-9]{6}")
FAMILY_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}@[A-Za-z0-9_.-]{1,32}")
"""Name and version of a family, joined by @."""
COLUMN_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Name of a family's own column."""
TAKEN_COLUMNS = frozenset(
    (
        *("id", "random_seed", "train_gpu", "torch_set_deterministic", "dataset", "batch_size"),
        *("loss_fn", "optimizer", "learning_rate", "momentum", "dampening", "weight_decay"),
        *("family", "own", "layout", "to_json", "from_json"),
        *("epochs", "epoch", "half_epoch", "half_epochs"),
        *("train_loss", "val_loss", "val_accuracy_percent", "train_accuracy_percent"),
        *("seconds", "published", "path", "parameters", "multiply_adds"),
        *("folder", "sha256", "float_zeros", "own_columns"),
    )
)
"""Names that no family's own column may have, as every network or every table has them."""
MAX_OWN_COLUMNS = 1000
"""Maximum number of a family's own columns."""
MAX_NETWORKS = 1_000_000
"""Maximum number of networks in a campaign: an ID ends in six digits."""

_WORD = re.compile(r"[!-~]+")
_TYPES: Mapping[Kind, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "flag": (bool,),
    "number": (float, int),
    "integers": (tuple,),
}
_RANGES: dict[str, tuple[float, float]] = {
    "random_seed": (0, 2**32 - 1),
    "batch_size": (1, 2**31 - 1),
    **dict.fromkeys(("learning_rate", "momentum", "dampening", "weight_decay"), (0, float("inf"))),
}


def network_id(stamp: datetime, index: int) -> str:
    """Return the ID of a campaign's network, in the published form `YYYY_MM_DD_HH_MM_SS_ffffff`.

    Date and time are the campaign's stamp, not the time of day; the last six digits are the
    network's index. So a network has the same ID in every run of its campaign.
    """
    if not 0 <= index < MAX_NETWORKS:
        raise SpecError(f"network index {index} does not fit the six digits of an ID")
    return f"{stamp:%Y_%m_%d_%H_%M_%S}_{index:06d}"


def network_seed(campaign_seed: int, image_set_name: str, group: int, draw: int) -> int:
    """Return the 32-bit `random_seed` of a candidate for a campaign's network.

    Args:
        campaign_seed: the campaign's seed.
        image_set_name: name of the image set.
        group: the network's group in its family; in the article's, its number of convolutions.
        draw: number of the candidate among those of this image set and group.
    """
    return derive_seed("network", campaign_seed, image_set_name, group, draw, bits=32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Specification(ABC):
    """The twelve values of every network in its table, in the order of their columns.

    A parameter that was drawn is a float; any other is the integer 0, as in the published tables.

    Raises:
        SpecError: values that no network can have.
    """

    id: str
    random_seed: int
    """32-bit unsigned integer."""
    train_gpu: bool
    torch_set_deterministic: bool
    dataset: str
    """`ImageSet.table_name`."""
    batch_size: int
    loss_fn: str
    optimizer: str
    learning_rate: float
    momentum: float
    dampening: float
    weight_decay: float

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Columns of the network's table."""

    def to_json(self) -> dict[str, Any]:
        """Return all fields by name, as values that JSON can hold."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the specification whose `to_json` gave these values."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)

    def __post_init__(self) -> None:
        self._check_training()

    def _check_training(self) -> None:
        if not ID_PATTERN.fullmatch(str(self.id)):
            raise SpecError(f"ID {self.id!r} does not have the form YYYY_MM_DD_HH_MM_SS_ffffff")
        for field in ("dataset", "loss_fn", "optimizer"):
            if not _WORD.fullmatch(getattr(self, field)):
                raise SpecError(
                    f"{field} {getattr(self, field)!r} must be printable ASCII without spaces"
                )
        self._check_ranges(_RANGES)

    def _check_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Check that fields, and entries of tuples, are within their least and greatest values."""
        for field, (low, high) in ranges.items():
            value = getattr(self, field)
            for entry in value if isinstance(value, tuple) else (value,):
                if not low <= entry <= high:  # also false for NaN
                    raise SpecError(f"{field} {entry} is not between {low} and {high}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilySpec(Specification):
    """Specification of a network of any family but the article's.

    The family's own values are attributes too: `spec.widths` is the value of its column `widths`.

    Raises:
        SpecError: values that no network can have.
    """

    family: str
    """Name and version of the family, such as residual@1."""
    own: tuple[tuple[str, Kind, Value], ...]
    """Name, kind and value of each column of the family's own, in their order."""

    def __getattr__(self, name: str) -> Value:
        if name != "own":  # it is missing while a copy is being made
            for column_name, _, value in self.own:
                if column_name == name:
                    return value
        if name.startswith("__"):  # Python asks for methods that there may be
            raise AttributeError(name)
        from nnlc.system.toml_file import did_you_mean  # seldom needed here

        advice = did_you_mean(name, [name for name, _, _ in self.own])
        raise AttributeError(f"a network of this family has no {name!r}; {advice}")

    @property
    def layout(self) -> Layout:
        return own_layout(tuple((name, kind) for name, kind, _ in self.own))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        own = tuple(
            (name, kind, tuple(value) if isinstance(value, list) else value)
            for name, kind, value in values["own"]
        )
        return cls(**{**values, "own": own})

    def __post_init__(self) -> None:
        self._check_training()
        if not FAMILY_PATTERN.fullmatch(self.family):
            raise SpecError(f"family {self.family!r} does not have the form NAME@VERSION")
        own_layout(tuple((name, kind) for name, kind, _ in self.own))
        for name, kind, value in self.own:
            check_value(name, kind, value)


def check_value(name: str, kind: Kind, value: object) -> None:
    """Check a value of a column.

    Raises:
        SpecError: a table can't hold it.
    """
    is_flag = isinstance(value, bool)
    if not isinstance(value, _TYPES[kind]) or is_flag != (kind == "flag"):
        raise SpecError(f"{name} {value!r:.80} is no value of a column of kind {kind!r}")
    if kind == "text" and not _WORD.fullmatch(str(value)):
        raise SpecError(f"{name} {value!r:.80} must be printable ASCII without spaces")
    if kind == "number" and isinstance(value, int) and value != 0:
        raise SpecError(f"{name} {value!r} must be a float, or 0 if it was not drawn")
    if kind == "number" and value != value:
        raise SpecError(f"{name} is NaN")
    for entry in value if isinstance(value, tuple) else (value,):
        if kind in ("integer", "integers") and (
            isinstance(entry, bool) or not isinstance(entry, int) or not 0 <= entry < 10**18
        ):
            raise SpecError(f"{name} {value!r:.80} must be of whole numbers from 0 to 10^18")


@lru_cache(maxsize=1024)
def own_layout(own: tuple[tuple[str, Kind], ...]) -> Layout:
    """Return the layout of tables whose family has these columns of its own.

    In a header, the name of such a column is followed by a colon and its kind.

    Raises:
        SpecError: a name is not allowed or occurs twice, a kind does not exist, or there are too
            many columns.
    """
    if len(own) > MAX_OWN_COLUMNS:
        raise SpecError(f"{len(own):,} own columns are more than {MAX_OWN_COLUMNS:,}")
    seen: set[str] = set()
    for name, kind in own:
        check_column_name(name)
        if kind not in KINDS:
            raise SpecError(f"{kind!r:.80} is no kind of column; kinds are {', '.join(KINDS)}")
        if name == "depth" and kind != "integer":
            raise SpecError("the column 'depth' must be of kind integer, as all depths are")
        if name in seen:
            raise SpecError(f"two columns have the name {name!r}")
        seen.add(name)
    columns = tuple(column(f"{name}:{kind}", name, kind) for name, kind in own)

    def make(values: Mapping[str, Any]) -> FamilySpec:
        given = dict(values)
        own_values = tuple((name, kind, given.pop(name)) for name, kind in own)
        return FamilySpec(own=own_values, **given)

    return Layout(columns, make)


def own_columns(names: list[str]) -> tuple[tuple[str, Kind], ...]:
    """Return names and kinds of a family's own columns from their fields in a header.

    Raises:
        SpecError: a field does not end in a kind.
    """
    found: list[tuple[str, Kind]] = []
    for text in names:
        name, _, kind_text = text.partition(":")
        kind = next((each for each in KINDS if each == kind_text), None)
        if kind is None:
            raise SpecError(f"{text[:80]!r} does not end in a kind, one of :{', :'.join(KINDS)}")
        found.append((name, kind))
    return tuple(found)


def check_column_name(name: str) -> None:
    """Check the name of a family's own column.

    Raises:
        SpecError: the name is not allowed, or every network has a column of this name.
    """
    if not COLUMN_PATTERN.fullmatch(name):
        raise SpecError(
            f"{name[:80]!r} is no name of a column: a lowercase letter, then up to 39 lowercase "
            "letters, digits and underscores"
        )
    if name in TAKEN_COLUMNS:
        raise SpecError(f"the name {name!r} is taken: every network has such a value")
