"""Plan for computing a convolution by Fourier transforms: lengths, blocks, operations, memory.

A convolution is a product at each frequency (convolution theorem), so wide kernels cost no more
than narrow ones. Images, weights and outputs are transformed along their rows, then along their
columns; both transforms, and those back, are products with matrices of cosines and sines. So all
arithmetic is that of matrix products: the same bits on the same device, no library with plans of
its own, and only the pixels, weights and outputs that exist are transformed. A frequency's complex
product takes three real ones (C. F. Gauss's trick), so a spectrum has three real parts.

Transforms are circular. Their length is the least at which nothing that wraps around is seen: both
sides of the padding may share the same zeros. Half of the frequencies along columns suffice, as
images are real. Frequencies are computed in blocks, and filters or channels in blocks within them,
which bounds the memory. Images are not cut into tiles: in the article's search space, tiles would
save a fifth of the operations of only one convolution in 33,000.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nnlc.families.article.convolution_plan import Trim
    from nnlc.families.article.layer import Layer
    from nnlc.networks.machine import DeviceKind

PARTS = 3
"""Real parts of a spectrum: a complex product takes three real products."""
_VALUE_BYTES = 4
_SPECTRA_BYTES: dict["DeviceKind", int] = {"cpu": 1 << 27, "cuda": 1 << 26}
"""Bytes of the images' and gradients' spectra that are computed at once."""
_BLOCK_BYTES: dict["DeviceKind", int] = {"cpu": 1 << 23, "cuda": 1 << 25}
"""Bytes of the spectra of a block's weights, and of their products with images, that are computed
at once. On a CPU they should stay in caches; a block's weights should too when they are transformed
along rows only, and may then take four times as much."""
_LEAST_BLOCK, _MOST_BLOCK = 16, 160
"""Least and greatest number of filters or channels in a block: products of fewer are slow, and the
way back of more takes much memory."""


class FourierPlan(NamedTuple):
    """Plan for computing a convolution by Fourier transforms."""

    batch: int
    channels: int
    filters: int
    pixels: int
    """Width of the part of the input that any output sees."""
    first_pixel: int
    """Index of this part's first pixel."""
    kernel: int
    outputs: int
    """Width of the outputs that are computed."""
    stride: int
    start: int
    """Position of the first output's window relative to the first pixel: 0 or negative."""
    length: int
    """Length of the transforms."""
    device: "DeviceKind"

    @property
    def frequencies(self) -> int:
        """Number of frequencies along columns; those along rows are `length`."""
        return self.length // 2 + 1

    @property
    def parts(self) -> int:
        """Number of real values that a row of frequencies has: three for each frequency."""
        return PARTS * self.length

    def together(self, spectra: int) -> int:
        """Return how many frequencies along columns are computed at once.

        Args:
            spectra: number of values at each real part of a frequency, all spectra together.
        """
        most = _SPECTRA_BYTES[self.device] // (_VALUE_BYTES * self.parts * spectra)
        return max(1, min(self.frequencies, most))

    def block(self, others: int, count: int) -> int:
        """Return the size of a block of filters or channels.

        Args:
            others: number of channels, for blocks of filters; of filters, for blocks of channels.
            count: number of filters, or of channels.
        """
        most = _BLOCK_BYTES[self.device] // (_VALUE_BYTES * self.parts * max(others, self.batch))
        if self.device == "cpu":
            half = 2 * _VALUE_BYTES * self.frequencies * self.kernel * others
            most = min(most, 4 * _BLOCK_BYTES[self.device] // half)
        return min(count, max(_LEAST_BLOCK, min(_MOST_BLOCK, most // _LEAST_BLOCK * _LEAST_BLOCK)))

    def group(self, others: int, block: int, together: int) -> int:
        """Return how many frequencies along columns share the calls for a block.

        Args:
            others: number of channels, for blocks of filters; of filters, for blocks of channels.
            block: size of a block.
            together: number of frequencies along columns that are computed at once.
        """
        if self.device == "cpu":
            return 1
        each = _VALUE_BYTES * self.parts * max(others, self.batch) * block
        return max(1, min(together, _BLOCK_BYTES[self.device] // each))

    @property
    def forward_calls(self) -> int:
        """Number of kernel launches of one pass, about."""
        at_once = self.together(self.batch * self.channels)
        block = self.block(self.channels, self.filters)
        groups = -(-at_once // self.group(self.channels, block, at_once))
        blocks = -(-self.filters // block)
        return 4 + -(-self.frequencies // at_once) * (2 + blocks * (3 + 3 * groups))

    @property
    def operations(self) -> int:
        """Operations of one pass, two per multiply-add; the three passes need the same."""
        images = self._transform(self.pixels, self.batch * self.channels)
        weights = self._transform(self.kernel, self.filters * self.channels)
        made = self._transform(self.outputs, self.batch * self.filters)
        values = self.batch * self.filters * self.channels
        return images + weights + made + 2 * self.frequencies * self.parts * values

    @property
    def shared_operations(self) -> int:
        """Operations that are saved if both gradients are computed by Fourier transforms."""
        return self._transform(self.outputs, self.batch * self.filters)

    def _transform(self, width: int, count: int) -> int:
        """Return the operations of transforming `count` squares of a width, or of the way back."""
        return 4 * self.frequencies * width * (width + self.parts) * count

    def forward_bytes(self) -> int:
        """Return the temporary bytes at the forward pass's worst moment, without its result."""
        at_once = self.together(self.batch * self.channels)
        result = _VALUE_BYTES * self.batch * self.filters * self.outputs**2
        before = result if at_once < self.frequencies else 0
        kept, making, spectrum = self._spectrum_bytes(self.pixels, self.channels, at_once)
        blocks = self._blocks_bytes(self.filters, self.channels, self.outputs, at_once)
        return max(kept + max(before + making, spectrum + blocks) - result, result)

    def backward_bytes(self, *, of_pixels: bool, of_weight: bool) -> int:
        """Return the temporary bytes at the gradients' worst moment, without their results.

        Args:
            of_pixels: True if the input's gradient is computed by Fourier transforms.
            of_weight: True if the weights' gradient is computed by Fourier transforms.
        """
        at_once = self.together(self.batch * (self.filters + of_weight * self.channels))
        inputs = of_pixels * _VALUE_BYTES * self.batch * self.channels * self.pixels**2
        weights = of_weight * _VALUE_BYTES * self.filters * self.channels * self.kernel**2
        before = at_once < self.frequencies
        kept, making, spectrum = self._spectrum_bytes(self.outputs, self.filters, at_once)
        moments = [before * (inputs + weights) + making]
        if of_pixels:
            blocks = self._blocks_bytes(self.channels, self.filters, self.pixels, at_once)
            moments.append(before * weights + spectrum + blocks)
        if of_weight:
            copy, making, other = self._spectrum_bytes(self.pixels, self.channels, at_once)
            blocks = self._blocks_bytes(
                self.filters, self.channels, self.kernel, at_once, of_weight=True
            )
            kept += copy
            moments += [
                inputs + before * weights + spectrum + making,
                inputs + spectrum + other + blocks,
            ]
        results = inputs + weights
        return max(kept + max(moments) - results, inputs, weights)

    def _spectrum_bytes(self, width: int, count: int, together: int) -> tuple[int, int, int]:
        """Return the bytes of a spectrum: what stays for others, its making, and itself."""
        values = _VALUE_BYTES * self.batch * count
        copy, half = width**2 * values, 2 * together * width * values
        whole = together * self.parts * values
        if together < self.frequencies:
            return copy, half + whole, whole
        return 0, half + max(copy, whole), whole

    def _blocks_bytes(
        self, count: int, others: int, width: int, together: int, *, of_weight: bool = False
    ) -> int:
        """Return the bytes while blocks of filters or channels are computed, results included."""
        block = self.block(others, count)
        each = others if of_weight else self.batch
        weights = 0 if of_weight else others * block
        half, back = 2 * together * self.kernel * weights, 2 * together * width * each * block
        group = self.group(others, block, together)
        products = group * self.parts * (weights + each * block)
        made, results = width**2 * each * block, width**2 * each * count
        worst = max(self.kernel**2 * weights + half, half + products + back, back + made)
        before = results if together < self.frequencies else results - made
        return _VALUE_BYTES * (before + worst)


def plan_fourier(layer: "Layer", part: "Trim", batch: int, device: "DeviceKind") -> FourierPlan:
    """Return the plan for computing a convolution by Fourier transforms.

    Args:
        layer: the convolution.
        part: the outputs that are computed.
        batch: number of images.
        device: kind of device.
    """
    width, stride = layer.input[1], layer.stride
    start = part.first * stride - layer.padding
    end = start + (part.width - 1) * stride + layer.kernel
    first, last = max(0, start), min(width, end)
    pixels = max(1, last - first)
    before, after = max(0, -start), max(0, end - width)
    length = max(pixels + max(before, after), end - start - layer.kernel + 1, layer.kernel)
    return FourierPlan(
        batch=batch,
        channels=layer.input[0],
        filters=layer.output[0],
        pixels=pixels,
        first_pixel=min(first, width - pixels),
        kernel=layer.kernel,
        outputs=part.width,
        stride=stride,
        start=start - first,
        length=length,
        device=device,
    )
