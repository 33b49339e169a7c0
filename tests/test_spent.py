"""What jobs spent, by the journal and by schedulers' accounting, and the price of what is left."""

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.errors import SchedulerError
from nnlc.results.spent import JobTime, job_times, total_hours
from nnlc.schedulers import commands
from nnlc.schedulers.accounting import bacct_runs, completed_runs, qstat_run, sacct_runs

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


@pytest.mark.parametrize("status", ["DONE", "UNFINISHED", "DONE_WITH_FAILURES"])
def test_a_job_that_ended_properly_without_a_network_has_lost_nothing(status, tmp_path):
    end = {"event": "end", "status": status}
    [waited] = job_times(journal(tmp_path / "a", (2, SCRIPT), (4, JOB), (10, end)), (), 1e9)
    assert parts(waited) == {
        "trained": 0,
        "starts and saves": 4 * 4,
        "lost to crashes": 0,
        "idle": 4 * 6,
    }
    [cancelled] = job_times(journal(tmp_path / "b", (2, SCRIPT), (3, end)), (), 1e9)
    assert cancelled.shares()["starts and saves"] == 1


def test_a_job_that_has_just_begun_runs_until_it_has_been_silent(tmp_path):
    folder = journal(tmp_path / "journal", (10, SCRIPT))
    [young] = job_times(folder, (), 12)
    assert (young.runs, young.shares()["starts and saves"]) == (True, 1)
    [silent] = job_times(folder, (), 1000)
    assert (silent.runs, silent.shares()["lost to crashes"]) == (False, 1)


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


# What sacct of Slurm 22.05 printed with slurmdbd and MariaDB: a job on two nodes with a GPU each,
# one that was requeued, one that was cancelled while it waited, one that failed, an array with
# --array=0-3%2 while half of it waited, one that was cancelled, and one past its walltime.
SACCT = """\
5068131|2|COMPLETED|2026-12-01T03:40:42|5|billing=2,cpu=2,gres/gpu=2,node=2
5068133|1|CANCELLED by 0|None|0|
5068134|1|REQUEUED|2026-12-01T03:40:42|5|billing=1,cpu=1,node=1
5068135|1|FAILED|2026-12-01T03:40:42|1|billing=1,cpu=1,node=1
5068132_0|1|RUNNING|2026-12-01T03:40:42|6|billing=1,cpu=1,node=1
5068132_1|1|RUNNING|2026-12-01T03:40:42|6|billing=1,cpu=1,node=1
5068132_[2-3%2]|1|PENDING|Unknown|0|
5068134|1|COMPLETED|2026-12-01T03:40:59|9|billing=1,cpu=1,node=1
11990682|1|CANCELLED by 0|2026-12-01T03:35:04|12|billing=1,cpu=1,node=1
11990683|1|TIMEOUT|2026-12-01T03:35:05|85|billing=1,cpu=1,node=1
"""
# The same jobs' --completion, without slurmdbd: standard output, then standard error.
COMPLETION = """\
7866767|1|FAILED|2026-12-01T03:41:44|0|
7866763|2|COMPLETED|2026-12-01T03:41:44|4|
7866766|1|PENDING|2026-12-01T03:41:44|5|
7866766|1|COMPLETED|2026-12-01T03:42:00|9|
7866764|1|COMPLETED|2026-12-01T03:41:57|13|
7866765|0|CANCELLED|2026-12-01T03:42:30|0|

sacct: error: Unknown type ArrayJobId: 7866764
sacct: error: Unknown type ArrayTaskId: 3
"""


def test_sacct_tells_each_run_of_a_job():
    runs = list(sacct_runs(SACCT))
    assert [(r.job, r.seconds, r.nodes, r.gpus, r.state) for r in runs] == [
        ("5068131", 5, 2, 2, "COMPLETED"),
        ("5068134", 5, 1, None, "REQUEUED"),
        ("5068135", 1, 1, None, "FAILED"),
        ("5068132_0", 6, 1, None, "RUNNING"),
        ("5068132_1", 6, 1, None, "RUNNING"),
        ("5068134", 9, 1, None, "COMPLETED"),
        ("11990682", 12, 1, None, "CANCELLED"),
        ("11990683", 85, 1, None, "TIMEOUT"),
    ]
    assert runs[5].began - runs[1].began == 17


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ("cpu=8,gres/gpu:a100=8,gres/gpu=8,node=2", 8),
        ("cpu=8,gres/gpu:a100=4,gres/gpu:v100=2", 6),
        ("cpu=8,gres/gpumem=8G", None),
    ],
)
def test_gpus_are_counted_once_whether_slurm_tells_their_types_or_not(tres, gpus):
    [run] = sacct_runs(f"7|2|COMPLETED|2026-11-30T10:05:00|200|{tres}\n")
    assert run.gpus == gpus


@pytest.mark.parametrize("waits", ["", "5068132_[2-3%2]|1|PENDING|Unknown|0|\n"])
def test_jobs_that_wait_have_no_run(waits):
    assert not list(sacct_runs(waits))


def test_completions_tell_a_requeued_job_and_neither_waiting_ones_nor_an_array_s_elements():
    runs = list(completed_runs(COMPLETION))
    assert [(r.job, r.seconds, r.nodes, r.state) for r in runs] == [
        ("7866767", 0, 1, "FAILED"),
        ("7866763", 4, 2, "COMPLETED"),
        ("7866766", 5, 1, "REQUEUED"),
        ("7866766", 9, 1, "COMPLETED"),
    ]


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
        "Exit_status": -29,
        "stime": "Mon Nov 30 10:00:00 2026",
        "resources_used": {"walltime": "26:00:05", "ncpus": 64},
        "Resource_List": {"nodect": 2, "ngpus": "8", "walltime": "30:00:00"},
    }
    run = qstat_run("7.server", about)
    assert run is not None
    assert (run.job, run.seconds, run.nodes, run.gpus) == ("7.server", 93605, 2, 8)
    assert run.state == "exit status -29"
    for none in ({}, {"stime": None}, {"resources_used": []}):
        assert qstat_run("7.server", none) is None
    for wrong in ({"stime": "never"}, {"resources_used": {"walltime": "93605"}}):
        with pytest.raises(SchedulerError, match="answered in a form that nnlc can't read"):
            qstat_run("7.server", {**about, **wrong})


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


# What sacct of Slurm 22.05 says without accounting, and while slurmdbd is down.
DISABLED = "Slurm accounting storage is disabled"
UNREACHED = """\
sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to \
host:127.0.0.1:26819: Connection refused
sacct: error: Sending PersistInit msg: Connection refused
sacct: error: Problem talking to the database: Connection refused"""


COMMAND = """\
#!/bin/sh
key=${0##*/}
case "$*" in *--completion*) key=completion ;; esac
echo "$*" >> "PLACE/$key.asked"
[ ! -e "PLACE/$key.hangs" ] || exec /bin/sleep 600
/bin/cat "PLACE/$key.out"
/bin/cat "PLACE/$key.err" >&2
read -r status < "PLACE/$key.status"
exit "$status"
"""


class Campaign:
    """A results folder with a job of Slurm, and commands that say what a test wants."""

    def __init__(self, results: Path, commands: Path) -> None:
        self.results, self.commands, self.now = results, commands, time.time()
        self.answer("completion", err="Slurm job completion is disabled\n", status=1)
        shutil.rmtree(results / "jobs", ignore_errors=True)
        (results / "jobs").mkdir()
        self.record("7", "slurm")
        self.start("7", 1000)

    def answer(self, name: str, out: str = "", err: str = "", status: int = 0) -> None:
        """Let a command say this; `completion` is sacct's --completion."""
        program = self.commands / name
        program.write_text(COMMAND.replace("PLACE", str(self.commands)))
        program.chmod(0o755)
        for key, text in (("out", out), ("err", err), ("status", f"{status}\n")):
            (self.commands / f"{name}.{key}").write_text(text)

    def record(self, job: str, scheduler: str) -> None:
        """Record a submitted job."""
        mark = f"nnlc-{scheduler}-{job}"
        about = {"mark": mark, "script": "x.sh", "scheduler": scheduler, "site": "here"}
        about |= {"time": "2026-11-30T10:00:00+00:00", "id": job, "cluster": ""}
        (self.results / "jobs" / f"{mark}.json").write_text(json.dumps(about))

    def start(self, job: str, ago: float) -> None:
        """Write down a start of a job so many seconds ago, which lived for 100 s."""
        name, begun = f"99990101T000000-{job}-{ago}", {**SCRIPT, "job": job}
        event = {**begun, "begun": self.now - ago}
        journal(self.results / "journal", (self.now - ago + 100, event), name=name)

    def moment(self, ago: float) -> str:
        """Return a time as sacct tells it."""
        return datetime.fromtimestamp(self.now - ago).isoformat(timespec="seconds")

    def spent(self) -> str:
        return " ".join(spent(self.results).split())

    def job_lines(self) -> list[str]:
        """Return what is told of each job after its times."""
        lines = [line for line in spent(self.results).splitlines() if ", 2 nodes: 100 s" in line]
        return [line.partition("100 s, ended without a word")[2] for line in lines]


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    shutil.copytree(HALF, tmp_path / "r")
    (tmp_path / "commands").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "commands"))
    return Campaign(tmp_path / "r", tmp_path / "commands")


def spent(results: Path) -> str:
    done = CliRunner().invoke(app, ["spent", str(results)])
    assert done.exit_code == 0, done.exception
    return done.output


def test_spent_shows_both_figures_of_a_job_and_what_is_left_at_the_price(campaign):
    start = campaign.moment(1000)
    campaign.answer("sacct", f"7|2|FAILED|{start}|123|gres/gpu=8\n8|1|FAILED|{start}|36|\n")
    told = campaign.spent()
    assert "3 jobs, by the journal: all" in told
    assert "2 nodes: 100 s, ended without a word; accounted 123 s on 2 nodes, FAILED" in told
    assert "2 runs by Slurm's accounting: 0.0783 node-hours, 0.2733 GPU-hours; 1 run of" in told
    assert "in hours of one trainer: " in told
    assert "left to train: " in told
    assert "at the price so far: " in told


@pytest.mark.parametrize(
    ("out", "err", "status", "words"),
    [
        ("", f"{DISABLED}\n", 1, "refused: Slurm accounting storage is disabled"),
        ("", UNREACHED, 1, "host:127.0.0.1:26819: Connection refused sacct: error: Sending"),
        ("7;2;FAILED|\n", "", 0, "answered in a form that nnlc can't read: '7;2;FAILED|'"),
        ("", "", 0, "none of these jobs is in Slurm's accounting: without slurmdbd"),
        ("", "", -11, "sacct refused: it said nothing"),
    ],
)
def test_without_accounting_the_journal_s_figures_stay(out, err, status, words, campaign):
    campaign.answer("sacct", out, err, status & 255)
    told = campaign.spent()
    assert words in told
    assert "only the journal's" in told
    assert "3 jobs, by the journal: all" in told
    assert "2 nodes: 100 s" in told


def test_a_command_that_is_missing_or_hangs_leaves_the_journal_s_figures(campaign, monkeypatch):
    monkeypatch.setattr(commands, "ANSWER_SECONDS", 0.2)
    assert "sacct: not found on this machine" in campaign.spent()
    campaign.answer("sacct")
    (campaign.commands / "sacct.hangs").touch()
    told = campaign.spent()
    assert "only the journal's: sacct did not answer within 0 s" in told
    assert "3 jobs, by the journal: all" in told


def test_where_slurm_records_only_completions_elements_of_arrays_have_none(campaign):
    campaign.start("7", 500)
    campaign.start("8_0", 300)
    campaign.record("8", "slurm")
    campaign.answer("sacct", err=f"{DISABLED}\n", status=1)
    rows = f"7|2|PENDING|{campaign.moment(1001)}|123|\n7|2|FAILED|{campaign.moment(499)}|99|\n"
    rows += f"8|1|COMPLETED|{campaign.moment(300)}|100|\n"
    complaints = "sacct: error: Unknown type ArrayJobId: 8\nsacct: error: Unknown type Array"
    campaign.answer("completion", rows, f"{complaints}TaskId: 0\n")
    assert campaign.job_lines() == [
        "; accounted 123 s on 2 nodes, REQUEUED",
        "; accounted 99 s on 2 nodes, FAILED",
        "",
    ]
    told = campaign.spent()
    assert "2 runs by Slurm's accounting: 0.1233 node-hours 1 job above is not in Slurm's" in told
    assert "accounting: without slurmdbd, Slurm tells jobs that ended, but not elements of" in told


def test_completions_of_another_cluster_are_not_asked_for(campaign):
    campaign.answer("sacct", err=f"{DISABLED}\n", status=1)
    campaign.answer("completion", f"7|2|FAILED|{campaign.moment(1000)}|123|\n")
    [path] = (campaign.results / "jobs").iterdir()
    path.write_text(path.read_text().replace('"cluster": ""', '"cluster": "other"'))
    assert "sacct refused: Slurm accounting storage is disabled" in campaign.spent()


def test_a_run_is_shown_at_the_start_that_is_nearest_to_its_own(campaign):
    campaign.start("7", 500)
    campaign.answer("sacct", f"7|2|FAILED|{campaign.moment(510)}|110|\n")
    assert campaign.job_lines() == ["", "; accounted 110 s on 2 nodes, FAILED"]
    assert "1 job above is not in Slurm's accounting" in campaign.spent()
    campaign.answer("sacct", f"7|2|FAILED|{campaign.moment(90_000)}|110|\n")  # another cluster's 7
    assert campaign.job_lines() == ["", ""]


def test_each_scheduler_of_a_folder_is_asked_for_its_own_jobs(campaign):
    campaign.start("8.server", 500)
    campaign.record("8.server", "pbs")
    campaign.answer("sacct", f"7|2|FAILED|{campaign.moment(1000)}|110|\n")
    began = datetime.fromtimestamp(campaign.now - 500).ctime()
    about = {"job_state": "R", "stime": began, "resources_used": {"walltime": "00:01:38"}}
    about |= {"Resource_List": {"nodect": 2}}
    campaign.answer("qstat", json.dumps({"Jobs": {"8.server": about}}))
    assert campaign.job_lines() == [
        "; accounted 110 s on 2 nodes, FAILED",
        "; accounted 98 s on 2 nodes, runs",
    ]
    assert (campaign.commands / "sacct.asked").read_text().endswith("--jobs=7\n")
    assert (campaign.commands / "qstat.asked").read_text().endswith(" -x -t 8.server\n")
    (campaign.commands / "qstat").unlink()
    assert "qstat: not found on this machine" in campaign.spent()
    assert campaign.job_lines()[0] == "; accounted 110 s on 2 nodes, FAILED"


def test_jobs_of_scripts_that_were_submitted_by_hand_are_told_without_asking(campaign):
    campaign.start("12", 500)
    campaign.answer("sacct", f"7|2|FAILED|{campaign.moment(1000)}|110|\n")
    assert "1 job above was not submitted by 'nnlc submit'" in campaign.spent()
    shutil.rmtree(campaign.results / "jobs")
    assert "2 jobs above were not submitted by 'nnlc submit'" in campaign.spent()


def test_a_folder_without_jobs_is_told_in_words(tmp_path):
    shutil.copytree(HALF, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "journal")
    assert "no job has begun" in spent(tmp_path / "r")
