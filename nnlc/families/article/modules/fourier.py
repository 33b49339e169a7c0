"""Convolutions by Fourier transforms, with both gradients.

`nnlc.families.article.fourier` explains them.

Squares are reordered to (rows, columns, images, channels) or (rows, columns, filters, channels):
then every transform is one matrix product, and its result has the order that the next one needs.
A spectrum is (frequencies along columns, parts × frequencies along rows, …). Its three parts are
sums of real part r and imaginary part i: r + i, r and i for a left factor of a product; r, i - r
and r + i for a right factor. The parts of a conjugate spectrum have -i in place of i.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nnlc.families.article.fourier import FourierPlan


class FourierConvolution(nn.Module):
    """A convolution without bias by Fourier transforms.

    Args:
        plan: sizes and blocks. A batch of another size than the plan's is computed too.
    """

    def __init__(self, plan: FourierPlan) -> None:
        super().__init__()
        self._plan = plan
        outputs = [plan.start + i * plan.stride for i in range(plan.outputs)]
        tables = _Tables(plan.length)
        # Correlations need the conjugate of one factor. Both gradients use the spectrum of the
        # outputs' gradient as it is, so that of the weights is computed as its conjugate.
        matrices = {
            **tables.matrices("pixels", range(plan.pixels)),
            **tables.matrices("weight", range(plan.kernel), conjugate=True),
            **tables.matrices("values", outputs),
            "pixels_left": tables.left(range(plan.pixels)),
            "pixels_conjugate": tables.left(range(plan.pixels), conjugate=True),
            "weight_left": tables.left(range(plan.kernel)),
            "weight_conjugate": tables.right(range(plan.kernel), conjugate=True),
            "values_right": tables.right(outputs),
        }
        for name, matrix in matrices.items():
            self.register_buffer(name, matrix.to(torch.float32), persistent=False)

    def forward(self, pixels: Tensor, weight: Tensor) -> Tensor:
        """Convolve (batch, channels, width, width) to (batch, filters, outputs, outputs)."""
        plan, filters = self._plan, len(weight)
        at_once = plan.together(plan.batch * plan.channels)
        sums = _Sums(plan.block(plan.channels, filters), filters)
        images = self._inner(pixels)
        for frequencies, spectrum in self._spectra("pixels", "left", images, at_once):
            for block in sums.blocks:
                found = self._filtered(spectrum, weight[block], "conjugate", "values", frequencies)
                sums.add(block, self._back("values", frequencies), found)
                del found
            del spectrum
        return sums.write_to(_empty_like(pixels, len(pixels), filters, plan.outputs), 1)

    def gradients(
        self,
        gradient: Tensor,
        pixels: Tensor,
        weight: Tensor,
        *,
        of_pixels: bool,
        of_weight: bool,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of the input and of the weights, or None for one not asked for.

        Args:
            gradient: gradient of the outputs, (batch, filters, outputs, outputs).
            pixels: the input.
            weight: the weights, (filters, channels, kernel, kernel).
            of_pixels: True for the input's gradient.
            of_weight: True for the weights' gradient.
        """
        plan, channels, filters = self._plan, pixels.shape[1], len(weight)
        at_once = plan.together(plan.batch * (plan.filters + of_weight * plan.channels))
        inputs = _Sums(plan.block(filters, channels), channels)
        weights = _Sums(plan.block(channels, filters), filters)
        others = self._spectra("pixels", "conjugate", self._inner(pixels), at_once)
        for frequencies, spectrum in self._spectra("values", "right", gradient, at_once):
            for block in inputs.blocks if of_pixels else ():
                found = self._filtered(spectrum, weight[:, block], "left", "pixels", frequencies)
                inputs.add(block, self._back("pixels", frequencies), found)
                del found
            if of_weight:
                other = next(others)[1]
                for block in weights.blocks:
                    found = self._correlated(spectrum[..., block], other)
                    weights.add(block, self._back("weight", frequencies), found)
                    del found
                del other
            del spectrum
        whole = weights.write_to(torch.empty_like(weight), 0) if of_weight else None
        return self._gradient_of_pixels(inputs, pixels) if of_pixels else None, whole

    def _gradient_of_pixels(self, sums: "_Sums", pixels: Tensor) -> Tensor:
        whole = _empty_like(pixels, *pixels.shape[:3])
        if self._plan.pixels < pixels.shape[2]:
            whole.zero_()
        sums.write_to(self._inner(whole), 1)
        return whole

    def _inner(self, pixels: Tensor) -> Tensor:
        """Return the pixels that any output sees."""
        first, width = self._plan.first_pixel, self._plan.pixels
        return pixels[:, :, first : first + width, first : first + width]

    def _spectra(
        self, side: str, parts: str, squares: Tensor, at_once: int
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield some frequencies and a spectrum's parts there, (…, parts × frequencies, a, b)."""
        shape, last = squares.shape[:2], self._plan.frequencies
        squares, matrix = _front(squares), self.get_buffer(f"{side}_{parts}")
        for frequencies in _ranges(last, at_once):
            half = [self._along_rows(side, squares, frequencies)]
            if frequencies.stop == last:
                del squares
            matrices = matrix.expand(len(half[0]), -1, -1)
            # No name is left for what the caller may free.
            yield frequencies, torch.bmm(matrices, half.pop()).view(*matrices.shape[:2], *shape)

    def _filtered(
        self, spectrum: Tensor, weights: Tensor, parts: str, result: str, frequencies: slice
    ) -> Tensor:
        """Return the products of a spectrum with a block of weights, transformed back in part.

        Args:
            spectrum: (frequencies, parts × frequencies along rows, images, channels or filters).
            weights: weights; their filters are summed over if `parts` is "left".
            parts: parts of the weights' spectrum.
            result: squares that result, "values" or "pixels".
            frequencies: frequencies along columns.

        Returns:
            (2 × frequencies, squares' columns × images × filters or channels of the block).
        """
        (filters, channels), batch = weights.shape[:2], spectrum.shape[2]
        made = channels if parts == "left" else filters
        half = self._along_rows("weight", _front(weights), frequencies)
        to_parts = self.get_buffer(f"weight_{parts}")
        back, rows = self.get_buffer(f"{result}_from"), len(to_parts)
        group = self._plan.group(filters + channels - made, made, len(half))
        whole = half.new_empty(group, rows, half.shape[2])
        products = half.new_empty(group * rows, batch, made)
        found = half.new_empty(len(half), len(back), batch * made)
        for chosen in _ranges(len(half), group):
            many = chosen.stop - chosen.start
            torch.bmm(to_parts.expand(many, -1, -1), half[chosen], out=whole[:many])
            factor = whole[:many].view(many * rows, filters, channels)
            right = factor if parts == "left" else factor.transpose(1, 2)
            product = products[: many * rows]
            torch.bmm(spectrum[chosen].flatten(0, 1), right, out=product)
            torch.bmm(back.expand(many, -1, -1), product.view(many, rows, -1), out=found[chosen])
        return found.view(2 * len(half), len(back) // 2 * batch * made)

    def _correlated(self, gradients: Tensor, pixels: Tensor) -> Tensor:
        """Return products of two spectra, summed over images and transformed back in part.

        Args:
            gradients: (frequencies, parts × frequencies along rows, images, filters).
            pixels: (frequencies, parts × frequencies along rows, images, channels).

        Returns:
            (2 × frequencies, kernel × filters × channels).
        """
        back, (many, rows) = self.get_buffer("weight_from"), pixels.shape[:2]
        filters, channels = gradients.shape[3], pixels.shape[3]
        group = self._plan.group(channels, filters, many)
        products = pixels.new_empty(group * rows, filters, channels)
        found = pixels.new_empty(many, len(back), filters * channels)
        for chosen in _ranges(many, group):
            size = chosen.stop - chosen.start
            left, product = gradients[chosen].flatten(0, 1).transpose(1, 2), products[: size * rows]
            torch.bmm(left, pixels[chosen].flatten(0, 1), out=product)
            torch.bmm(back.expand(size, -1, -1), product.view(size, rows, -1), out=found[chosen])
        return found.view(2 * many, len(back) // 2 * filters * channels)

    def _along_rows(self, side: str, squares: Tensor, frequencies: slice) -> Tensor:
        """Return real and imaginary parts: (frequencies, 2 × columns, all others)."""
        rows = self.get_buffer(f"{side}_rows")[2 * frequencies.start : 2 * frequencies.stop]
        half = torch.mm(rows, squares.flatten(1))
        return half.view(len(rows) // 2, 2 * squares.shape[1], squares[0, 0].numel())

    def _back(self, side: str, frequencies: slice) -> Tensor:
        back = self.get_buffer(f"{side}_back")
        return back[:, 2 * frequencies.start : 2 * frequencies.stop]


class _Sums:
    """Sums over blocks of frequencies of results that are computed block by block.

    Args:
        size: size of a block of filters or channels.
        count: number of all of them.
    """

    def __init__(self, size: int, count: int) -> None:
        self.blocks = list(_ranges(count, size))
        self._found: dict[int, Tensor] = {}

    def add(self, block: slice, back: Tensor, half: Tensor) -> None:
        """Add the result of some frequencies.

        Args:
            block: the filters or channels.
            back: matrix of the last transform.
            half: what it transforms.
        """
        if block.start in self._found:
            self._found[block.start].addmm_(back, half)
        else:
            self._found[block.start] = torch.mm(back, half)

    def write_to(self, squares: Tensor, dimension: int) -> Tensor:
        """Write the results, (rows, columns × a × b), to squares, (a, b, rows, columns); free them.

        Args:
            squares: squares for the results of all blocks.
            dimension: dimension of the blocks, 0 or 1.

        Returns:
            The squares.
        """
        for block in self.blocks:
            part = squares.narrow(dimension, block.start, block.stop - block.start)
            part = part.permute(2, 3, 0, 1)
            part.copy_(self._found.pop(block.start).view(part.shape))
        return squares


class _Tables:
    """Matrices of cosines and sines for transforms of a length, in double precision.

    Args:
        length: length of the transforms.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        angles = [2 * math.pi * i / length for i in range(length)]
        self._cosines = torch.tensor([math.cos(a) for a in angles], dtype=torch.float64)
        self._sines = torch.tensor([math.sin(a) for a in angles], dtype=torch.float64)

    def _at(self, frequencies: int, positions: "range | list[int]") -> tuple[Tensor, Tensor]:
        """Return cosines and sines, (frequencies, positions)."""
        turns = torch.outer(torch.arange(frequencies), torch.tensor(list(positions)))
        return self._cosines[turns % self._length], self._sines[turns % self._length]

    def matrices(
        self, side: str, positions: "range | list[int]", *, conjugate: bool = False
    ) -> dict[str, Tensor]:
        """Return the matrices along rows, from the parts, and back, by name.

        Args:
            side: name of the squares.
            positions: places of the squares' rows and columns on the circle.
            conjugate: True if the spectrum that is transformed back is the conjugate.
        """
        half, sign = self._length // 2 + 1, -1 if conjugate else 1
        c, s = self._at(half, positions)
        weights = torch.full((half, 1, 1), 2.0, dtype=torch.float64)  # for the conjugate half
        weights[0] = 1
        if self._length % 2 == 0:
            weights[-1] = 1
        weights /= self._length**2
        both = torch.stack([c, -s], 1)
        c, s = (table.t() for table in self._at(self._length, positions))
        # Of a product's parts p, q and r, the real part is p - r, the imaginary part p + q.
        real = torch.cat([c - sign * s, -sign * s, -c], 1)
        imaginary = torch.cat([s + sign * c, sign * c, -s], 1)
        return {
            f"{side}_rows": both.flatten(0, 1),
            f"{side}_from": torch.cat([real, imaginary]),
            f"{side}_back": (weights * both).flatten(0, 1).t().contiguous(),
        }

    def left(self, positions: "range | list[int]", *, conjugate: bool = False) -> Tensor:
        """Return the matrix to the parts of a left factor: (parts, 2 × positions)."""
        real, imaginary = self._spectrum(positions, conjugate=conjugate)
        return torch.cat([real + imaginary, real, imaginary])

    def right(self, positions: "range | list[int]", *, conjugate: bool = False) -> Tensor:
        """Return the matrix to the parts of a right factor: (parts, 2 × positions)."""
        real, imaginary = self._spectrum(positions, conjugate=conjugate)
        return torch.cat([real, imaginary - real, real + imaginary])

    def _spectrum(
        self, positions: "range | list[int]", *, conjugate: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the matrices to real and imaginary part, each (length, 2 × positions)."""
        c, s = self._at(self._length, positions)
        imaginary = torch.cat([-s, c], 1)
        return torch.cat([c, s], 1), -imaginary if conjugate else imaginary


def _front(squares: Tensor) -> Tensor:
    """Return (a, b, rows, columns) as (rows, columns, a, b), contiguous in memory."""
    return squares.permute(2, 3, 0, 1).contiguous()


def _empty_like(tensor: Tensor, batch: int, channels: int, width: int) -> Tensor:
    """Return a new tensor of squares, with the channels last in memory on CPUs."""
    on_cpu = tensor.device.type == "cpu"
    return torch.empty(
        (batch, channels, width, width),
        dtype=tensor.dtype,
        device=tensor.device,
        memory_format=torch.channels_last if on_cpu else torch.contiguous_format,
    )


def _ranges(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))
