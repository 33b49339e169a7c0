"""Kinds of layers, one class for each: shapes, parameters, work and memory.

A new kind is a class here, listed in `KINDS`, and an entry in
`nnlc.families.article.torch_calls`. `Layer` documents the methods. Each convolution is followed by
a block of layers: the kinds with a `bit` may be in it, in the order of `KINDS`. A table's
`layer_types` has the sum of each block's bits.
"""

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from nnlc.errors import SpecError
from nnlc.families.article.buffers import INDEX_BYTES, Buffers
from nnlc.families.article.conditions import Conditions
from nnlc.families.article.convolution_buffers import convolution_buffers
from nnlc.families.article.convolution_plan import ConvolutionPlan, Way, plan_convolution, trim
from nnlc.families.article.layer import Layer, Shape, windowed
from nnlc.families.article.pooling_plan import bytes_in_block, pools_in_two_passes
from nnlc.networks.device_memory import VALUE_BYTES
from nnlc.networks.work import Work

FEW_CHANNELS = 4
"""Maximum number of input channels of a narrow convolution: see `Work.narrow`."""
_VECTOR = 8
"""Number of channels that pooling compares at once; it compares the remainder one by one."""


class Convolution(Layer):
    """A convolution with square windows; outputs that see only padding equal the bias."""

    __slots__ = ()
    kind = "convolution"

    @property
    def parameters(self) -> int:
        return self.output[0] * (self.input[0] * self.kernel**2 + 1)

    @property
    def multiply_adds(self) -> int:
        """Product C_in * C_out * k^2 * H_out * W_out."""
        return self.input[0] * self.kernel**2 * prod(self.output)

    @property
    def computed_multiply_adds(self) -> int:
        return self.input[0] * self.kernel**2 * self.output[0] * trim(self).width ** 2

    def page_parts(self) -> tuple[str | float, ...]:
        return "c", self.kernel, self.stride, self.padding, *self.output[:2], self.parameters

    def forward_work(self, conditions: Conditions) -> Work:
        inputs, outputs = self._values(conditions.batch)
        plan = plan_convolution(self, conditions)
        way = plan.ways.forward
        operations = self._operations(conditions.batch, plan, way)
        transforms = plan.transforms if way == "fourier" else None
        is_narrow = self.input[0] <= FEW_CHANNELS and way == "direct"
        return Work(
            operations=0 if transforms else operations,
            fourier=transforms.operations if transforms else 0,
            gathered=plan.window_values * conditions.batch if way == "product" else 0,
            values=inputs + outputs + (2 * outputs if plan.is_trimmed else 0),
            narrow=operations if is_narrow else 0,
            weights=self.parameters,
            kernels=transforms.forward_calls if transforms else 4,
        )

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        inputs, outputs = self._values(conditions.batch)
        plan = plan_convolution(self, conditions)
        ways = plan.ways[2:] if first else plan.ways[1:]
        copies = ways.count("product") + (not first and plan.ways.input_gradient == "product")
        fourier = kernels = 0
        if plan.transforms and (passes := ways.count("fourier")):
            fourier = passes * plan.transforms.operations
            fourier -= (passes - 1) * plan.transforms.shared_operations
            kernels = passes * plan.transforms.forward_calls
        rest = [way for way in ways if way != "fourier"]
        return Work(
            operations=sum(self._operations(conditions.batch, plan, way) for way in rest),
            fourier=fourier,
            gathered=copies * plan.window_values * conditions.batch,
            values=2 * (inputs + outputs),
            weights=2 * self.parameters,
            kernels=kernels or 8,
        )

    def buffers(self, conditions: Conditions) -> Buffers:
        return convolution_buffers(self, conditions)

    def _operations(self, batch: int, plan: ConvolutionPlan, way: Way) -> int:
        """Return the operations of one pass."""
        return 2 * batch * self.output[0] * plan.values(way)


class ReLU(Layer):
    """A ReLU that works in place."""

    __slots__ = ()
    kind, bit = "relu", 1

    def page_parts(self) -> tuple[str | float, ...]:
        return ("r",)

    def forward_work(self, conditions: Conditions) -> Work:
        return Work(values=self._values(conditions.batch)[1], kernels=1)

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        return Work(values=3 * self._values(conditions.batch)[1], kernels=1)

    def buffers(self, conditions: Conditions) -> Buffers:
        return Buffers(0, backward=(self._bytes(conditions.batch)[1],), keeps_output=True)


class Dropout(Layer):
    """A dropout of single values or whole channels: the campaign's `training.dropout`."""

    __slots__ = ()
    kind, bit = "dropout", 4

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> Layer:
        del windows
        return cls(input=shape, output=shape, rate=spec.dropout_rate)

    @property
    def description(self) -> str:
        return f"dropout {self.rate:.3f}"

    def page_parts(self) -> tuple[str | float, ...]:
        return "d", self.rate

    def forward_work(self, conditions: Conditions) -> Work:
        return Work()  # validation has no dropout

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        # Drawn, compared, scaled; multiplied forward and backward.
        _, outputs = self._values(conditions.batch)
        return Work(random=outputs, values=5 * outputs, kernels=7)

    def buffers(self, conditions: Conditions) -> Buffers:
        inputs, outputs = self._bytes(conditions.batch)
        bits = outputs // VALUE_BYTES
        on_cpu = conditions.device == "cpu"  # random bits, a comparison, and the mask
        return Buffers(
            outputs,
            kept=(outputs,) if on_cpu else (bits,),
            forward=(outputs, bits) if on_cpu else (),
            backward=(inputs,),
            only_in_training=True,
        )


class Pooling(Layer):
    """A maximum or average pooling with square windows: the campaign's `training.pooling`."""

    __slots__ = ()
    kind, bit = "pooling", 2

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> Layer:
        kernel, stride, padding = next(windows)
        if padding > kernel // 2:
            raise SpecError(
                f"network {spec.id}: pool padding {padding} exceeds half of kernel {kernel}"
            )
        return windowed(cls, shape, shape[0], kernel, stride, padding, spec.id)

    def page_parts(self) -> tuple[str | float, ...]:
        return "p", self.kernel, self.stride, self.padding, self.output[1]

    def forward_work(self, conditions: Conditions) -> Work:
        inputs, outputs = self._values(conditions.batch)
        vectors = self.input[0] // _VECTOR + self.input[0] % _VECTOR
        window = conditions.batch * vectors * self.output[1] * self.kernel
        values = inputs + 3 * outputs
        if pools_in_two_passes(self, conditions):
            rows = inputs // self.input[1] * self.output[1]
            both = self.input[1] + self.output[1]
            return Work(
                comparisons=window * both, values=values + 3 * rows + 2 * outputs, kernels=2
            )
        return Work(comparisons=window * self.output[1] * self.kernel, values=values, kernels=1)

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        inputs, outputs = self._values(conditions.batch)
        return Work(values=2 * inputs + 3 * outputs, kernels=1)

    def buffers(self, conditions: Conditions) -> Buffers:
        inputs, outputs = self._bytes(conditions.batch)
        indices = outputs // VALUE_BYTES * INDEX_BYTES
        between = (bytes_in_block(self, conditions),)
        return Buffers(
            outputs, kept=(indices,), forward=between, backward=(inputs,), keeps_input=True
        )


class Flatten(Layer):
    """The reshaping of (channels, height, width) to (features,) before fully connected layers."""

    __slots__ = ()
    kind = "flatten"

    @property
    def activations(self) -> int:
        return 0  # a view

    def page_parts(self) -> tuple[str | float, ...]:
        return "f", self.output[0]

    def forward_work(self, conditions: Conditions) -> Work:
        # A copy, where the channels are last in memory.
        return Work(values=4 * self._values(conditions.batch)[1] if self._is_spatial else 0)

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        return Work(values=2 * self._values(conditions.batch)[1], kernels=1)

    def buffers(self, conditions: Conditions) -> Buffers:
        return Buffers(
            self._bytes(conditions.batch)[1]
            if conditions.device == "cpu" and self._is_spatial
            else 0
        )

    @property
    def _is_spatial(self) -> bool:
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
        return self.input[0] * self.output[0]

    def page_parts(self) -> tuple[str | float, ...]:
        return "l", self.output[0], self.parameters

    def forward_work(self, conditions: Conditions) -> Work:
        return Work(
            operations=2 * conditions.batch * self.multiply_adds,
            values=sum(self._values(conditions.batch)),
            weights=self.parameters,
            kernels=1,
        )

    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        return Work(
            operations=4 * conditions.batch * self.multiply_adds,
            values=2 * sum(self._values(conditions.batch)),
            weights=2 * self.parameters,
            kernels=3,
        )

    def buffers(self, conditions: Conditions) -> Buffers:
        inputs, outputs = self._bytes(conditions.batch)
        return Buffers(outputs, backward=(inputs,), keeps_input=True)


KINDS: tuple[type[Layer], ...] = (Convolution, ReLU, Dropout, Pooling, Flatten, Linear)
"""All kinds of layers; the kinds of a block are in the block's order."""
BLOCK = tuple(kind for kind in KINDS if kind.bit)
"""Kinds that a block may have."""
ALL_BITS = sum(kind.bit for kind in BLOCK)
"""Largest `layer_types` entry: the block with every kind. The smallest is 1."""


def check_kinds(kinds: Iterable[type[Layer]]) -> None:
    """Check that each kind of layer has all methods that `Layer` leaves to its kinds.

    Raises:
        TypeError: a kind lacks methods; the message names the kind and the methods.
    """
    for kind in kinds:
        if missing := sorted(kind.__abstractmethods__):
            raise TypeError(
                f"{kind.__name__}: this kind of layer lacks {', '.join(missing)}; "
                "nnlc/families/article/layer.py says what they return"
            )


check_kinds(KINDS)
