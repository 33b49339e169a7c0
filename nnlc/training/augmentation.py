"""Augmentation: random changes of training images, made on the device from draws of the CPU.

The changes come in this order, whatever the device:

| change | images | after |
| --- | --- | --- |
| crop:P | bytes, with P black pixels around them; a random window of their size | He et al. 2016 |
| flip | bytes; mirrored left to right with chance 1/2 | He et al. 2016 |
| cutout:S | floats; 0 in a square of S×S pixels around a random pixel | DeVries and Taylor 2017 |

A cutout comes after scaling, so its 0 is the mean of the training images if pixels are
standardised. Its square may reach over the edge. Draws depend on the seed given alone.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nnlc.networks.recipe import read_change


class Augmentation:
    """Random changes of training images on one device.

    Args:
        changes: the changes, such as "crop:4".
        width: width of the images in pixels.
        device: the device that has the images.
    """

    def __init__(self, changes: Iterable[str], width: int, device: torch.device) -> None:
        pixels = dict(map(read_change, changes))
        self._padding, self._side = pixels.get("crop", 0), pixels.get("cutout", 0)
        window = 2 * self._padding + 1
        self._highs = (window, window, 1 + ("flip" in pixels), width, width)
        self._width = width
        self._forward = torch.arange(width, device=device)
        self._backward = self._forward.flip(0)

    def empty(self, count: int) -> Tensor:
        """Return a place on the device for the draws of some images."""
        return torch.zeros(count, len(self._highs), dtype=torch.int64, device=self._forward.device)

    def draw(self, seed: int, count: int) -> Tensor:
        """Draw the changes of some images on the CPU; return them on the device.

        Returns:
            int64 (count, 5): the window's top and left, 1 if mirrored, and the cutout's pixel.
        """
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randint(high, (count,), generator=generator) for high in self._highs]
        return torch.stack(drawn, 1).to(self._forward.device)

    def move(self, pixels: Tensor, drawn: Tensor) -> Tensor:
        """Return cropped and mirrored images.

        Args:
            pixels: uint8 (batch, channels, width, width).
            drawn: draws, int64 (batch, 5).
        """
        if self._highs[:3] == (1, 1, 1):
            return pixels
        top, left, mirrored = (drawn[:, i : i + 1] for i in range(3))
        columns = torch.where(mirrored == 1, self._backward, self._forward)
        rows, columns = self._black_outside(self._forward, top), self._black_outside(columns, left)
        source = rows[:, :, None] * (self._width + 1) + columns[:, None]
        beside = nn.functional.pad(pixels, (0, 1, 0, 1))  # one black row and column are enough
        index = source.flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
        return beside.flatten(2).gather(2, index).view_as(pixels)

    def _black_outside(self, places: Tensor, start: Tensor) -> Tensor:
        """Return rows or columns of a window, int64 (batch, width); `width` for those outside."""
        places = places + (start - self._padding)
        return torch.where((places < 0) | (places >= self._width), self._width, places)

    def cut_out(self, pixels: Tensor, drawn: Tensor) -> Tensor:
        """Set a square of each image to 0, in place, and return the images.

        Args:
            pixels: float32 (batch, channels, width, width).
            drawn: draws, int64 (batch, 5).
        """
        if not self._side:
            return pixels
        firsts = drawn[:, 3:, None] - self._side // 2
        within = (self._forward >= firsts) & (self._forward < firsts + self._side)
        rows, columns = within.to(pixels.dtype).unbind(1)
        return pixels.mul_((1 - rows[:, :, None] * columns[:, None])[:, None])
