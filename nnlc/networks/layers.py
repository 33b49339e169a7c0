"""The kinds of layers, one class each: sizes, parameters, arithmetic, time and memory.

A new kind is a class here, in `KINDS`, and how PyTorch calls it in `nnlc.training.torch_calls`. One
with a `bit` may stand in a block after a convolution: `layer_types` of a table is the sum of the
bits of its block, whose layers come in the order of `KINDS`. `Layer` says what each method returns.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

from nnlc.errors import SpecError
from nnlc.networks.buffers import PLACE_BYTES, VALUE_BYTES, Buffers, DeviceKind, Windows, windows
from nnlc.networks.layer import Layer, Shape, window_words, windowed
from nnlc.networks.trimming import trim
from nnlc.networks.work import Work

FEW_CHANNELS = 4
"""Input channels, at most, that leave a convolution's vectors mostly empty: images' own."""
_VECTOR = 8
"""Channels that a pooling compares at once; what is left of them it takes one by one."""


class Convolution(Layer):
    """A convolution with square windows; the outputs that see only padding are its bias."""

    __slots__ = ()
    kind = "convolution"

    @property
    def parameters(self) -> int:
        return self.output[0] * (self.input[0] * self.kernel**2 + 1)

    @property
    def multiply_adds(self) -> int:
        """C_in * C_out * k^2 * H_out * W_out."""
        return self.input[0] * self.kernel**2 * prod(self.output)

    @property
    def computed_multiply_adds(self) -> int:
        """Those of outputs that see the input."""
        return self.input[0] * self.kernel**2 * self.output[0] * trim(self).width ** 2

    @property
    def words(self) -> str:
        return window_words(self)

    def page_parts(self) -> tuple[str | float, ...]:
        return "c", self.kernel, self.stride, self.padding, *self.output[:2], self.parameters

    def forward_work(self, batch: int) -> Work:
        given, made = self._values(batch)
        way = windows(self)
        operations = self._operations(batch, way)
        is_narrow = self.input[0] <= FEW_CHANNELS and not way.forward
        return Work(
            operations=operations,
            gathered=way.values * batch if way.forward else 0,
            values=given + made + (2 * made if way.is_trimmed else 0),
            narrow=operations if is_narrow else 0,
            weights=self.parameters,
            kernels=4,
        )

    def backward_work(self, batch: int, *, first: bool) -> Work:
        given, made = self._values(batch)
        way = windows(self)
        copies = way.for_weights + (0 if first else 2 * way.forward)
        return Work(
            operations=(1 if first else 2) * self._operations(batch, way),
            gathered=copies * way.values * batch,
            values=2 * (given + made),
            weights=2 * self.parameters,
            kernels=8,
        )

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        given, made = self._bytes(batch)
        way = windows(self)
        part = way.part
        computed = VALUE_BYTES * batch * self.output[0] * part.width**2
        padded_width = self.input[1] + part.left + part.right
        padded = VALUE_BYTES * batch * self.input[0] * padded_width**2
        gathered = VALUE_BYTES * batch * way.values
        has_products = device == "cpu" and way.for_weights
        is_product = device == "cpu" and way.forward
        inner = (computed,) if way.is_trimmed else ()
        copy = (padded,) if way.is_padded else ()
        forward = [*inner]
        backward = [given, *inner]
        if has_products:
            forward += copy
            backward += [*copy, gathered]
        if is_product:
            forward.append(gathered)
            backward += [gathered, padded]
        return Buffers(
            made,
            kept=() if has_products else copy,
            forward=tuple(forward),
            backward=tuple(backward),
            keeps_input=has_products or not way.is_padded,
        )

    def _operations(self, batch: int, way: Windows) -> int:
        """Of one pass; padding within a window is multiplied like anything else."""
        return 2 * batch * self.output[0] * way.values


class ReLU(Layer):
    """A rectifier, in place."""

    __slots__ = ()
    kind, bit = "relu", 1

    def page_parts(self) -> tuple[str | float, ...]:
        return ("r",)

    def forward_work(self, batch: int) -> Work:
        return Work(values=self._values(batch)[1], kernels=1)

    def backward_work(self, batch: int, *, first: bool) -> Work:
        return Work(values=3 * self._values(batch)[1], kernels=1)

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        return Buffers(0, backward=(self._bytes(batch)[1],), keeps_output=True)


class Dropout(Layer):
    """A dropout of single values or whole channels, as the campaign has it."""

    __slots__ = ()
    kind, bit = "dropout", 4

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> Layer:
        """Return the dropout of a block."""
        del windows
        return cls(input=shape, output=shape, rate=spec.dropout_rate)

    @property
    def words(self) -> str:
        return f"dropout {self.rate:.3f}"

    def page_parts(self) -> tuple[str | float, ...]:
        return "d", self.rate

    def forward_work(self, batch: int) -> Work:
        """Return nothing: validation has no dropout."""
        return Work()

    def backward_work(self, batch: int, *, first: bool) -> Work:
        """Return all of it: drawn, compared, scaled; multiplied forward and backward."""
        _, made = self._values(batch)
        return Work(random=made, values=5 * made, kernels=7)

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        given, made = self._bytes(batch)
        bits = made // VALUE_BYTES
        if device == "cpu":  # random bits and a comparison, then the mask
            return Buffers(made, kept=(made,), forward=(made, bits), backward=(given,))
        return Buffers(made, kept=(bits,), backward=(given,))


class Pooling(Layer):
    """A pooling with square windows: of the maximum or the average, as the campaign has it."""

    __slots__ = ()
    kind, bit = "pooling", 2

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> Layer:
        """Return the pooling of a block."""
        kernel, stride, padding = next(windows)
        if padding > kernel // 2:
            raise SpecError(
                f"network {spec.id}: pool padding {padding} exceeds half of kernel {kernel}"
            )
        return windowed(cls, shape, shape[0], kernel, stride, padding, spec.id)

    @property
    def words(self) -> str:
        return window_words(self)

    def page_parts(self) -> tuple[str | float, ...]:
        return "p", self.kernel, self.stride, self.padding, self.output[1]

    def forward_work(self, batch: int) -> Work:
        given, made = self._values(batch)
        vectors = self.input[0] // _VECTOR + self.input[0] % _VECTOR
        compared = batch * vectors * (self.output[1] * self.kernel) ** 2
        return Work(comparisons=compared, values=given + 3 * made, kernels=1)

    def backward_work(self, batch: int, *, first: bool) -> Work:
        given, made = self._values(batch)
        return Work(values=2 * given + 3 * made, kernels=1)

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        given, made = self._bytes(batch)
        places = made // VALUE_BYTES * PLACE_BYTES
        return Buffers(made, kept=(places,), backward=(given,), keeps_input=True)


class Flatten(Layer):
    """What stands between the feature part and the fully connected layers."""

    __slots__ = ()
    kind = "flatten"

    @property
    def activations(self) -> int:
        """Nothing: it is a view."""
        return 0

    def page_parts(self) -> tuple[str | float, ...]:
        return "f", self.output[0]

    def forward_work(self, batch: int) -> Work:
        """Return the way across memory, where the channels are last in it."""
        return Work(values=4 * self._values(batch)[1] if self._has_places else 0)

    def backward_work(self, batch: int, *, first: bool) -> Work:
        return Work(values=2 * self._values(batch)[1], kernels=1)

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        """Return what it allocates: from channels last, a copy."""
        return Buffers(self._bytes(batch)[1] if device == "cpu" and self._has_places else 0)

    @property
    def _has_places(self) -> bool:
        return prod(self.input[1:]) > 1


class Linear(Layer):
    """A fully connected layer."""

    __slots__ = ()
    kind = "linear"

    @property
    def parameters(self) -> int:
        return self.output[0] * (self.input[0] + 1)

    @property
    def multiply_adds(self) -> int:
        """In * out."""
        return self.input[0] * self.output[0]

    def page_parts(self) -> tuple[str | float, ...]:
        return "l", self.output[0], self.parameters

    def forward_work(self, batch: int) -> Work:
        return Work(
            operations=2 * batch * self.multiply_adds,
            values=sum(self._values(batch)),
            weights=self.parameters,
            kernels=1,
        )

    def backward_work(self, batch: int, *, first: bool) -> Work:
        return Work(
            operations=4 * batch * self.multiply_adds,
            values=2 * sum(self._values(batch)),
            weights=2 * self.parameters,
            kernels=3,
        )

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        given, made = self._bytes(batch)
        return Buffers(made, backward=(given,), keeps_input=True)


KINDS: tuple[type[Layer], ...] = (Convolution, ReLU, Dropout, Pooling, Flatten, Linear)
"""All of them, those of a block in their order there."""
BLOCK = tuple(kind for kind in KINDS if kind.bit)
"""Those that a block may have."""
ALL_BITS = sum(kind.bit for kind in BLOCK)
"""The `layer_types` entry of a block that has them all; the least is 1."""
