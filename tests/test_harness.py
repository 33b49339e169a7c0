"""The fault harness itself, and a short run of it with every kind of fault.

The long run is a command: `python tests/harness.py --help`.
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import fault_jobs
import faults
import harness
import needs
import pytest
from fault_jobs import MARK, Clock, HarnessError, Job, find_marked
from fault_ledger import Ledger
from faults import FAULTS, make_plan
from harness import LONG, SHORT
from limits import HANG_SECONDS, patience, wait_until

from nnlc.campaign.campaign import load_campaign

KINDS = list(FAULTS)
NEEDED = {"clock-jump": ["compiler"], "full-disk": ["mounting"]}
EXPECTED = {"a_models/1.txt": b"one", "a_models/2.txt": b"two"}


@pytest.fixture(scope="module")
def short_run():
    """Output of a fault of each kind, dealt to real jobs; this seed needs few restarts."""
    count = str(len(KINDS))
    words = [sys.executable, harness.__file__, "--short", "--faults", count, "--seed", "1291"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        try:
            output, _ = run.communicate(timeout=patience(60))
        finally:
            run.terminate()  # it ends its jobs and unmounts its disk
    assert run.returncode == 0, output
    return output


def test_after_a_fault_of_each_kind_every_table_is_that_of_an_undisturbed_job(short_run):
    verdict = short_run.splitlines()[-1]
    assert re.fullmatch(
        r"\d+ faults in \d+ jobs, \d+ restarts: 0 of [1-9]\d* tables differ, 0 missing", verdict
    ), short_run


@pytest.mark.parametrize("kind", KINDS)
def test_the_short_run_has_every_kind_of_fault(short_run, kind):
    if re.search(f"^left out: {kind}: .*", short_run, re.MULTILINE):
        needs.require(*NEEDED.get(kind, ()))
    assert re.search(rf"^ +[1-9]\d* {kind}$", short_run, re.MULTILINE), short_run


def test_the_same_seed_gives_the_same_plan_and_another_another():
    assert make_plan(3, 50, KINDS, 4.0) == make_plan(3, 50, KINDS, 4.0)
    assert make_plan(3, 50, KINDS, 4.0) != make_plan(4, 50, KINDS, 4.0)


def test_in_a_plan_every_kind_comes_before_one_comes_again():
    plan = make_plan(1, 30, KINDS, 4.0)
    assert [fault.number for fault in plan] == list(range(1, 31))
    kinds = [fault.kind for fault in plan]
    assert set(kinds[:11]) == set(kinds[11:22]) == set(KINDS)
    assert all(0 <= fault.pause_seconds <= 4.0 for fault in plan)


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_all_that_a_checkpoint_must_hold_occurs_in_the_campaign(write, text):
    specs = [network.spec for network in load_campaign(write(text)).networks()]
    assert all(spec.momentum for spec in specs)
    assert any(spec.dampening for spec in specs)
    assert any(spec.weight_decay for spec in specs)
    assert any(entry & 4 for spec in specs for entry in spec.layer_types)  # dropout
    assert {len(spec.layer_types) for spec in specs} == {1, 2}


def _results(folder: Path, tables: dict[str, bytes]) -> Path:
    for name, content in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("doctored", "verdict"),
    [
        ({}, "0 of 2 tables differ, 0 missing"),
        ({"a_models/2.txt": b"twO"}, "1 of 2 tables differ, 1 missing"),
        ({"a_models/2.txt": b"tw"}, "1 of 2 tables differ, 1 missing"),
        ({"a_models/3.txt": b""}, "1 of 3 tables differ, 0 missing"),
    ],
    ids=["right", "one bit", "torn", "surplus"],
)
def test_a_table_that_is_not_as_expected_is_told(tmp_path, doctored, verdict):
    ledger = Ledger(EXPECTED, tmp_path / "aside")
    ledger.settle(_results(tmp_path / "r", EXPECTED | doctored))
    assert ledger.verdict == verdict
    assert ledger.all_right == (not doctored)
    kept = [path.read_bytes() for path in (tmp_path / "aside").glob("*")]
    assert kept == list(doctored.values())


def test_a_table_that_is_not_there_is_missing(tmp_path):
    ledger = Ledger(EXPECTED, tmp_path / "aside")
    ledger.settle(_results(tmp_path, {"a_models/1.txt": b"one"}))
    assert ledger.verdict == "0 of 1 tables differ, 1 missing"
    assert not ledger.all_right


def test_a_table_is_compared_each_time_that_it_is_trained(tmp_path):
    ledger = Ledger(EXPECTED, tmp_path / "aside")
    ledger.settle(_results(tmp_path, EXPECTED), ["a_models/1.txt"])
    assert not (tmp_path / "a_models/1.txt").exists()
    ledger.settle(_results(tmp_path, {"a_models/1.txt": b"one"}))
    assert ledger.verdict == "0 of 3 tables differ, 0 missing"


@pytest.mark.parametrize(("hurt", "status"), [("1", 0), ("2", 1)], ids=["same", "other"])
def test_the_command_fails_when_a_table_differs(monkeypatch, capsys, hurt, status):
    """With a worker that does nothing but write a table."""
    code = (
        "import pathlib, sys; results = pathlib.Path(sys.argv[2]); "
        "(results / 'a_models').mkdir(parents=True); "
        f"content = '1' if 'undisturbed' in str(results) else '{hurt}'; "
        "(results / 'a_models/1.txt').write_text(content)"
    )
    fake = [sys.executable, "-c", code]
    monkeypatch.setattr(fault_jobs, "command", lambda _, *words, ranks: [*fake, *map(str, words)])
    assert harness.main(["--faults", "0", "--kinds", "kill-all"]) == status
    verdict = f"0 faults in 1 jobs, 0 restarts: {status} of 1 tables differ, {status} missing"
    assert capsys.readouterr().out.splitlines()[-1] == verdict


@pytest.fixture
def start(tmp_path):
    jobs = []

    def start_job(code):
        jobs.append(Job([sys.executable, "-c", code], tmp_path / f"job-{len(jobs)}.log"))
        return jobs[-1]

    yield start_job
    for job in jobs:
        job.kill()


def test_waiting_for_what_a_process_does_ends_with_the_process():
    words = [sys.executable, "-c", "print('last words'); raise SystemExit(3)"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        with pytest.raises(AssertionError, match=r"does not come; status 3: last words\n"):
            wait_until(lambda: False, process=process)
        assert wait_until(lambda: process.poll() is not None, process=process)


def test_a_job_that_hangs_is_a_failure_that_shows_its_output(start):
    job = start("import time; print('last words', flush=True); time.sleep(60)")
    wait_until(job.output)
    with pytest.raises(HarnessError, match=r"job-0: no end in 1 s; its output ends:\nlast words"):
        job.end(1)
    assert job.kill() == 1
    assert not job.processes()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; sys.exit(75)", "ended with status 75"),
        ("import sys; sys.exit('error: no images')", "ended with status 1, and not for a full"),
        ("import sys; sys.exit('error: No space left on device')", None),
    ],
)
def test_a_job_may_end_only_as_the_faults_allow(start, code, problem):
    job = start(code)
    job.statuses |= {1}
    if problem is None:
        assert job.end(HANG_SECONDS) == 1
        return
    with pytest.raises(HarnessError, match=problem):
        job.end(HANG_SECONDS)


def test_no_process_may_outlive_its_job(start, monkeypatch):
    monkeypatch.setattr(fault_jobs, "LEFTOVER_SECONDS", 0.5)
    job = start("import subprocess; subprocess.Popen(['sleep', '60'])")
    with pytest.raises(HarnessError, match=r"processes \[\d+\] outlived it"):
        job.end(HANG_SECONDS)


def test_an_interrupted_run_leaves_no_process_and_no_disk_behind(tmp_path):
    keep = tmp_path / "keep"
    mark = f"{MARK}={keep}/".encode()
    words = [sys.executable, harness.__file__, "--short", "--keep", keep]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: len(find_marked(mark)) >= 4)  # mpirun, its proxy and the agents
        run.send_signal(signal.SIGINT)
        assert run.wait(HANG_SECONDS) == 128 + signal.SIGINT
    assert not find_marked(mark)
    assert str(keep) not in Path("/proc/mounts").read_text()


def test_a_corrupted_checkpoint_is_another(tmp_path):
    path, content = tmp_path / "1.ckpt", bytes(1000)
    for seed in range(20):
        path.write_bytes(content)
        assert faults.corrupt(path, Random(seed))
        assert path.read_bytes() != content


@pytest.mark.needs("compiler")
def test_a_jump_moves_the_wall_clock_and_not_the_monotonic_one(tmp_path):
    clock = Clock(tmp_path)
    clock.jump_to(-3)
    code = (
        "import datetime, time; time.sleep(0.01); "
        "print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
    )
    words = [sys.executable, "-c", code]
    told = subprocess.run(words, env=clock.environment, capture_output=True, text=True, check=True)
    wall, date, monotonic = map(float, told.stdout.split())
    assert wall - time.time() == pytest.approx(-3 * 3600, abs=HANG_SECONDS)
    assert date == pytest.approx(wall, abs=HANG_SECONDS)
    assert monotonic == pytest.approx(time.monotonic(), abs=HANG_SECONDS)
