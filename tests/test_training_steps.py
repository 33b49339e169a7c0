"""Steps: what becomes of a capture that fails on a GPU, as far as can be seen without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limits import HANG_SECONDS
from small_networks import bundled_images, first, loop_on, spec

from nnlc.system.environment import trainer_environment
from nnlc.training.attempt import failure_message
from nnlc.training.training_steps import MAX_STEPS_AHEAD, Steps, UncapturedError

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture
def loop():
    found = loop_on(first(bundled_images(), 400, 200), spec())
    found.steps.capture = True
    return found


def weights(loop) -> list[torch.Tensor]:
    return [p.detach().clone() for p in loop.network.parameters()]


@pytest.fixture
def capture_on_cpu(monkeypatch):
    """A capture that runs nothing on a device, and ends as torch's does: with a second error."""

    class Graph:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            pass

        def __exit__(self, kind, problem, trace):
            if problem is not None:
                raise RuntimeError("operation failed due to a previous error\nat y")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def fail_with(problem):
    def fail(*_):
        raise problem

    return fail


def test_a_capture_that_fails_ends_the_training_with_what_failed_first(loop, capture_on_cpu):
    before = weights(loop)
    with pytest.raises(UncapturedError) as caught:
        loop.steps._replay(fail_with(RuntimeError("operation not permitted\nat x")))
    assert str(caught.value) == "operation not permitted"
    assert all(map(torch.equal, weights(loop), before))
    assert failure_message(7, caught.value) == {
        "kind": "uncaptured",
        "index": 7,
        "reason": "operation not permitted",
    }


def test_want_of_memory_is_no_reason_to_go_on_without_capture(loop, capture_on_cpu):
    """Under its pressure cuDNN would take other algorithms, and with them other bits."""
    with pytest.raises(torch.cuda.OutOfMemoryError, match="full") as caught:
        loop.steps._replay(fail_with(torch.cuda.OutOfMemoryError("full")))
    assert failure_message(7, caught.value)["reason"] == "out of memory: full"


def test_an_error_of_an_earlier_step_is_not_taken_for_a_failed_capture(
    loop, capture_on_cpu, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "synchronize", fail_with(RuntimeError("illegal access")))
    with pytest.raises(RuntimeError) as caught:
        loop.steps._replay(lambda: None)
    assert failure_message(7, caught.value)["kind"] == "failed"


def test_a_step_is_captured_once_and_replayed_each_time(loop, monkeypatch):
    done = []

    class Graph:
        def replay(self):
            done.append("replayed")

    monkeypatch.setattr(Steps, "_capture", lambda *_: done.append("captured") or Graph())
    for _ in range(3):
        loop.steps._replay(loop.steps._train)
    loop.steps._replay(loop.steps._validate)
    assert done == ["captured", *["replayed"] * 3, "captured", "replayed"]


@pytest.mark.parametrize(("operations", "most"), [(1e9, MAX_STEPS_AHEAD), (1e12, 2)])
def test_few_steps_are_queued_on_a_gpu_and_fewer_large_ones(loop, monkeypatch, operations, most):
    """Else a notice would wait for them."""
    queued, most_queued = [], 0

    class Event:
        """A GPU that does a step only when somebody waits for it."""

        def __init__(self, blocking):
            assert blocking  # a process that waits takes no core from another
            self._step = None

        def record(self, _):
            self._step = queued[-1]

        def synchronize(self):
            while queued and self._step is not None and queued[0] <= self._step:
                queued.pop(0)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    about = (loop.network, loop.images, loop._optimizer, torch.nn.CrossEntropyLoss(), 100)
    steps = Steps(*about, operations=operations, stream=object(), graphs=False)
    for number in range(100):
        steps._run(lambda number=number: queued.append(number))
        most_queued = max(most_queued, len(queued) + (steps._unmarked == 0))
    assert len(queued) <= most // 2
    assert most_queued <= most


def test_training_loads_no_compiler():
    """Which takes as long to load as torch itself, and 140 MB that a trainer has no use for."""
    code = (
        "import sys\n"
        "from nnlc.training.determinism import make_deterministic\n"
        "from small_networks import bundled_images, first, loop_on, spec\n"
        "make_deterministic()\n"
        "loop = loop_on(first(bundled_images(), 200), spec())\n"
        "rows = list(loop)\n"
        "loop_on(first(bundled_images(), 200), spec()).resume(loop.state())\n"
        "assert len(rows) == 2\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    words = [sys.executable, "-c", code]
    environment = trainer_environment(os.environ)
    subprocess.run(
        words, cwd=Path(__file__).parent, env=environment, check=True, timeout=HANG_SECONDS
    )
