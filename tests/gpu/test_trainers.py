"""Trainers of real jobs on the stub: what becomes of their networks, and of their processes."""

import json
import signal
from pathlib import Path

import pytest
import stub_driver
from limits import HANG_SECONDS, wait_until
from worker_jobs import (
    TINY,
    events,
    run_worker,
    slow_steps,
    start_worker,
    steps_done,
    tables,
    write_campaign,
)

from nnlc.errors import ExitStatus

pytestmark = pytest.mark.needs("stub driver")

THREE = TINY.replace("networks_per_depth = 3", "networks_per_depth = 1").replace(
    "depths = [1, 2]", "depths = [1, 3]"
)
REPLAYS = 52
"""Steps of each of these networks that are replayed: 2 * 19 of training and 2 * 10 of validation,
all but the first three."""


def job_on_stub(folder: Path, run: str = "", **stub: object) -> tuple[list, dict[str, str]]:
    """Return the arguments and variables of a job with three networks, of one or three layers."""
    text = THREE.replace("batch_size = [100, 250]", "batch_size = [100, 100]")
    campaign = write_campaign(folder, text.replace("epochs = 1", f"epochs = 1\n[run]\n{run}"))
    variables = stub_driver.environment(counters=folder / "counters.jsonl", **stub)
    return [campaign, "--device", "cuda", "--results", folder / "r"], variables


def trainers_in(folder: Path) -> list[dict]:
    """Return the counters of the trainers, in the order of their ends."""
    lines = (folder / "counters.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["kernels"]]


def test_after_a_capture_that_fails_a_fresh_process_trains_that_network_without_graphs_alone(
    tmp_path,
):
    words, variables = job_on_stub(tmp_path, "attempts = 1", fail="capture:3")
    job = run_worker(*words, **variables)
    assert job.returncode == ExitStatus.DONE, job.stdout + job.stderr
    begun = [event["id"] for event in events(tmp_path / "r", "start")]
    assert begun == [begun[0], begun[1], begun[1], begun[3]]
    [lost] = events(tmp_path / "r", "uncaptured")
    assert lost["id"] == begun[1]
    reasons = {e["id"]: e.get("eager_because") for e in events(tmp_path / "r", "finish")}
    assert reasons == {begun[0]: None, begun[1]: lost["reason"], begun[3]: None}
    assert {event["attempts"] for event in events(tmp_path / "r", "finish")} == {1}
    assert [each["captures"] for each in trainers_in(tmp_path)] == [3, 2]
    assert f"{begun[1]}: its steps can't be captured" in job.stdout


def test_an_error_that_sticks_costs_its_network_an_attempt_and_its_process_but_not_the_next(
    tmp_path,
):
    fail = f"sticky-replay:{REPLAYS + REPLAYS // 2}"
    words, variables = job_on_stub(tmp_path, "attempts = 1", fail=fail)
    job = run_worker(*words, **variables)
    assert job.returncode == ExitStatus.DONE_WITH_FAILURES, job.stdout + job.stderr
    first, second, third = (event["id"] for event in events(tmp_path / "r", "start"))
    [failure] = events(tmp_path / "r", "failure")
    assert (failure["id"], failure["attempts"]) == (second, 1)
    assert "an illegal memory access was encountered" in failure["reason"]
    assert {event["id"] for event in events(tmp_path / "r", "finish")} == {first, third}
    assert len(trainers_in(tmp_path)) == 2


def test_a_network_that_is_interrupted_on_a_gpu_waits_for_it_and_goes_on_with_graphs(tmp_path):
    words, variables = job_on_stub(tmp_path)
    slow = slow_steps(tmp_path, HANG_SECONDS, when="self._steps == 12")
    job = start_worker(*words, **variables, **slow)
    wait_until(lambda: steps_done(tmp_path))
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == ExitStatus.UNFINISHED, output
    again = run_worker(*words, **variables)
    assert again.returncode == ExitStatus.DONE, again.stdout + again.stderr
    [resumed] = events(tmp_path / "r", "resume")
    assert (resumed["half_epoch"], resumed["step"]) == (0, 13)
    assert len(tables(tmp_path / "r")) == 3
    assert not events(tmp_path / "r", "uncaptured")
    interrupted, resuming = trainers_in(tmp_path)
    assert interrupted["captures"] == 1
    assert resuming["captures"] == 6
    assert interrupted["cudaStreamQuery"]
