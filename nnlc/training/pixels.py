"""Images on a device: stored as bytes, turned into floats a batch at a time."""

import numpy as np
import torch
from torch import Tensor

from nnlc.networks.recipe import TrainingSection
from nnlc.training.augmentation import Augmentation
from nnlc.training.loaded_images import Images


class DeviceImages:
    """An image set on one device, which all networks that train there share.

    Images are uint8 (N, channels, width, width) and labels int64 (N,). Batches are float32 (batch,
    channels, width, width), with pixels in [0, 1] or standardised.

    Attributes:
        augmentation: random changes of training images; None if there are none.
    """

    def __init__(self, images: Images, settings: TrainingSection, device: torch.device) -> None:
        self.device = device
        self.train_images = torch.from_numpy(images.train_images).to(device)
        self.train_labels = torch.from_numpy(images.train_labels).to(device)
        self.validation_images = torch.from_numpy(images.validation_images).to(device)
        self.validation_labels = torch.from_numpy(images.validation_labels).to(device)
        width = images.train_images.shape[-1]
        changes = settings.augmentation
        self.augmentation = Augmentation(changes, width, device) if changes else None
        on_cpu = device.type == "cpu"
        self._memory_format = torch.channels_last if on_cpu else torch.contiguous_format
        self._statistics: list[Tensor] = []
        """Mean and deviation of each channel, if pixels are standardised."""
        if settings.pixels == "standardised":
            found = torch.tensor(channel_statistics(images.train_images), dtype=torch.float32)
            self._statistics = list(found.to(device).view(2, 1, -1, 1, 1))

    def train_batch(self, indices: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the training images and labels at `indices`, int64 (batch,).

        Args:
            indices: indices of images.
            drawn: draws for the augmentation (`Augmentation.draw`); None to change no image.
        """
        pixels = self.train_images.index_select(0, indices)
        labels = self.train_labels.index_select(0, indices)
        if drawn is None or self.augmentation is None:
            return self._to_float(pixels), labels
        moved = self._to_float(self.augmentation.move(pixels, drawn))
        return self.augmentation.cut_out(moved, drawn), labels

    def validation_batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the validation images and labels at `indices`, int64 (batch,)."""
        pixels = self.validation_images.index_select(0, indices)
        return self._to_float(pixels), self.validation_labels.index_select(0, indices)

    def _to_float(self, pixels: Tensor) -> Tensor:
        # Change the memory format while the pixels are bytes: a quarter of the memory traffic.
        ordered = pixels.contiguous(memory_format=self._memory_format)
        scaled = ordered.to(torch.float32).div_(255)
        if not self._statistics:
            return scaled
        mean, deviation = self._statistics
        return scaled.sub_(mean).div_(deviation)


def channel_statistics(
    images: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of uint8 (N, C, H, W), over 255.

    They are computed in integers from a histogram, so that no order of summation changes a bit. A
    channel without variation gets deviation 1.
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256).tolist()
        n = sum(counts)
        first = sum(value * count for value, count in enumerate(counts))
        second = sum(value * value * count for value, count in enumerate(counts))
        means.append(first / n / 255)
        variance = (n * second - first * first) / (n * n)
        deviations.append(variance**0.5 / 255 if variance > 0 else 1.0)
    return means, deviations
