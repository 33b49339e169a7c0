"""Training and validation steps; on GPUs they are captured in CUDA graphs and replayed.

A graph launches all kernels of a step at once, so that small networks don't wait for Python.
Everything that changes from step to step (image indices, seeds of masks) is set before the step.
The warm-up steps before a capture are ordinary steps of the training, so that nothing has to be
undone; the optimizer's first step, which differs from later ones, is among them.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nnlc.console import say_aside
from nnlc.training.build import Network, bare_step
from nnlc.training.pixels import DeviceImages

WARM_STEPS = 3
"""Ordinary steps before a capture, in which libraries choose and load their kernels."""
MAX_STEPS_AHEAD = 8
"""Maximum number of steps queued on the GPU; with more, an interruption would wait too long."""
LARGE_STEP = 2e11
"""Minimum operations of a large step; only one large step is queued."""


class Steps:
    """Training and validation steps of one network.

    Args:
        network: the network, on the images' device.
        images: images and labels.
        optimizer: the network's optimizer.
        loss: takes scores and labels.
        batch_size: number of images in each step.
        operations: estimated floating-point operations of a training step.
        graphs: True to capture steps if the device is a GPU.

    Attributes:
        sums: float64 (3,): sums of training losses, validation losses and right predictions.
        train_correct: float64 (batch,): number of right predictions in training steps at each
            position of a batch; one operation less for each step than with their sum.
        eager_because: reason why steps could not be captured; None if they could, or need not be.
    """

    def __init__(
        self,
        network: Network,
        images: DeviceImages,
        optimizer: torch.optim.Optimizer,
        loss: nn.Module,
        batch_size: int,
        *,
        operations: float,
        graphs: bool = True,
    ) -> None:
        self._network, self._images, self._optimizer = network, images, optimizer
        self._step = bare_step(optimizer)
        device = images.device
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.train_correct = torch.zeros(batch_size, dtype=torch.float64, device=device)
        self.eager_because: str | None = None
        self._indices = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._loss = loss
        self._on_gpu = device.type == "cuda"
        self.capture = self._on_gpu and graphs
        self._stream = torch.cuda.Stream(device) if self._on_gpu else None  # type: ignore[no-untyped-call]
        # Both graphs share a memory pool: they never run at once, nor need the other's results.
        self._pool = torch.cuda.graph_pool_handle() if self.capture else None
        self._graphs: dict[Callable[[], None], torch.cuda.CUDAGraph] = {}
        self._runs: dict[Callable[[], None], int] = {}
        self._pending: deque[torch.cuda.Event] = deque()
        self._steps_ahead = MAX_STEPS_AHEAD if operations < LARGE_STEP else 1

    def train(self, indices: Tensor) -> None:
        """Make a training step on the images at `indices`, int64 (batch,)."""
        self._indices.copy_(indices)
        self._run(self._train)

    def validate(self, indices: Tensor) -> None:
        """Make a validation step on the images at `indices`, int64 (batch,)."""
        self._indices.copy_(indices)
        self._run(self._validate)

    def _train(self) -> None:
        pixels, labels = self._images.train_batch(self._indices)
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
        self.sums[1].add_(self._loss(scores, labels))
        self.sums[2].add_((scores.argmax(1) == labels).sum())

    def _run(self, step: Callable[[], None]) -> None:
        if self._stream is None:
            step()
            return
        # One stream for all steps of a network keeps their order; capture needs a separate stream.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if self.capture and self._runs.get(step, 0) >= WARM_STEPS:
                self._replay(step)
            else:
                self._runs[step] = self._runs.get(step, 0) + 1
                step()
        torch.cuda.current_stream().wait_stream(self._stream)
        self._wait_for_gpu()

    def _replay(self, step: Callable[[], None]) -> None:
        if step not in self._graphs:
            try:
                self._graphs[step] = self._capture(step)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as problem:
                # A capture does not run the step; running it now does the same arithmetic.
                self.capture = False
                self.eager_because = str(problem).split("\n")[0]
                say_aside(f"steps are not captured: {self.eager_because}")
                step()
                return
        self._graphs[step].replay()

    def _capture(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            step()
        return graph

    def _wait_for_gpu(self) -> None:
        """Sleep until no more steps are queued on the GPU than allowed."""
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._pending.append(event)
        if len(self._pending) > self._steps_ahead:
            self._pending.popleft().synchronize()
