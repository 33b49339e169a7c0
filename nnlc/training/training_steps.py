"""Training and validation steps; on GPUs they are captured in CUDA graphs and replayed.

A graph launches all kernels of a step at once, so that small networks don't wait for Python.
Everything that changes from step to step (image indices, draws of the augmentation, the learning
rate, seeds of masks) is set before the step.
The warm-up steps before a capture are ordinary steps of the training, so that nothing has to be
undone; the optimizer's first step, which differs from later ones, is among them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nnlc.training.build import bare_step
from nnlc.training.pixels import DeviceImages

WARM_STEPS = 3
"""Ordinary steps before a capture, in which libraries choose and load their kernels."""
MAX_STEPS_AHEAD = 8
"""Maximum number of steps queued on the GPU; with more, an interruption would wait too long."""
LARGE_STEP = 2e11
"""Minimum operations of a large step; only one large step is queued."""


class UncapturedError(RuntimeError):
    """Failed capture of a step; in some versions of torch, dropout then fails in this process."""


class Steps:
    """Training and validation steps of one network.

    Args:
        network: the network, on the images' device.
        images: images and labels.
        optimizer: the network's optimizer.
        loss: the loss of training; takes scores and labels.
        batch_size: number of images in each step.
        operations: estimated floating-point operations of a training step.
        stream: the GPU's current stream (`nnlc.training.gpu_stream`); None on a CPU.
        graphs: True to capture steps if the device is a GPU.
        validation_loss: the loss of validation; by default that of training.

    Attributes:
        sums: float64 (3,): sums of training losses, validation losses and right predictions.
        train_correct: float64 (batch,): number of right predictions in training steps at each
            position of a batch; one operation less for each step than with their sum.
        capture: True if steps are captured.
    """

    def __init__(
        self,
        network: nn.Module,
        images: DeviceImages,
        optimizer: torch.optim.Optimizer,
        loss: nn.Module,
        batch_size: int,
        *,
        operations: float,
        stream: torch.cuda.Stream | None,
        graphs: bool = True,
        validation_loss: nn.Module | None = None,
    ) -> None:
        self._network, self._images, self._optimizer = network, images, optimizer
        self._step = bare_step(optimizer)
        device = images.device
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.train_correct = torch.zeros(batch_size, dtype=torch.float64, device=device)
        self._indices = torch.zeros(batch_size, dtype=torch.int64, device=device)
        changes = images.augmentation
        self._drawn = None if changes is None else changes.empty(batch_size)
        self._rate = torch.zeros((), device=device) if device.type == "cuda" else None
        self._loss, self._validation_loss = loss, validation_loss or loss
        self._stream = stream
        self.capture = stream is not None and graphs
        # Both graphs share a memory pool: they never run at once, nor need the other's results.
        self._pool = torch.cuda.graph_pool_handle() if self.capture else None
        self._graphs: dict[Callable[[], None], torch.cuda.CUDAGraph] = {}
        self._runs: dict[Callable[[], None], int] = {}
        self._marks = [torch.cuda.Event(blocking=True) for _ in range(2)] if stream else []  # type: ignore[no-untyped-call]
        self._steps_a_mark = MAX_STEPS_AHEAD // 2 if operations < LARGE_STEP else 1
        self._unmarked = 0

    def train(
        self, indices: Tensor, drawn: Tensor | None = None, rate: float | None = None
    ) -> None:
        """Make a training step.

        Args:
            indices: indices of the images, int64 (batch,).
            drawn: the batch's draws for the augmentation, if there is one.
            rate: the learning rate; None if it is the same in all steps.
        """
        self._indices.copy_(indices)
        if self._drawn is not None and drawn is not None:
            self._drawn.copy_(drawn)
        if rate is not None:
            self._set_rate(rate)
        self._run(self._train)

    def _set_rate(self, rate: float) -> None:
        """Set the learning rate: on a GPU in memory, where a captured step reads it."""
        if self._rate is not None:
            self._rate.fill_(rate)
        for group in self._optimizer.param_groups:  # a resume has replaced it
            group["lr"] = rate if self._rate is None else self._rate

    def validate(self, indices: Tensor) -> None:
        """Make a validation step on the images at `indices`, int64 (batch,)."""
        self._indices.copy_(indices)
        self._run(self._validate)

    def _train(self) -> None:
        pixels, labels = self._images.train_batch(self._indices, self._drawn)
        scores = self._network(pixels)
        loss = self._loss(scores, labels)
        self._count(scores, labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._step()
        self.sums[0].add_(loss.detach())

    def _count(self, scores: Tensor, labels: Tensor) -> None:
        self.train_correct.add_(scores.argmax(1) == labels)

    @torch.no_grad()
    def _validate(self) -> None:
        pixels, labels = self._images.validation_batch(self._indices)
        scores = self._network(pixels)
        self.sums[1].add_(self._validation_loss(scores, labels))
        self.sums[2].add_((scores.argmax(1) == labels).sum())

    def _run(self, step: Callable[[], None]) -> None:
        if self._stream is None:
            step()
            return
        if self.capture and self._runs.get(step, 0) >= WARM_STEPS:
            self._replay(step)
        else:
            self._runs[step] = self._runs.get(step, 0) + 1
            step()
        self._limit_queue(self._stream)

    def _replay(self, step: Callable[[], None]) -> None:
        if step not in self._graphs:
            self._graphs[step] = self._capture(step)
        self._graphs[step].replay()

    def _capture(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Return a step's graph.

        Raises:
            UncapturedError: the step can't be captured, other than for lack of memory.
        """
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()  # an error of an earlier step is not one of the capture
        self._optimizer.zero_grad()  # a graph has its own gradients: none beside them in memory
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                step()
        except RuntimeError as problem:
            # torch ends a capture after the step has failed, which fails too.
            cause = problem
            while isinstance(cause.__context__, RuntimeError):
                cause = cause.__context__
            if isinstance(cause, torch.cuda.OutOfMemoryError):
                raise cause from None
            raise UncapturedError(str(cause).split("\n")[0]) from problem
        return graph

    def _limit_queue(self, stream: torch.cuda.Stream) -> None:
        """Sleep until no more steps are queued on the GPU than allowed.

        A mark follows every few steps. At each mark, the one before it must have been reached.
        """
        self._unmarked += 1
        if self._unmarked < self._steps_a_mark:
            return
        self._unmarked = 0
        self._marks.reverse()
        self._marks[0].record(stream)
        self._marks[1].synchronize()
