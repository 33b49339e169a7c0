"""Specification of one network: the 24 metadata values of its table."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.layers import ALL_BITS, Dropout, Pooling, ReLU

RELU, POOLING, DROPOUT = ReLU.bit, Pooling.bit, Dropout.bit
"""Bits of `layer_types` entries (article, Table 1): 5 is ReLU, then dropout."""

ID_PATTERN = re.compile(r"[0-9]{4}(_[0-9]{2}){5}_[0-9]{6}")
_WORD = re.compile(r"[!-~]+")
"""Pattern of text values in a table: printable ASCII without spaces."""
_WINDOWS = ("conv_kernels", "conv_strides", "pool_kernels", "pool_strides")
_RATES = ("learning_rate", "momentum", "dampening", "weight_decay")
_RANGES: dict[str, tuple[float, float]] = {
    "random_seed": (0, 2**32 - 1),
    "layer_types": (1, ALL_BITS),
    **dict.fromkeys(("batch_size", *_WINDOWS, "conv_filters", "fc_filters"), (1, 2**31 - 1)),
    **dict.fromkeys(("conv_paddings", "pool_paddings"), (0, 2**31 - 1)),
    **dict.fromkeys(("fc_dropout_layers", "dropout_rate", "fc_dropout_rate"), (0, 1)),
    **dict.fromkeys(_RATES, (0, float("inf"))),
}
"""Least and greatest value of a number or of a tuple's entries, by field."""
MAX_NETWORKS = 1_000_000
"""Maximum number of networks in a campaign: an ID ends in six digits."""


def network_id(stamp: datetime, index: int) -> str:
    """Return the ID of a campaign's network, in the published form `YYYY_MM_DD_HH_MM_SS_ffffff`.

    Date and time are the campaign's stamp, not the time of day; the last six digits are the
    network's index. So a network has the same ID in every run of its campaign.
    """
    if not 0 <= index < MAX_NETWORKS:
        raise SpecError(f"network index {index} does not fit the six digits of an ID")
    return f"{stamp:%Y_%m_%d_%H_%M_%S}_{index:06d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec:
    """Metadata of a network in its table, in the order of columns 5 to 28.

    A parameter that was drawn is a float; any other is the integer 0, as in the published tables.
    Tuples have an entry for each convolution, pooling layer or fully connected layer, the
    first layer first.

    Raises:
        SpecError: lengths or values that no network can have.
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
    layer_types: tuple[int, ...]
    """Block after each convolution: the sum of its layers' bits (`RELU`, `POOLING`, `DROPOUT`)."""
    dropout_rate: float
    conv_kernels: tuple[int, ...]
    conv_strides: tuple[int, ...]
    conv_paddings: tuple[int, ...]
    pool_kernels: tuple[int, ...]
    pool_strides: tuple[int, ...]
    pool_paddings: tuple[int, ...]
    conv_filters: tuple[int, ...]
    fc_dropout_rate: float
    """Rate of dropout after fully connected layers, even if no layer has one; 0 if not drawn."""
    fc_dropout_layers: tuple[int, ...]
    """1 if a dropout layer follows, else 0, for each fully connected layer but the last."""
    fc_filters: tuple[int, ...]
    """Units of each fully connected layer; the last has one unit per class."""

    @property
    def depth(self) -> int:
        """Number of convolutions."""
        return len(self.conv_kernels)

    def to_json(self) -> dict[str, Any]:
        """Return all fields by name, as values that JSON can hold."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkSpec":
        """Return the specification whose `to_json` gave these values."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**fields)

    def __post_init__(self) -> None:
        self._check_lengths()
        self._check_values()

    def _check_lengths(self) -> None:
        convolutions = len(self.conv_kernels)
        poolings = sum(1 for block in self.layer_types if block & POOLING)
        of_convolutions = ("layer_types", "conv_strides", "conv_paddings", "conv_filters")
        of_poolings = ("pool_kernels", "pool_strides", "pool_paddings")
        expected = {
            **dict.fromkeys(of_convolutions, convolutions),
            **dict.fromkeys(of_poolings, poolings),
            "fc_dropout_layers": len(self.fc_filters) - 1,
        }
        if convolutions < 1 or len(self.fc_filters) < 1:
            raise SpecError("a network has at least one convolution and one fully connected layer")
        for field, length in expected.items():
            if len(getattr(self, field)) != length:
                raise SpecError(
                    f"{field} has {len(getattr(self, field))} entries where the network's "
                    f"{convolutions} convolutions, {poolings} pooling and "
                    f"{len(self.fc_filters)} fully connected layers need {length}"
                )

    def _check_values(self) -> None:
        if not ID_PATTERN.fullmatch(str(self.id)):
            raise SpecError(f"ID {self.id!r} does not have the form YYYY_MM_DD_HH_MM_SS_ffffff")
        for field in ("dataset", "loss_fn", "optimizer"):
            if not _WORD.fullmatch(getattr(self, field)):
                raise SpecError(
                    f"{field} {getattr(self, field)!r} must be printable ASCII without spaces"
                )
        for field, (low, high) in _RANGES.items():
            value = getattr(self, field)
            for entry in value if isinstance(value, tuple) else (value,):
                if not low <= entry <= high:  # also false for NaN
                    raise SpecError(f"{field} {entry} is not between {low} and {high}")
