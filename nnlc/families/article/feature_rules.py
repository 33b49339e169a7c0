"""Rules of a network's feature part: lists, blocks, filters, and image widths."""

from collections.abc import Sequence
from typing import NamedTuple

from nnlc.families.article.layer import output_width
from nnlc.families.article.layers import ALL_BITS
from nnlc.families.article.space import SearchSpace
from nnlc.families.article.spec import DROPOUT, POOLING
from nnlc.families.table_rules import TableValues
from nnlc.wording import counted

Bounds = tuple[int, int | str]


class Standard(NamedTuple):
    """Values that a network may have."""

    space: SearchSpace
    most_block: int = ALL_BITS
    """Largest entry of `layer_types`."""


def is_not_drawn(value: object) -> bool:
    """Return True for the integer 0, which means "not drawn"; the float 0.0 is a drawn value."""
    return type(value) is int and value == 0


def check_features(subject: TableValues, standard: Standard) -> None:
    """Check convolutions, blocks and pooling layers (article, Tables 1 and 3, Fig. 2)."""
    space, most = standard
    for number, block in enumerate(subject.entries("layer_types"), 1):
        if not 1 <= block <= most:
            subject.refuse("block", "layer_types", f"block {number} is {block}", f"1 to {most}")
    if _lengths_agree(subject):
        _check_dropout(subject, space)
        _check_filters(subject, space)
        _Walk(subject, space).follow()


def _capped(bounds: Bounds, natural: int | None) -> tuple[int, int | None]:
    """Return the range of a draw after the sampler's cap; a greatest value of None is unknown."""
    low, cap = bounds
    if natural is None:
        return low, None if isinstance(cap, str) else cap
    high = natural if isinstance(cap, str) else min(cap, natural)
    return min(low, high), high


def _lengths_agree(subject: TableValues) -> bool:
    """Return True if the lists of the feature part fit the depth and the blocks."""
    values = subject.values
    if "conv_kernels" not in values or "layer_types" not in values:
        return False
    depth = len(values["conv_kernels"])
    pooled = sum(1 for block in values["layer_types"] if block & POOLING)
    expected = {"conv_kernels": max(depth, 1)}
    expected |= dict.fromkeys(("layer_types", "conv_strides", "conv_paddings"), depth)
    expected |= {"conv_filters": depth}
    expected |= dict.fromkeys(("pool_kernels", "pool_strides", "pool_paddings"), pooled)
    agree = True
    for field, length in expected.items():
        if field not in values:
            agree = False
        elif len(values[field]) != length:
            agree = False
            subject.refuse(
                "list-length",
                field,
                f"{counted(len(values[field]), 'entry', 'entries')}, where convKernels and "
                f"layer_types have {depth} convolutions and {pooled} pooling layers",
                counted(length, "entry", "entries"),
            )
    return agree


def _check_dropout(subject: TableValues, space: SearchSpace) -> None:
    rate = subject.values.get("dropout_rate")
    if rate is None:
        return
    low, high = space.dropout_rate
    if any(block & DROPOUT for block in subject.entries("layer_types")):
        right = f"{low} to {high}, as a block drops out"
        is_right = not is_not_drawn(rate) and low <= rate <= high
    else:
        right = "0, as no block drops out"
        is_right = is_not_drawn(rate)
    if not is_right:
        subject.refuse("dropout-rate", "dropout_rate", f"{rate!r}", right)


def _check_filters(subject: TableValues, space: SearchSpace) -> None:
    filters = subject.entries("conv_filters")
    low, high = space.filters
    channels, classes = 1, 1
    if subject.images:
        channels, classes = subject.images[0].channels, subject.images[0].classes
    for number, count in enumerate(filters, 1):
        is_last = number == len(filters)
        least = max(low, classes if is_last else channels)
        if not least <= count <= high:
            subject.refuse(
                "last-filters" if is_last and low <= count < least else "filters",
                "conv_filters",
                f"convolution {number} has {count}",
                f"{least} to {high}",
            )


class _Walk:
    """Image width, layer by layer, as in `walk_network`; goes on after a wrong layer."""

    def __init__(self, subject: TableValues, space: SearchSpace) -> None:
        self._subject, self._space = subject, space
        self._width = subject.images[0].width if subject.images else None
        """Width in pixels; if it is None (unknown), no kernel is too wide."""

    def follow(self) -> None:
        space, entries = self._space, self._subject.entries
        kernels, strides = entries("conv_kernels"), entries("conv_strides")
        convolutions = zip(kernels, strides, entries("conv_paddings"), strict=True)
        kernels, strides = entries("pool_kernels"), entries("pool_strides")
        pools = iter(zip(kernels, strides, entries("pool_paddings"), strict=True))
        pool = 0
        blocks = zip(entries("layer_types"), convolutions, strict=True)
        for number, (block, window) in enumerate(blocks, 1):
            name = f"convolution {number}"
            self._check("conv", name, window, space.kernel, space.stride, space.padding)
            self._pass_through("conv", name, window)
            if block & POOLING:
                pool, window = pool + 1, next(pools)
                name = f"pooling layer {pool}"
                padding = _capped(space.pool_padding, window[0] // 2)
                self._check("pool", name, window, space.pool_kernel, space.pool_stride, padding)
                self._pass_through("pool", name, window)

    def _check(
        self,
        kind: str,
        name: str,
        window: Sequence[int],
        kernels: Bounds,
        strides: Bounds,
        paddings: tuple[int, int | None],
    ) -> None:
        kernel, stride, padding = window
        of = "" if self._width is None else f" on an input of width {self._width}"
        found = f"{name} has a kernel of {kernel}{of}"
        self._within(f"{kind}-kernel", found, kernel, _capped(kernels, self._width))
        found = f"{name} has a stride of {stride} with a kernel of {kernel}"
        self._within(f"{kind}-stride", found, stride, _capped(strides, kernel))
        found = f"{name} pads {padding} with a kernel of {kernel}"
        self._within(f"{kind}-padding", found, padding, paddings)

    def _within(self, rule: str, found: str, value: int, bounds: tuple[int, int | None]) -> None:
        low, high = bounds
        if value < low or (high is not None and value > high):
            right = f"at least {low}" if high is None else f"{low} to {high}"
            self._subject.refuse(rule, f"{rule.replace('-', '_')}s", found, right)

    def _pass_through(self, kind: str, name: str, window: Sequence[int]) -> None:
        kernel, stride, padding = window
        before, self._width = self._width, None
        if before is None or stride < 1 or kernel < 1:
            return
        after = output_width(before, kernel, stride, padding)
        if after < 1:
            self._subject.refuse(
                "output-width",
                f"{kind}_kernels",
                f"nothing is left after {name}: a kernel of {kernel} on width {before} padded by "
                f"{padding}",
                f"at most {before + 2 * padding}",
            )
            return
        self._width = after
