"""The deterministic half-epoch loop: one network on one device, one row a half epoch.

Every random number is a function of the network's seed and of where it is used: "init" for the
weights, (epoch) for the order of images, (step) for a step's dropout masks. No random stream is
carried from one step to the next, so what a step depends on is the weights, the momentum and the
position: `state` gives them at any step boundary, and `resume` goes on from there.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any

import torch
from torch import Tensor, nn

from nnlc.campaign import TrainingSection
from nnlc.networks import ImageSet, NetworkSpec, walk_network
from nnlc.networks.draws import derive_seed
from nnlc.tables import Row
from nnlc.training.build import build_network
from nnlc.training.pixels import DeviceImages

State = dict[str, Any]
"""Tensors, numbers, strings, and lists and dicts of them: what `torch.load` reads safely."""


class HalfEpochLoop:
    """Trains one network; iterate over it for its rows, two an epoch.

    Args:
        spec: the network.
        facts: its image set.
        images: the images, already on the device.
        settings: the campaign's training settings.
        epochs: how many.
        between_steps: called after each step of training and of validation, with everything
            in its place; what it raises ends the iteration.

    Attributes:
        rows: the half epochs so far.
        seconds: what each of them took, interruptions not counted.
        step: steps done of the half epoch's training, or of its validation.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        facts: ImageSet,
        images: DeviceImages,
        settings: TrainingSection,
        epochs: int,
        between_steps: Callable[[], None] = lambda: None,
    ) -> None:
        self.spec, self.images, self.epochs = spec, images, epochs
        self._truncate, self._between_steps = settings.truncate, between_steps
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
        self.rows: list[Row] = []
        self.seconds: list[float] = []
        self.step = 0
        self._train_loss: float | None = None  # of this half epoch, once it is trained
        self._seconds_before = 0.0  # of this half epoch, before an interruption
        self._start = time.monotonic()
        self._clear_sums()

    def __iter__(self) -> Iterator[Row]:
        while len(self.rows) < 2 * self.epochs:
            self._start = time.monotonic()
            if self._train_loss is None:
                self._train_loss = self._train()
            self.rows.append(Row(self._train_loss, *self._validate()))
            self.seconds.append(self._seconds_so_far())
            self._train_loss, self._seconds_before = None, 0.0
            yield self.rows[-1]

    def state(self) -> State:
        """All that the next step depends on, and the rows so far. Tensors are not copied."""
        rows = [[*astuple(row), s] for row, s in zip(self.rows, self.seconds, strict=True)]
        return {
            "rows": torch.tensor(rows, dtype=torch.float64).view(-1, 4),
            "train_loss": self._train_loss,
            "step": self.step,
            "loss_sum": self._loss_sum.item(),
            "correct": int(self._correct.item()),
            "seconds": self._seconds_so_far(),
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def resume(self, state: State) -> None:
        """Go on where `state` was taken: call it before iterating."""
        *values, seconds = state["rows"].unbind(1)
        self.rows = [Row(*row) for row in zip(*(v.tolist() for v in values), strict=True)]
        self.seconds = seconds.tolist()
        self._train_loss, self.step = state["train_loss"], state["step"]
        self._seconds_before = state["seconds"]
        self._loss_sum.fill_(state["loss_sum"])
        self._correct.fill_(state["correct"])
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])

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

    def _train(self) -> float:
        """Train on what is left of the half epoch's batches; returns the mean of all its losses."""
        self.network.train()
        epoch, second_half = divmod(len(self.rows), 2)
        batches = self._batches(epoch)
        half = len(batches) // 2
        first = second_half * half
        for indices in batches[first + self.step : first + half]:
            if self._has_dropout:
                step = epoch * len(batches) + first + self.step
                torch.manual_seed(self._seed("dropout", step))
            pixels, labels = self.images.train_batch(indices)
            loss = self._loss(self.network(pixels), labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self._loss_sum += loss.detach()
            self.step += 1
            self._between_steps()
        mean = self._loss_sum.item() / half
        self._clear_sums()
        return mean

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Mean loss and accuracy in percent over the full batches of the validation images.

        Batches are of equal size, so the mean of their means is the mean over all images.
        """
        self.network.eval()
        b = self.spec.batch_size
        steps = len(self.images.validation_labels) // b
        for step in range(self.step, steps):
            pixels, labels = self.images.validation_batch(step * b, b)
            scores = self.network(pixels)
            self._loss_sum += self._loss(scores, labels)
            self._correct += (scores.argmax(1) == labels).sum()
            self.step += 1
            self._between_steps()
        # This order of operations gives the published tables' bits: 100 * c / n, not 100 * (c / n).
        means = self._loss_sum.item() / steps, 100 * int(self._correct.item()) / (steps * b)
        self._clear_sums()
        return means

    def _clear_sums(self) -> None:
        """For the next training or validation."""
        self.step = 0
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.images.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self.images.device)

    def _seconds_so_far(self) -> float:
        return self._seconds_before + time.monotonic() - self._start

    def _seed(self, purpose: str, *where: int) -> int:
        return derive_seed(purpose, self.spec.random_seed, *where, bits=63)
