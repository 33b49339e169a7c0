"""The steps of one process on the stub: streams, memory, calls of the runtime, and failures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stub_driver
from limits import HANG_SECONDS

from nnlc.ranks.attempts import is_out_of_memory
from nnlc.system.environment import trainer_environment

pytestmark = pytest.mark.needs("stub driver")

MOST_CALLS = 33
"""Of the runtime for a replayed step with dropout; 80 with events and changes of stream in it."""
FORTY_NETWORKS_MIB = 2
"""Most that memory may grow from the second pair of networks to the last."""


@pytest.fixture(scope="module")
def found() -> dict:
    """What `steps_on_stub.py` prints."""
    environment = {**os.environ, **stub_driver.environment()}
    process = subprocess.run(
        [sys.executable, Path(__file__).with_name("steps_on_stub.py")],
        env=trainer_environment(environment),
        stdout=subprocess.PIPE,
        check=True,
        timeout=HANG_SECONDS,
    )
    return json.loads(process.stdout)


def test_all_networks_of_a_process_use_one_stream_so_that_libraries_keep_memory_once(found):
    memory = found["memory"]
    assert memory["streams"] == 1
    assert len(memory["reserved"]) == 40
    early, late = max(memory["reserved"][2:4]), max(memory["reserved"][-2:])
    assert late - early <= FORTY_NETWORKS_MIB << 20
    assert memory["refused"] == 0


def test_a_replayed_step_is_little_more_than_its_graph(found):
    assert found["step"]["replays"] == 1
    assert found["step"]["calls"] <= MOST_CALLS


def test_steps_are_captured_once_although_their_rate_and_the_changes_of_images_differ(found):
    """Twice two graphs, which nothing refuses; the rates of each training have one place."""
    replays = 2 * ((20 - 3) + (4 - 3))
    for recipe in found["recipes"]:
        assert recipe == {"made": [4, 0, replays], "devices": ["cuda"], "places": 2}


def test_own_networks_are_captured_with_dropout_that_is_seeded_before_each_replay(found):
    two_graphs, replays = 2, 2 * (8 - 3)  # of training and validation, after three steps of each
    assert found["own"] == {"made": [two_graphs, 0, replays], "seeded": True}


@pytest.mark.parametrize("where", ["set-up", "first step", "capture", "graph", "replay"])
def test_want_of_memory_is_told_as_that_wherever_it_comes(found, where):
    assert is_out_of_memory(found[where]["reason"])


def test_a_process_trains_on_after_networks_that_had_no_memory(found):
    assert found["nothing"] == {}


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("refused", "operation not permitted when stream is capturing"),
        ("lost", "operation failed due to a previous error during capture"),
    ],
)
def test_a_capture_that_fails_is_told_with_what_failed_first(found, where, reason):
    assert found[where] == {"kind": "uncaptured", "index": 1, "reason": f"CUDA error: {reason}"}


def test_an_error_that_sticks_is_an_ordinary_failure_and_nobody_waits_for_the_device(found):
    assert found["sticks"]["kind"] == "failed"
    assert "an illegal memory access was encountered" in found["sticks"]["reason"]
    assert found["queries"] == 1


def test_images_on_a_gpu_leave_nothing_in_the_memory_of_the_host(found):
    host = found["host"]
    # The stub's own memory is that of the host, and holds the images once.
    assert host["after"] - host["before"] < 1.5 * host["images"]
