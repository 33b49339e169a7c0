"""What jobs spent, by the journal and by schedulers' accounting, and the price of what is left."""

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.errors import SchedulerError, UnansweredError
from nnlc.results.spent import JobTime, job_times, total_hours
from nnlc.schedulers.accounting import bacct_runs, qstat_run, sacct_runs
from nnlc.schedulers.slurm import Slurm

HALF = Path(__file__).parent / "old" / "0.3.0" / "half-done"
A, B = "2026_01_02_03_04_05_000000", "2026_01_02_03_04_05_000001"
RANKS = [{"rank": rank, "node": f"n{rank // 2}", "trainers": 1} for rank in range(4)]
SCRIPT = {"event": "script", "job": "7", "site": "here", "begun": 0, "nodes": 2, "ranks": 4}
JOB = {"event": "job", "device": "cuda", "ranks": RANKS}


def at(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def journal(folder: Path, *events: tuple[float, dict], name: str = "one") -> Path:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"time": at(second), **event}) + "\n" for second, event in events]
    (folder / f"{name}.jsonl").write_text("".join(lines))
    return folder


def parts(job: JobTime) -> dict[str, float]:
    """Seconds of all trainers by what they did."""
    whole = job.seconds * job.trainers
    return {name: round(share * whole, 6) for name, share in job.shares().items()}


def test_each_second_of_a_trainer_is_trained_started_lost_or_idle(tmp_path):
    folder = journal(
        tmp_path / "journal",
        (10, SCRIPT),
        (20, JOB),
        (20, {"event": "start", "id": A}),
        (20, {"event": "start", "id": B}),
        (50, {"event": "checkpoint", "id": A, "seconds": 2, "setup_seconds": 5}),
        (60, {"event": "attempt", "id": A}),
        (70, {"event": "checkpoint", "id": B, "seconds": 0, "setup_seconds": 4}),
        (90, {"event": "finish", "id": B, "setup_seconds": 4}),
        (100, {"event": "end", "status": "UNFINISHED"}),
    )
    [job] = job_times(folder, (), 1e9)
    assert (job.job, job.began, job.ended, job.nodes, job.gpus) == ("7", 0, 100, 2, 4)
    assert parts(job) == {
        "trained": 23 + 46 + 20,
        "starts and saves": 4 * 20 + 5 + 2 + 4,
        "lost to crashes": 10,
        "idle": 400 - 89 - 91 - 10,
    }
    nodes, gpus = total_hours([job])
    assert (nodes, gpus) == pytest.approx((200 / 3600, 400 / 3600))
    assert total_hours([job], "trained")[1] == pytest.approx(89 / 3600)


def test_what_a_job_did_after_its_last_checkpoint_is_lost_if_it_ended_without_a_word(tmp_path):
    events = [
        (0, JOB),
        (10, {"event": "start", "id": A}),
        (30, {"event": "checkpoint", "id": A, "seconds": 0}),
        (40, {"event": "checkpoint", "id": A, "seconds": 0}),
    ]
    folder = journal(tmp_path / "journal", *events)
    (folder / "one.progress.json").write_text(json.dumps({"time": at(90), "under_way": {}}))
    [lost] = job_times(folder, (), 200)
    assert (lost.seconds, lost.trained, lost.lost) == (90, 30, 50)
    [runs] = job_times(folder, {"one"}, 200)
    assert (runs.seconds, runs.trained, runs.lost, runs.runs) == (200, 190, 0, True)


def test_a_job_that_no_trainer_survived_is_lost_whole(tmp_path):
    folder = journal(tmp_path / "journal", (10, SCRIPT), (40, {"event": "end", "status": "ERROR"}))
    [job] = job_times(folder, (), 1e9)
    assert (job.seconds, job.nodes, job.shares()["lost to crashes"]) == (40, 2, 1.0)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_journals_of_every_version_are_counted(version, tmp_path):
    shutil.copytree(HALF.parent.parent / version / "half-done", tmp_path / "r")
    jobs = job_times(tmp_path / "r" / "journal", (), time.time())
    assert len(jobs) == 2
    assert jobs[0].trained > 0
    assert jobs[0].nodes == 1


def test_a_damaged_journal_is_counted_as_far_as_it_goes(tmp_path):
    wrong = [None, "x", [], {}, -1, 1e400, True]
    events = [(5.0, {"event": "script", "begun": w, "nodes": w, "job": w}) for w in wrong]
    events += [(6.0, {"event": "job", "ranks": w, "device": w}) for w in wrong]
    events += [(7.0, {"event": "start", "id": w}) for w in wrong]
    events += [(8.0, {"event": "checkpoint", "id": None, "seconds": w}) for w in wrong]
    events += [(9.0, {"event": "finish", "id": "x", "setup_seconds": w}) for w in wrong]
    [job] = job_times(journal(tmp_path / "journal", *events), (), 1e9)
    assert sum(job.shares().values()) == pytest.approx(1)


SACCT = """\
7|2|REQUEUED|2026-11-30T10:00:00|100|billing=8,cpu=8,gres/gpu=8,node=2
7|2|COMPLETED|2026-11-30T10:05:00|200|billing=8,cpu=8,gres/gpu=8,gres/gpu:a100=8,node=2
8_3|1|CANCELLED by 1000|2026-11-30T10:05:00|20|cpu=8,node=1
8_[4-9]|1|PENDING|Unknown|0|
9|1|RUNNING|2026-11-30T10:05:00|20|cpu=8,node=1
sacct: error: Unknown type ArrayJobId: 4723744
"""


def test_sacct_tells_each_run_of_a_job():
    runs = list(sacct_runs(SACCT))
    assert [(r.job, r.seconds, r.nodes, r.gpus, r.state) for r in runs] == [
        ("7", 100, 2, 8, "REQUEUED"),
        ("7", 200, 2, 8, "COMPLETED"),
        ("8_3", 20, 1, None, "CANCELLED"),
        ("9", 20, 1, None, "RUNNING"),
    ]
    assert runs[1].began - runs[0].began == 300
    assert not list(sacct_runs("")) + list(sacct_runs("8_[4-9]|1|PENDING|Unknown|0|\n"))


# The form is that of IBM's manual page of bacct.
BACCT = """\
Accounting information about jobs that are:
  - submitted by all users.
------------------------------------------------------------------------------

Job <7>, Job Name <paper>, User <u>, Status <EXIT>, Queue <batch>, Command <#!/bin/bash>
Mon Nov 30 10:00:00 2026: Submitted from host <login1>, CWD <$HOME>;
Mon Nov 30 10:01:00 2026: Dispatched 84 Task(s) on Host(s) <42*n01> <42*n02>, Effective \
RES_REQ <select[type == any ] >;
Mon Nov 30 12:01:00 2026: Completed <exit>; TERM_RUNLIMIT: job killed after reaching LSF run limit.

Accounting information about this job:
     CPU_T     WAIT     TURNAROUND   STATUS     HOG_FACTOR    MEM    SWAP
    123.45       60           7260     exit         0.0006     2M     25M
------------------------------------------------------------------------------

Job <8[2]>, User <u>, Project <p>, Status <DONE>, Queue <batch>, Command <x>
Mon Nov 30 10:00:00: Submitted from host <login1>, CWD <$HOME>;
Mon Nov 30 10:00:10: [2] dispatched to <a01n01>;
Mon Nov 30 10:00:30: Completed <done>.

Accounting information about this job:
     CPU_T     WAIT     TURNAROUND   STATUS     HOG_FACTOR    MEM    SWAP
      0.04       10             30     done         0.0006     2M     25M
------------------------------------------------------------------------------
"""


def test_bacct_tells_each_job_that_ended():
    runs = list(bacct_runs(BACCT))
    assert [(r.job, r.seconds, r.nodes, r.state) for r in runs] == [
        ("7", 7200, 2, "EXIT"),
        ("8[2]", 20, 1, "DONE"),
    ]
    assert datetime.fromtimestamp(runs[0].began) == datetime(2026, 11, 30, 10, 1)
    assert not list(bacct_runs("No matching job found\n"))


def test_qstat_tells_a_job_that_ended():
    about = {
        "job_state": "F",
        "stime": "Mon Nov 30 10:00:00 2026",
        "resources_used": {"walltime": "26:00:05", "ncpus": 64},
        "Resource_List": {"nodect": 2, "ngpus": "8", "walltime": "30:00:00"},
    }
    run = qstat_run("7.server", about)
    assert run is not None
    assert (run.job, run.seconds, run.nodes, run.gpus) == ("7.server", 93605, 2, 8)
    for wrong in ({}, {"stime": None}, {"resources_used": []}, {**about, "stime": "never"}):
        assert qstat_run("7.server", wrong) is None


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (sacct_runs, "JobID|Nodes\n7|2\n"),
        (sacct_runs, "7|two|COMPLETED|2026-11-30T10:00:00|long|\n"),
        (sacct_runs, "7|2|COMPLETED|30 Nov|100|\n"),
        (bacct_runs, "Job <7>, User <u>\nMonday: dispatched to <a>\n"),
    ],
)
def test_accounting_in_another_form_is_refused_with_its_words(read, said):
    with pytest.raises(SchedulerError, match="answered in a form that nnlc can't read"):
        list(read(said))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A results folder with a submitted job, and Slurm's answers to squeue and sacct."""
    shutil.copytree(HALF, tmp_path / "r")
    results = tmp_path / "r"
    shutil.rmtree(results / "jobs", ignore_errors=True)
    (results / "jobs").mkdir()
    record = {"mark": "nnlc-1", "script": "x.sh", "scheduler": "slurm", "site": "slurm"}
    record |= {"time": "2026-11-30T10:00:00+00:00", "id": "7", "cluster": ""}
    (results / "jobs" / "nnlc-1.json").write_text(json.dumps(record))
    now = time.time()
    begun = {**SCRIPT, "begun": now - 1000}
    journal(results / "journal", (now - 900, begun), name="99990101T000000-x-1")
    answers: dict[str, object] = {"squeue": ""}

    def run(_self, *words: str, **_others: object) -> str:
        answer = answers.get("--completion" if "--completion" in words else words[0], "")
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(Slurm, "_run", run)
    return results, answers


def spent(results: Path) -> str:
    done = CliRunner().invoke(app, ["spent", str(results)])
    assert done.exit_code == 0, done.exception
    return " ".join(done.output.split())


def test_spent_shows_both_figures_of_a_job_and_what_is_left_at_the_price(folder):
    results, answers = folder
    start = datetime.now().isoformat(timespec="seconds")
    answers["sacct"] = f"7|2|FAILED|{start}|123|gres/gpu=8\n8|1|FAILED|{start}|36|\n"
    told = spent(results)
    assert "3 jobs, by the journal: all" in told
    assert "2 nodes: 100 s, ended without a word; accounted 123 s on 2 nodes, FAILED" in told
    assert "2 runs by Slurm's accounting: 0.0783 node-hours, 0.2733 GPU-hours; 1 run of" in told
    assert "hours measured, " in told
    assert "left to train: " in told
    assert "at the price so far: " in told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SchedulerError("sacct refused: Slurm accounting storage is disabled"), "is disabled"),
        (SchedulerError("sacct: not found on this machine"), "not found on this machine"),
        (UnansweredError("sacct did not answer within 60 s"), "did not answer"),
        ("7;2;FAILED|\n", "answered in a form that nnlc can't read: '7;2;FAILED|'"),
        ("", "accounting has none of these jobs"),
    ],
)
def test_without_accounting_the_journal_s_figures_stay(answer, words, folder):
    results, answers = folder
    answers["sacct"] = answer
    answers["--completion"] = SchedulerError("sacct refused: no such plugin")
    told = spent(results)
    assert words in told
    assert "only the journal's" in told
    assert "3 jobs, by the journal: all" in told
    assert "2 nodes: 100 s" in told


def test_where_slurm_records_only_completions_of_jobs_these_are_shown(folder):
    results, answers = folder
    answers["sacct"] = SchedulerError("sacct refused: Slurm accounting storage is disabled")
    answers["--completion"] = "7|2|FAILED|2026-11-30T10:00:00|123|\n"
    assert "accounted 123 s on 2 nodes" in spent(results)


def test_a_folder_without_jobs_is_told_in_words(tmp_path):
    shutil.copytree(HALF, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "journal")
    assert "no job has begun" in spent(tmp_path / "r")
