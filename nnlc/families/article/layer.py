"""The base class of all kinds of layers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from nnlc.errors import SpecError
from nnlc.families.article.buffers import Buffers
from nnlc.families.article.conditions import Conditions
from nnlc.networks.device_memory import VALUE_BYTES
from nnlc.networks.work import Work

Shape = tuple[int, ...]
"""(channels, height, width) up to the flatten layer, (features,) after it; no batch dimension."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer(ABC):
    """One layer of a network: shapes, parameters, work and memory; each kind is a subclass."""

    input: Shape
    output: Shape
    kernel: int = 0
    stride: int = 0
    padding: int = 0
    rate: float = 0
    """Dropout rate."""

    kind: ClassVar[str]
    """Name of the kind."""
    bit: ClassVar[int] = 0
    """Bit of `layer_types` (article, Table 1) if the kind may be in a block; else 0."""

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> "Layer":
        """Return a layer of this kind for the block after a convolution.

        Args:
            shape: shape of the layer's input.
            spec: the network's `NetworkSpec`.
            windows: kernel, stride and padding of the pooling layers that are not yet built.

        Raises:
            SpecError: the layer does not fit its input.
        """
        del spec, windows
        return cls(input=shape, output=shape)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass, with all outputs computed."""
        return 0

    @property
    def computed_multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass, without outputs that see only padding."""
        return self.multiply_adds

    @property
    def activations(self) -> int:
        """Number of values that one image's output takes in memory; 0 if the output is a view."""
        return prod(self.output)

    @property
    def description(self) -> str:
        """Name and settings of the layer, for people."""
        if not self.kernel:
            return self.kind
        window = f"{self.kernel}×{self.kernel}"
        return f"{self.kind} {window} stride {self.stride} padding {self.padding}"

    def page_parts(self) -> tuple[str | float, ...]:
        """Return the layer's fields for `page/layers.js`: a letter for its kind, then its sizes.

        No text may contain a space. For a kind that the page does not draw, as here, the fields
        are the letter "o", the kind's name and the number of parameters.
        """
        return "o", self.kind.replace(" ", "_"), self.parameters

    @abstractmethod
    def forward_work(self, conditions: Conditions) -> Work:
        """Return the work of a batch's forward pass, in validation and in training."""

    @abstractmethod
    def backward_work(self, conditions: Conditions, *, first: bool) -> Work:
        """Return the work that a training step adds to `forward_work`.

        It is the work of the gradients of weights and input; for dropout, all work.

        Args:
            conditions: the training's conditions, the batch among them.
            first: True for a network's first layer, whose input needs no gradient.
        """

    @abstractmethod
    def buffers(self, conditions: Conditions) -> Buffers:
        """Return the memory that the layer allocates in a training step of a batch."""

    def _values(self, batch: int) -> tuple[int, int]:
        """Return the number of values of a batch's input, and of its output."""
        return batch * prod(self.input), batch * prod(self.output)

    def _bytes(self, batch: int) -> tuple[int, int]:
        """Return the bytes of a batch's input, and of its output."""
        inputs, outputs = self._values(batch)
        return VALUE_BYTES * inputs, VALUE_BYTES * outputs


def output_width(width: int, kernel: int, stride: int, padding: int) -> int:
    """Return floor((width + 2 * padding - kernel) / stride) + 1, as PyTorch rounds."""
    return (width + 2 * padding - kernel) // stride + 1


def windowed(
    kind: type[Layer],
    shape: Shape,
    channels: int,
    kernel: int,
    stride: int,
    padding: int,
    network: str,
) -> Layer:
    """Return a layer that slides a square window over its input.

    Args:
        kind: class of the layer.
        shape: shape of the layer's input.
        channels: channels of the layer's output.
        kernel, stride, padding: width, step and padding of the window, in pixels.
        network: the network's ID, for the error.

    Raises:
        SpecError: the window is wider than the padded input.
    """
    width = shape[1]
    if kernel > width + 2 * padding:
        raise SpecError(
            f"network {network}: a {kind.kind} kernel of {kernel} does not fit an input of width "
            f"{width} padded by {padding}"
        )
    out = output_width(width, kernel, stride, padding)
    return kind(
        input=shape, output=(channels, out, out), kernel=kernel, stride=stride, padding=padding
    )
