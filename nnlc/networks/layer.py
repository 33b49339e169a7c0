"""What every layer of a network is, whatever its kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from nnlc.errors import SpecError
from nnlc.networks.buffers import VALUE_BYTES, Buffers, DeviceKind
from nnlc.networks.work import Work

Shape = tuple[int, ...]
"""(channels, height, width) in the feature part, (features,) after it; no batch dimension."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer, with what one image costs in it; each kind is a class of its own."""

    input: Shape
    output: Shape
    kernel: int = 0
    stride: int = 0
    padding: int = 0
    rate: float = 0
    """Dropout rate."""

    kind: ClassVar[str]
    """What it is called."""
    bit: ClassVar[int] = 0
    """Of a `layer_types` entry, where it may stand in a block (article, Table 1)."""

    @classmethod
    def in_block(cls, shape: Shape, spec: Any, windows: Iterator[tuple[int, int, int]]) -> "Layer":
        """Return the layer of this kind in a block.

        Args:
            shape: what reaches it.
            spec: the network's `NetworkSpec`.
            windows: kernel, stride and padding of the pooling layers that are left.

        Raises:
            SpecError: it does not fit what reaches it.
        """
        del spec, windows
        return cls(input=shape, output=shape)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image's forward pass, as a direct convolution or a dot product."""
        return 0

    @property
    def computed_multiply_adds(self) -> int:
        """Those of them that are done: outputs that see only padding are left out."""
        return self.multiply_adds

    @property
    def activations(self) -> int:
        """Values that one image leaves in memory: the output, unless it is a view."""
        return prod(self.output)

    @property
    def words(self) -> str:
        """The layer and its settings, for a person."""
        return self.kind

    def page_parts(self) -> tuple[str | float, ...]:
        """Return the layer as `page/layers.js` reads it: a letter, and words without blanks.

        Of a kind that it does not know, the letter `o`, what it is called, and its parameters.
        """
        return "o", self.kind.replace(" ", "_"), self.parameters

    def forward_work(self, batch: int) -> Work:
        """Return what training and validation of a batch have in common."""
        raise NotImplementedError

    def backward_work(self, batch: int, *, first: bool) -> Work:
        """Return what a training step has besides.

        That is the gradients of the weights and, but in the network's `first` layer, of the input;
        and all of a dropout.
        """
        raise NotImplementedError

    def buffers(self, batch: int, device: DeviceKind) -> Buffers:
        """Return what it allocates."""
        raise NotImplementedError

    def _values(self, batch: int) -> tuple[int, int]:
        """What it is given and what it makes, of a whole batch."""
        return batch * prod(self.input), batch * prod(self.output)

    def _bytes(self, batch: int) -> tuple[int, int]:
        """The same in bytes."""
        given, made = self._values(batch)
        return VALUE_BYTES * given, VALUE_BYTES * made


def output_width(width: int, kernel: int, stride: int, padding: int) -> int:
    """floor((width + 2 * padding - kernel) / stride) + 1, as PyTorch rounds."""
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
    """Return a layer that goes over its input with square windows.

    Args:
        kind: of the layer.
        shape: what reaches it.
        channels: that it gives.
        kernel, stride, padding: of its windows.
        network: ID, for the error.

    Raises:
        SpecError: no window fits.
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


def window_words(layer: Layer) -> str:
    """Return a layer of square windows in words."""
    return (
        f"{layer.kind} {layer.kernel}×{layer.kernel} stride {layer.stride} padding {layer.padding}"
    )
