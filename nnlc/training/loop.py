"""The deterministic half-epoch loop: one network on one device, one row a half epoch.

Every random number is a function of the network's seed and of where it is used: "init" for the
weights, (epoch) for the order of images, (step) for a step's dropout masks. No random stream is
carried from one step to the next, so training may be resumed at any step.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nnlc.campaign import TrainingSection
from nnlc.networks import ImageSet, NetworkSpec, walk_network
from nnlc.networks.draws import derive_seed
from nnlc.tables import Row
from nnlc.training.build import build_network
from nnlc.training.pixels import DeviceImages


class HalfEpochLoop:
    """Trains one network; iterate over it for its rows, two an epoch.

    Args:
        spec: the network.
        facts: its image set.
        images: the images, already on the device.
        settings: the campaign's training settings.
        epochs: how many.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        facts: ImageSet,
        images: DeviceImages,
        settings: TrainingSection,
        epochs: int,
    ) -> None:
        self.spec, self.images, self.epochs = spec, images, epochs
        self._truncate = settings.truncate
        torch.manual_seed(self._seed("init"))  # on the CPU: the same weights for every device
        walk = walk_network(spec, facts)
        self.network = build_network(walk, pooling=settings.pooling, dropout=settings.dropout)
        self.network.to(images.device)
        self._has_dropout = any(layer.kind == "dropout" for layer in walk.layers)
        self._loss = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=spec.learning_rate,
            momentum=spec.momentum,
            dampening=spec.dampening,
            weight_decay=spec.weight_decay,
        )

    def __iter__(self) -> Iterator[Row]:
        for epoch in range(self.epochs):
            batches = self._batches(epoch)
            half = len(batches) // 2
            first_step = epoch * len(batches)
            for start in (0, half):
                train_loss = self._train(batches[start : start + half], first_step + start)
                yield Row(train_loss, *self._validate())

    def _batches(self, epoch: int) -> Tensor:
        """Image indices of an epoch, int64 (steps, batch size): one permutation, cut into batches.

        The training set is cut to a whole, even number of batches: the same images every epoch,
        or, with truncate = "epoch", the first of each epoch's permutation of all.
        """
        b = self.spec.batch_size
        total = len(self.images.train_labels)
        used = total // b * b
        generator = torch.Generator().manual_seed(self._seed("order", epoch))
        drawn_from = used if self._truncate == "dataset" else total
        order = torch.randperm(drawn_from, generator=generator)[:used]
        return order.to(self.images.device).view(-1, b)

    def _train(self, batches: Tensor, first_step: int) -> float:
        """Train on the batches; returns the mean of their losses."""
        self.network.train()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.images.device)
        for step, indices in enumerate(batches, first_step):
            if self._has_dropout:
                torch.manual_seed(self._seed("dropout", step))
            pixels, labels = self.images.train_batch(indices)
            loss = self._loss(self.network(pixels), labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            loss_sum += loss.detach()
        return loss_sum.item() / len(batches)

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Mean loss and accuracy in percent over the full batches of the validation images.

        Batches are of equal size, so the mean of their means is the mean over all images.
        """
        self.network.eval()
        b = self.spec.batch_size
        steps = len(self.images.validation_labels) // b
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.images.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.images.device)
        for step in range(steps):
            pixels, labels = self.images.validation_batch(step * b, b)
            scores = self.network(pixels)
            loss_sum += self._loss(scores, labels)
            correct += (scores.argmax(1) == labels).sum()
        # This order of operations gives the published tables' bits: 100 * c / n, not 100 * (c / n).
        return loss_sum.item() / steps, 100 * int(correct.item()) / (steps * b)

    def _seed(self, purpose: str, *where: int) -> int:
        return derive_seed(purpose, self.spec.random_seed, *where, bits=63)
