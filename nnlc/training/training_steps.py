"""A training step and a validation step: on a GPU captured once and replayed, else as they are.

A graph replays a step's kernels with one launch, so that a small network no longer waits for
Python. Only what is written down here runs in a step: everything that changes from one to the next
(indices of images, seeds of masks) is put in its place before. The steps before the capture are
real ones, so that nothing has to be undone, and the optimizer's first step, which differs from all
later ones, is among them.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nnlc.console import say_aside
from nnlc.training.build import Network
from nnlc.training.light_optimizers import step_of
from nnlc.training.pixels import DeviceImages

WARM_STEPS = 3
"""Before a capture: libraries choose and load their kernels in these."""
LEAD_STEPS = 8
"""So many steps the processor may be ahead of the GPU; more would keep a notice waiting."""
LARGE_STEP = 2e11
"""Operations of a step that lasts long enough to be waited for by itself."""


class Steps:
    """What a half epoch of one network is made of.

    Args:
        network: on the images' device.
        images: with labels.
        optimizer: of the network.
        loss: takes scores and labels.
        batch_size: of all steps.
        operations: of a training step, as an estimate.
        graphs: capture the steps where the device can.

    Attributes:
        sums: float64 (3,): training losses, validation losses, right predictions.
        eager_because: why steps that should have been captured are not, if so.
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
        self._step = step_of(optimizer)
        device = images.device
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.eager_because: str | None = None
        self._indices = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._loss = loss
        self._on_gpu = device.type == "cuda"
        self.capture = self._on_gpu and graphs
        self._stream = torch.cuda.Stream(device) if self._on_gpu else None  # type: ignore[no-untyped-call]
        # One pool for both graphs, which never run at once and leave nothing in it for each other.
        self._pool = torch.cuda.graph_pool_handle() if self.capture else None
        self._graphs: dict[Callable[[], None], torch.cuda.CUDAGraph] = {}
        self._runs: dict[Callable[[], None], int] = {}
        self._under_way: deque[torch.cuda.Event] = deque()
        self._lead = LEAD_STEPS if operations < LARGE_STEP else 1

    def train(self, indices: Tensor) -> None:
        """One training step on the images at `indices`, int64 (batch,)."""
        self._indices.copy_(indices)
        self._run(self._train)

    def validate(self, indices: Tensor) -> None:
        """Add a batch of validation images to the sums."""
        self._indices.copy_(indices)
        self._run(self._validate)

    def _train(self) -> None:
        pixels, labels = self._images.train_batch(self._indices)
        loss = self._loss(self._network(pixels), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._step()
        self.sums[0].add_(loss.detach())

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
        # All on one stream of this network's: the order is kept, and capture needs one of its own.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if self.capture and self._runs.get(step, 0) >= WARM_STEPS:
                self._replay(step)
            else:
                self._runs[step] = self._runs.get(step, 0) + 1
                step()
        torch.cuda.current_stream().wait_stream(self._stream)
        self._keep_pace()

    def _replay(self, step: Callable[[], None]) -> None:
        if step not in self._graphs:
            try:
                self._graphs[step] = self._capture(step)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as problem:
                # It was not run: the same step, by itself, does the same arithmetic.
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

    def _keep_pace(self) -> None:
        """Wait, asleep, until the GPU is near enough."""
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._under_way.append(event)
        if len(self._under_way) > self._lead:
            self._under_way.popleft().synchronize()
