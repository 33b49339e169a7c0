"""Steps: what becomes of a capture that fails on a GPU, as far as can be seen without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limits import HANG_SECONDS
from small_networks import CPU, bundled_images, first, loop_on, spec

from nnlc.system.environment import trainer_environment
from nnlc.training.attempt import Attempt
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.inbox import Inbox
from nnlc.training.training_steps import Steps

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture
def loop():
    found = loop_on(first(bundled_images(), 400, 200), spec())
    found.steps.capture = True
    return found


def weights(loop) -> list[torch.Tensor]:
    return [p.detach().clone() for p in loop.network.parameters()]


def fail_with(problem):
    def capture(*_):
        raise problem

    return capture


def test_a_step_that_can_not_be_captured_is_done_by_itself_once_and_that_is_said(
    loop, monkeypatch, capsys
):
    twin = loop_on(first(bundled_images(), 400, 200), spec())
    indices = torch.arange(100)
    for each in (loop, twin):
        each.network.restart_dropout(1)
        each.steps._indices.copy_(indices)
    twin.steps._train()
    monkeypatch.setattr(Steps, "_capture", fail_with(RuntimeError("operation not permitted\nat x")))
    loop.steps._replay(loop.steps._train)
    assert loop.steps.eager_because == "operation not permitted"
    assert not loop.steps.capture
    assert "steps are not captured: operation not permitted" in capsys.readouterr().err
    assert all(map(torch.equal, weights(loop), weights(twin)))


def test_want_of_memory_is_no_reason_to_go_on_without_capture(loop, monkeypatch):
    """Under its pressure cuDNN would take other algorithms, and with them other bits."""
    before = weights(loop)
    monkeypatch.setattr(Steps, "_capture", fail_with(torch.cuda.OutOfMemoryError("full")))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        loop.steps._replay(loop.steps._train)
    assert loop.steps.eager_because is None
    assert all(map(torch.equal, weights(loop), before))


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


def test_the_journal_is_told_why_a_network_was_trained_without_capture(tmp_path, loop):
    def make(between_steps):
        loop.steps.eager_because = "a reason"
        return loop

    reading, writing = os.pipe()
    attempt = Attempt(
        7, Checkpoints(tmp_path, spec().id, {}), Inbox(reading), lambda _: None,
        checkpoint_seconds=1000,
    )  # fmt: skip
    assert attempt.run(make, CPU)["eager_because"] == "a reason"
    os.close(writing)
    os.close(reading)


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
