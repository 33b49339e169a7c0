"""Specification of a network of the article's family: the 24 metadata values of its table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnlc.errors import SpecError
from nnlc.families.article.layers import ALL_BITS, Dropout, Pooling, ReLU
from nnlc.networks.columns import Layout, column
from nnlc.networks.specification import Specification

RELU, POOLING, DROPOUT = ReLU.bit, Pooling.bit, Dropout.bit
"""Bits of `layer_types` entries (article, Table 1): 5 is ReLU, then dropout."""

_WINDOWS = ("conv_kernels", "conv_strides", "pool_kernels", "pool_strides")
_RANGES: dict[str, tuple[float, float]] = {
    "layer_types": (1, ALL_BITS),
    **dict.fromkeys((*_WINDOWS, "conv_filters", "fc_filters"), (1, 2**31 - 1)),
    **dict.fromkeys(("conv_paddings", "pool_paddings"), (0, 2**31 - 1)),
    **dict.fromkeys(("fc_dropout_layers", "dropout_rate", "fc_dropout_rate"), (0, 1)),
}
"""Least and greatest value of a number or of a tuple's entries, by field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec(Specification):
    """Metadata of a network in its table, in the order of columns 5 to 28.

    Tuples have an entry for each convolution, pooling layer or fully connected layer, the
    first layer first.

    Raises:
        SpecError: lengths or values that no network can have.
    """

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

    @property
    def layout(self) -> Layout:
        return LAYOUT

    def __post_init__(self) -> None:
        self._check_lengths()
        self._check_training()
        self._check_ranges(_RANGES)

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


_EACH = "one for each"


def _make(values: Mapping[str, Any]) -> NetworkSpec:
    return NetworkSpec(**values)


LAYOUT = Layout(
    (
        column(
            "layer_types",
            "layer_types",
            "integers",
            f"Layers after each convolution, {_EACH} convolution: a sum of 1 (ReLU), 2 (pooling) "
            "and 4 (dropout).",
        ),
        column(
            "dropout_rate",
            "dropout_rate",
            "number",
            "Rate of all dropout layers after convolutions; 0 if there are none.",
        ),
        column(
            "convKernels",
            "conv_kernels",
            "integers",
            f"Widths of the kernels, {_EACH} convolution.",
            "pixels",
        ),
        column(
            "convStrides", "conv_strides", "integers", f"Strides, {_EACH} convolution.", "pixels"
        ),
        column(
            "convPaddings", "conv_paddings", "integers", f"Paddings, {_EACH} convolution.", "pixels"
        ),
        column(
            "poolKernels",
            "pool_kernels",
            "integers",
            f"Widths of the windows, {_EACH} pooling layer.",
            "pixels",
        ),
        column(
            "poolStrides", "pool_strides", "integers", f"Strides, {_EACH} pooling layer.", "pixels"
        ),
        column(
            "poolPaddings",
            "pool_paddings",
            "integers",
            f"Paddings, {_EACH} pooling layer.",
            "pixels",
        ),
        column("convFilters", "conv_filters", "integers", f"Filters, {_EACH} convolution."),
        column(
            "FC_dropout_rate",
            "fc_dropout_rate",
            "number",
            "Rate of the dropout layers between fully connected layers; may be above 0 even if "
            "there are none.",
        ),
        column(
            "FC_dropout_layers",
            "fc_dropout_layers",
            "integers",
            f"1 if a dropout layer follows, else 0, {_EACH} fully connected layer but the last.",
        ),
        column(
            "FCFilters",
            "fc_filters",
            "integers",
            f"Units, {_EACH} fully connected layer; the last has one for each class.",
        ),
    ),
    _make,
    is_named=False,
)
"""Columns of the published tables: the twelve of every training, then these twelve."""
