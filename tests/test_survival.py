"""Whole jobs that are ended in the middle: what they leave, and what comes of it."""

import os
import shutil
import signal
import subprocess
import sys
import time

from faults import cpu_seconds
from limits import HANG_SECONDS, let_pass, wait_until
from typer.testing import CliRunner
from worker_jobs import (
    TINY,
    agents_clock,
    events,
    meddling,
    processes,
    run_worker,
    slow_steps,
    start_worker,
    steps_done,
    tables,
    wait_for,
    write_campaign,
)

from nnlc.cli import app
from nnlc.ranks.job import GO_ON

OFTEN = TINY.replace("epochs = 1\n", "epochs = 1\n[run]\ncheckpoint_minutes = 1e-9\n")
"""Each network is saved after its first step, and again when saving costs little."""


def saved(results) -> set[str]:
    """The networks that have a checkpoint."""
    return {path.name.split(".")[0] for path in (results / "checkpoints").glob("*.ckpt")}


def agents(mark) -> list[int]:
    return sorted(processes("nnlc.worker", str(mark)))


def test_a_notice_in_the_middle_of_a_half_epoch_saves_every_rank(alone, tmp_path, monkeypatch):
    """No step ends before the notice, which comes to the last rank only.

    Agents that wait leave the cores alone.
    """
    campaign, expected = alone
    results = tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    slow = slow_steps(tmp_path, HANG_SECONDS)
    job = start_worker(campaign, "--results", results, ranks=2, **slow)
    wait_until(lambda: steps_done(tmp_path) == 2, process=job)
    before = [cpu_seconds(pid) for pid in agents(tmp_path)]
    let_pass(5)
    used = [cpu_seconds(pid) for pid in agents(tmp_path)]
    assert len(used) == 2
    # One that spins would use its share of two cores: more than all that its start has cost.
    assert all(now < 2 * then + 0.1 for then, now in zip(before, used, strict=True)), (before, used)
    os.kill(agents(tmp_path)[-1], signal.SIGURG)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    checkpoints = events(results, "checkpoint")
    assert len({event["id"] for event in checkpoints}) == len(saved(results)) == 2
    assert all(event["half_epoch"] == 0 and event["step"] > 0 for event in checkpoints)
    job = run_worker(campaign, "--results", results, ranks=1)
    assert job.returncode == 0, job.stdout + job.stderr
    assert {event["id"] for event in events(results, "resume")} == {e["id"] for e in checkpoints}
    assert tables(results) == tables(expected)
    assert not saved(results)


def test_a_second_signal_ends_a_job_at_once_without_torn_files(alone, tmp_path):
    campaign, expected = alone
    results = tmp_path / "r"
    deaf = slow_steps(tmp_path, 10 * HANG_SECONDS, deaf=True)
    job = start_worker(campaign, "--results", results, **deaf)
    wait_until(lambda: steps_done(tmp_path), process=job)

    def ended_by_another_signal() -> bool:
        job.send_signal(signal.SIGTERM)
        let_pass(1.5)  # two within a second would count as one
        return job.poll() is not None

    wait_until(ended_by_another_signal)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    assert run_worker(campaign, "--results", results).returncode == 0
    assert tables(results) == tables(expected)


def test_a_job_leaves_before_its_time_is_over_without_any_signal(tmp_path):
    """Slurm tells its end; by its clock an hour is over at its first step."""
    campaign = write_campaign(tmp_path)
    results, late = tmp_path / "r", tmp_path / "late"
    clock = agents_clock(late, 3595)
    slow = slow_steps(tmp_path, HANG_SECONDS, agents=clock)
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 3600)}
    job = start_worker(campaign, "--results", results, **slow, **end)
    wait_until(lambda: steps_done(tmp_path) == 1, process=job)
    late.touch()
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    assert f"time is nearly over: {GO_ON}" in output
    assert len(saved(results)) == 1


def test_a_killed_agent_ends_the_job_is_told_of_and_costs_one_checkpoint_interval_at_most(
    alone, tmp_path, monkeypatch
):
    _, expected = alone
    campaign, results = write_campaign(tmp_path, OFTEN), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    held = slow_steps(tmp_path, HANG_SECONDS, when="self._last_save")
    job = start_worker(campaign, "--results", results, ranks=2, **held)
    wait_until(lambda: steps_done(tmp_path) == 2, process=job)
    wait_for(results, "checkpoint", 2, process=job)
    os.kill(agents(tmp_path)[-1], signal.SIGKILL)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode not in (0, 3), output
    wait_until(lambda: not processes("nnlc.training.trainer", str(tmp_path)))
    before = {event["id"]: event["step"] for event in events(results, "checkpoint")}
    again = run_worker(campaign, "--results", results)
    assert again.returncode == 0
    assert again.stdout.count("ended without a word (killed, or its node was lost)") == 1
    assert "2 networks continue from their checkpoints" in again.stdout
    for event in events(results, "resume"):
        assert event["step"] + 100 * event["half_epoch"] >= before[event["id"]]
    assert {event["id"] for event in events(results, "resume")} == before.keys()
    assert tables(results) == tables(expected)


LONG_SILENCE = """
import os
from nnlc.ranks.watchdog import Watchdog
look = Watchdog.overlong_silence
def late(self):
    if os.path.exists(FILE):
        os.unlink(FILE)
        self._last_sign -= 1e6
    return look(self)
Watchdog.overlong_silence = late
"""
"""Code for agents: once the file is there, their trainer has been silent for days."""


def test_a_trainer_that_stands_still_is_replaced_and_its_network_resumed(
    alone, tmp_path, monkeypatch
):
    _, expected = alone
    campaign, results = write_campaign(tmp_path, OFTEN), tmp_path / "r"
    monkeypatch.setenv("NNLC_TEST_MARK", str(tmp_path))
    late = tmp_path / "late"
    when = f"self._last_save and not os.path.exists({str(tmp_path / 'over')!r})"
    agents = LONG_SILENCE.replace("FILE", repr(str(late)))
    held = slow_steps(tmp_path, HANG_SECONDS, when=when, agents=agents)
    job = start_worker(campaign, "--results", results, **held)
    wait_until(lambda: steps_done(tmp_path), process=job)
    [trainer] = processes("nnlc.training.trainer", str(tmp_path))
    os.kill(trainer, signal.SIGSTOP)
    (tmp_path / "over").touch()
    late.touch()
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 0, output
    [attempt] = events(results, "attempt")
    assert "no progress: its trainer did no step for" in attempt["reason"]
    assert len(events(results, "resume")) == 1
    assert tables(results) == tables(expected)


def test_a_network_that_kills_its_trainer_becomes_a_failure_until_it_is_cleared(alone, tmp_path):
    """A real segmentation fault. The next start leaves it alone; after 'nnlc retry' it is tried."""
    _, expected = alone
    campaign = write_campaign(
        tmp_path, TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 1")
    )
    results = shutil.copytree(expected, tmp_path / "r")
    lost = sorted(results.glob("*_models/*.txt"))[2]
    lost.unlink()
    cursed, before = lost.stem, len(events(results, "start"))
    code = f"import ctypes\nnetwork(lambda id: id == {cursed!r} and ctypes.string_at(0))"
    job = run_worker(campaign, "--results", results, **meddling(tmp_path, code))
    assert job.returncode == 3, job.stdout + job.stderr
    [failure] = events(results, "failure")
    assert (failure["id"], failure["attempts"]) == (cursed, 1)
    assert "SIGSEGV" in failure["reason"]
    assert "1 network failed" in job.stdout
    others = {name: table for name, table in tables(expected).items() if cursed not in name}
    assert tables(results) == others
    assert len(events(results, "start")) == before + 1
    starts = len(events(results, "start"))
    assert run_worker(campaign, "--results", results).returncode == 3
    assert len(events(results, "start")) == starts
    assert cursed in CliRunner().invoke(app, ["retry", str(results), cursed]).output
    assert run_worker(campaign, "--results", results).returncode == 0
    assert tables(results) == tables(expected)


def test_a_network_that_no_memory_holds_is_named_with_its_size_and_the_rest_is_finished(tmp_path):
    """That with a hidden layer would need 50 GB; the limit refuses it on every machine."""
    text = TINY.replace("fc_layers = [1, 2]\nfc_units = [8, 16]", "fc_layers = [1, 2]").replace(
        "kernel = [2, 4]\nstride = [2, 2]\npadding = [0, 1]\nfilters = [1, 10]",
        "kernel = [1, 2]\nstride = [1, 1]\npadding = [0, 1]\nfilters = [18, 20]\nblocks = [1]",
    )
    text = text.replace("depths = [1, 2]", "depths = [1, 1]").replace("seed = 11", "seed = 16")
    text = text.replace("per_depth = 3", "per_depth = 2")
    text = text.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 1")
    campaign, results = write_campaign(tmp_path, text + "fc_units = [1000000, 1048576]\n"), tmp_path
    words = ["prlimit", f"--as={40 << 30}", sys.executable, "-m", "nnlc.worker", str(campaign)]
    job = subprocess.run(
        [*words, "--results", str(results / "r")],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert job.returncode == 3, job.stdout + job.stderr
    [failure] = events(results / "r", "failure")
    assert failure["reason"].startswith("out of memory: ")
    assert any(int(word) > 40 << 30 for word in failure["reason"].split() if word.isdigit())
    assert len(tables(results / "r")) == 1


def test_two_jobs_on_one_folder_share_the_work_and_train_each_network_once(alone, tmp_path):
    campaign, expected = alone
    results = tmp_path / "r"
    when = f"len([n for n in os.listdir({str(results / 'journal')!r}) if n.endswith('.jsonl')]) < 2"
    held = slow_steps(tmp_path, HANG_SECONDS, when=when)  # until both have begun
    jobs = [start_worker(campaign, "--results", results, **held) for _ in range(2)]
    outputs = [job.communicate(timeout=HANG_SECONDS)[0] for job in jobs]
    statuses = sorted(job.returncode for job in jobs)
    assert statuses in ([0, 0], [0, 75]), outputs
    started = [event["id"] for event in events(results, "start")]
    assert sorted(started) == sorted(set(started))
    assert len(list((results / "journal").glob("*.jsonl"))) == 2
    assert tables(results) == tables(expected)
    assert not list((results / "leases").iterdir())
