"""The deterministic training loop: one network on one device, a row per half epoch.

Every random number is a function of the network's seed and its purpose: weights, an epoch's order
of images and their changes, a step's dropout masks. No random stream is carried from one step to
the next. So a step depends only on the weights, the optimizer's state and the position; `state`
returns them between any two steps, and `resume` continues from them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from math import isnan, nan
from typing import Any

import torch
from torch import Tensor

from nnlc.families.network_family import NetworkFamily
from nnlc.networks import ImageSet, Specification
from nnlc.networks.draws import training_seed
from nnlc.networks.recipe import TrainingSection
from nnlc.networks.schedule import Schedule
from nnlc.tables import Row
from nnlc.training.build import make_loss, make_optimizer
from nnlc.training.gpu_stream import enter_stream
from nnlc.training.pixels import DeviceImages
from nnlc.training.training_steps import WARM_STEPS, Steps

SETUP_STEPS = WARM_STEPS + 1
"""Steps in which libraries choose kernels, and the first that is captured."""
State = dict[str, Any]
"""Tensors, numbers and strings, and lists and dicts of them, which `torch.load` reads safely."""


class HalfEpochLoop:
    """Training of one network, as an iterable over its rows, two per epoch.

    Args:
        family: the network's family.
        spec: the network.
        image_set: the image set's names and sizes.
        images: the images, already on the device.
        settings: the campaign's training settings.
        epochs: number of epochs, a multiple of 0.5.
        between_steps: called after each step of training and validation, when `state` may be
            taken; its exceptions end the iteration.
        graphs: True to capture steps in CUDA graphs on a GPU.
        campaign_epochs: number of epochs of the campaign, over which the learning rate changes; by
            default `epochs`.

    Attributes:
        rows: rows of the half epochs so far.
        seconds: training and validation time of each half epoch, without interruptions and set-up.
        setup_seconds: time that the first steps took longer than later ones, as libraries chose and
            compiled kernels for them, and as they were captured.
        train_images: number of training images used in a half epoch.
        train_correct: number of right predictions for them in each half epoch's steps, as for the
            training loss; None if unknown, since older checkpoints lack it.
        step: number of steps done in the half epoch's training, or in its validation.
    """

    def __init__(
        self,
        family: NetworkFamily,
        spec: Specification,
        image_set: ImageSet,
        images: DeviceImages,
        settings: TrainingSection,
        epochs: float,
        between_steps: Callable[[], None] = lambda: None,
        *,
        graphs: bool = True,
        campaign_epochs: int | None = None,
    ) -> None:
        stream = enter_stream(images.device)
        self.spec, self.images, self.epochs = spec, images, epochs
        self._truncate, self._between_steps = settings.truncate, between_steps
        torch.manual_seed(self._seed("init"))  # weights are drawn on the CPU for every device
        trained = family.trained_network(spec, image_set, settings, images.device)
        self.network, self._restart_masks = trained.module, trained.restart_masks
        self._is_dead, self._classes = trained.is_dead, image_set.classes
        self._optimizer = make_optimizer(self.network, spec, settings, images.device)
        self.steps = Steps(
            self.network,
            images,
            self._optimizer,
            make_loss(spec, settings.label_smoothing),
            spec.batch_size,
            validation_loss=make_loss(spec),
            operations=family.step_operations(spec, image_set),
            stream=stream,
            graphs=graphs,
        )
        b = spec.batch_size
        self.train_images = len(images.train_labels) // b // 2 * b
        self._schedule = None
        if settings.changes_rate:
            steps = 2 * self.train_images // b
            rate = spec.learning_rate
            self._schedule = Schedule(rate, settings, campaign_epochs or epochs, steps)
        self.rows: list[Row] = []
        self.seconds: list[float] = []
        self.train_correct: list[int | None] = []
        self.step = 0
        self._validating = False
        self._diverged = False
        self.setup_seconds: float | None = None
        self._seconds_before = 0.0  # spent on this half epoch before an interruption
        self._start = time.monotonic()

    def __iter__(self) -> Iterator[Row]:
        while len(self.rows) < 2 * self.epochs:
            self._start = time.monotonic()
            if self._diverged:
                self._between_steps()
                self.train_correct.append(self._train_correct_once_diverged())
                self.rows.append(self.rows[-1])
            else:
                if not self._validating:
                    self._train()
                self._validate()
                self.train_correct.append(self._train_correct_so_far())
                self.rows.append(self._row())
                self._diverged = self._has_diverged()
            self.seconds.append(self._seconds_so_far())
            self._seconds_before = 0.0
            yield self.rows[-1]

    def state(self) -> State:
        """Return the rows so far and all that the next step depends on; tensors are not copied."""
        rows = [[*astuple(row), s] for row, s in zip(self.rows, self.seconds, strict=True)]
        return {
            "rows": torch.tensor(rows, dtype=torch.float64).view(-1, 4),
            "validating": self._validating,
            "step": self.step,
            "sums": self.steps.sums,
            "train_correct": [*self.train_correct, self._train_correct_so_far()],
            "seconds": self._seconds_so_far(),
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def resume(self, state: State) -> None:
        """Continue from a `state`; call this before iterating."""
        *values, seconds = state["rows"].unbind(1)
        self.rows = [Row(*row) for row in zip(*(v.tolist() for v in values), strict=True)]
        self.seconds = seconds.tolist()
        self._validating, self.step = state["validating"], state["step"]
        self._seconds_before = state["seconds"]
        self.steps.sums.copy_(state["sums"])
        unknown = [None] * (len(self.rows) + 1)  # as in older checkpoints
        *self.train_correct, correct = state.get("train_correct", unknown)
        self.steps.train_correct[0] = nan if correct is None else correct
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        between_rows = self.rows and not self._validating and self.step == 0
        self._diverged = bool(between_rows) and self._has_diverged()

    def _batches(self, epoch: int) -> Tensor:
        """Return the image indices of an epoch's batches, int64 (steps, batch size).

        They are a random order of the first images that fill whole batches; or, with truncate =
        "epoch", the first indices of a random order of all images.
        """
        b = self.spec.batch_size
        total = len(self.images.train_labels)
        used = total // b * b
        generator = torch.Generator().manual_seed(self._seed("order", epoch))
        drawn_from = used if self._truncate == "dataset" else total
        order = torch.randperm(drawn_from, generator=generator)[:used]
        return order.to(self.images.device).view(-1, b)

    def _half_epoch(self) -> tuple[int, int, Tensor]:
        """Return the epoch, the number of its steps before this half epoch, and all its batches."""
        epoch, second_half = divmod(len(self.rows), 2)
        batches = self._batches(epoch)
        return epoch, second_half * (len(batches) // 2), batches

    def _changes(self, epoch: int, batches: Tensor) -> Tensor | list[None]:
        """Return the draws of an epoch's augmentation, by batch; None for each if there is none."""
        if (augmentation := self.images.augmentation) is None:
            return [None] * len(batches)
        drawn = augmentation.draw(self._seed("augment", epoch), batches.numel())
        return drawn.view(*batches.shape, -1)

    def _train(self) -> None:
        """Train on the remaining batches of the half epoch."""
        self.network.train()
        epoch, first, batches = self._half_epoch()
        changes = self._changes(epoch, batches)
        times = [time.monotonic()]
        for step in range(first + self.step, first + len(batches) // 2):
            if self._restart_masks is not None:
                self._restart_masks(self._seed("dropout", epoch * len(batches) + step))
            rate = None if self._schedule is None else self._schedule.rate_of(epoch, step)
            self.steps.train(batches[step], changes[step], rate)
            self.step += 1
            self._between_steps()
            if self.setup_seconds is None:
                times.append(time.monotonic())
        if self.setup_seconds is None:
            self.setup_seconds = _extra_seconds(times)
            self._start += self.setup_seconds
        self._validating, self.step = True, 0

    def _validate(self) -> None:
        """Validate on the remaining full batches of the validation images."""
        self.network.eval()
        b = self.spec.batch_size
        steps = len(self.images.validation_labels) // b
        batches = torch.arange(steps * b, device=self.images.device).view(-1, b)
        for indices in batches[self.step :]:
            self.steps.validate(indices)
            self.step += 1
            self._between_steps()

    def _row(self) -> Row:
        """Return the half epoch's row, and prepare the next half epoch.

        All batches have the same size, so the mean of their means is the mean over their images.
        """
        train_loss, loss, correct = self.steps.sums.tolist()
        b, steps = self.spec.batch_size, self.step
        half = self.train_images // b
        self.steps.sums.zero_()
        self.steps.train_correct.zero_()
        self._validating, self.step = False, 0
        # 100 * c / n, as in the published tables: 100 * (c / n) may differ in the last bit.
        return Row(train_loss / half, loss / steps, 100 * int(correct) / (steps * b))

    def _has_diverged(self) -> bool:
        """Return True if all later rows are equal to this one (`TrainedNetwork.is_dead`)."""
        if not isnan(self.rows[-1].train_loss or 0.0):
            return False  # the usual case, without waiting for the device
        return self._is_dead()

    def _train_correct_so_far(self) -> int | None:
        """Return the right predictions of this half epoch's training steps; None if unknown."""
        correct = self.steps.train_correct.sum().item()
        return None if isnan(correct) else int(correct)

    def _train_correct_once_diverged(self) -> int:
        """Return the right predictions of a half epoch's training steps if all scores are NaN."""
        _, first, batches = self._half_epoch()
        trained = batches[first : first + len(batches) // 2]
        scores = torch.full((self.spec.batch_size, self._classes), nan)
        predicted = scores.to(self.images.device).argmax(1)
        return int((self.images.train_labels[trained] == predicted).sum())

    def _seconds_so_far(self) -> float:
        return self._seconds_before + time.monotonic() - self._start

    def _seed(self, purpose: str, *where: int) -> int:
        return training_seed(self.spec.random_seed, purpose, *where)


def _extra_seconds(times: list[float]) -> float:
    """Return how much longer the first steps took than later ones, from times between steps."""
    begin, ready, end = times[0], times[min(SETUP_STEPS, len(times) - 1)], times[-1]
    usual = (end - ready) / max(1, len(times) - 1 - SETUP_STEPS)
    return max(0.0, ready - begin - SETUP_STEPS * usual) if end > ready else 0.0
