"""A results folder that goes away under a job: nothing is made in its place, nothing is lost."""

import ast
import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from gatherer_jobs import Clock, Job
from limits import HANG_SECONDS, wait_until
from worker_jobs import (
    TINY,
    command,
    events,
    slow_steps,
    start_worker,
    steps_done,
    tables,
    wait_for,
    write_campaign,
)

import nnlc
from nnlc import load_campaign
from nnlc.errors import ExitStatus
from nnlc.results.folder import ResultsFolder

PACKAGE = Path(nnlc.__file__).parent
MAKES_PARENTS = {
    "results/folder.py": "a results folder, when a job or an import opens it",
    "training/stage.py": "the images folder, by 'nnlc stage'",
    "calibration/machines.py": "the user's data folder, by 'nnlc calibrate'",
}
"""Modules that may make a folder with its parents, and which."""
WORKER = (
    *("ranks", "training", "results/journal.py", "worker.py", "results/open_jobs.py"),
    "results/history.py",
)
"""Where a job's processes live: they make folders through `ready` alone."""
MAKERS = {"ranks/leases.py": "a lease is a folder", "training/stage.py": "no job's process"}
MINUTES = 5


def makers(path):
    """Lines of a module that make a folder, and whether with its parents."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("mkdir", "makedirs", "copytree"):
                parents = any(k.arg == "parents" for k in node.keywords)
                yield node.lineno, parents or name != "mkdir"


def test_only_what_opens_a_folder_makes_its_parents():
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(parents for _, parents in makers(path))
    }
    assert found <= MAKES_PARENTS.keys()


def test_no_process_of_a_job_makes_a_folder_by_itself():
    paths = [p for place in WORKER for p in [PACKAGE / place, *(PACKAGE / place).rglob("*.py")]]
    found = {
        str(path.relative_to(PACKAGE)) for path in paths if path.is_file() and any(makers(path))
    }
    assert found <= MAKERS.keys()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def job(tmp_path, clock):
    return Job(tmp_path, clock=clock, run=f"disk_minutes = {MINUTES}").begin()


def move(job):
    away = job.results.path.with_name("away")
    job.results.path.rename(away)
    return away


def nothing(results: ResultsFolder):
    pass


def empty(results: ResultsFolder):
    results.path.mkdir()


def another_campaign(results: ResultsFolder):
    text = TINY.replace("seed = 11", "seed = 12")
    folder = results.path.with_name("elsewhere")
    folder.mkdir()
    ResultsFolder(results.path).open(load_campaign(write_campaign(folder, text)))


def a_file(results: ResultsFolder):
    results.path.write_text("mine")


def files(folder: Path) -> dict[Path, bytes]:
    if not folder.is_dir():
        return {folder: folder.read_bytes()} if folder.exists() else {}
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("replace", [nothing, empty, another_campaign, a_file])
def test_nothing_is_written_in_the_place_of_a_folder_that_is_away_and_all_of_it_when_it_is_back(
    job, replace
):
    away = move(job)
    replace(job.results)
    before = files(job.results.path)
    job.finish(*job.handed_out[0])
    for _ in range(20):
        job.tick(3)
    assert files(job.results.path) == before
    [told] = [text for text in job.progress.messages if "writing is retried" in text]
    assert str(job.results.path) in told
    if job.results.path.exists():
        job.results.path.rename(job.results.path.with_name("what came"))
    away.rename(job.results.path)
    job.tick(10)
    job.tick(10)
    assert "everything has now been written" in job.progress.messages
    assert job.train_all() == ExitStatus.DONE
    assert len(job.with_tables) == 6
    assert len(job.events("finish")) == 6


def test_a_copy_on_another_disk_is_the_same_folder(job):
    away = move(job)
    shutil.copytree(away, job.results.path)
    assert job.train_all() == ExitStatus.DONE
    assert len(job.with_tables) == 6


@pytest.mark.parametrize("finished", [True, False])
def test_a_job_whose_folder_stays_away_ends_in_words_and_as_an_error(job, finished):
    """Another start would begin a new folder, so that no chain may go on by itself."""
    move(job)
    if finished:
        job.finish(*job.handed_out[0])
    job.tick(10)
    job.tick(60 * MINUTES - 20)
    assert not job.leaving
    job.tick(20)
    assert job.leaving
    assert job.part() == ExitStatus.ERROR
    assert "is gone (moved away, or not mounted?)" in job.progress.messages[-1]
    assert "must be trained again" in job.progress.messages[-1]
    assert job.progress.messages[-1].endswith("restore the folder and start again")
    assert not job.results.path.exists()


def test_a_notice_while_the_folder_is_away_is_no_reason_to_start_again(job):
    move(job)
    job.say(0, kind="notice", signal="SIGTERM")
    assert job.part() == ExitStatus.ERROR


def test_a_notice_after_the_folder_came_back_is(job):
    away = move(job)
    job.tick(10)
    away.rename(job.results.path)
    job.say(0, kind="notice", signal="SIGTERM")
    assert job.part() == ExitStatus.UNFINISHED


def test_nothing_begins_while_the_folder_is_away(job):
    """It could not see its checkpoint and would start over."""
    away = move(job)
    job.tick(2)
    begun = job.handed_out
    job.finish(*begun[0])
    job.tick(60)
    assert job.handed_out == begun
    assert not job.leaving
    away.rename(job.results.path)
    job.tick(10)
    assert len(job.handed_out) == len(begun) + 1
    assert job.train_all() == ExitStatus.DONE


REFUSALS = [errno.ESTALE, errno.EIO, errno.EACCES, errno.ENOTCONN]


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_whatever_a_file_system_says_of_a_lost_mount_the_folder_is_named(job, number, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        job.tick(2)
        [told] = job.progress.messages
    assert str(job.results.path) in told
    assert os.strerror(number) in told


@pytest.mark.parametrize("name", ["leases", "journal", "checkpoints", "F-MNIST-sample_models"])
def test_a_part_of_a_folder_that_stands_is_made_again(job, name):
    job.finish(*job.handed_out[0])
    shutil.rmtree(job.results.path / name)
    job.results.ready(job.results.path / name)
    assert job.train_all() == ExitStatus.DONE


def test_a_real_job_goes_on_when_its_folder_was_away_for_a_while(alone, tmp_path):
    """With a checkpoint after each first step: that of the second network finds no folder."""
    campaign, results = alone
    text = campaign.read_text() + "\n[run]\ncheckpoint_minutes = 1e-9\n"
    (tmp_path / "r").mkdir()
    here, away, over = tmp_path / "r" / "x", tmp_path / "away", tmp_path / "over"
    words = command(write_campaign(tmp_path, text), "--results", here)
    second = "vars(attempt).setdefault('first', self._index) != self._index"
    when = f"{second} and not os.path.exists({str(over)!r})"
    with (tmp_path / "log").open("w") as log:
        environment = {**os.environ, **slow_steps(tmp_path, HANG_SECONDS, when=when)}
        job = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    wait_until(lambda: steps_done(tmp_path), process=job)
    wait_for(here, "finish", process=job)
    here.rename(away)
    tmp_path.joinpath("r").rmdir()  # not even its parent is made
    over.touch()
    log = tmp_path / "log"
    wait_until(lambda: "writing is retried" in log.read_text() or job.poll() is not None)
    assert job.poll() is None, log.read_text()
    assert not tmp_path.joinpath("r").exists()
    tmp_path.joinpath("r").mkdir()
    away.rename(here)
    assert job.wait(HANG_SECONDS) == 0, (tmp_path / "log").read_text()
    assert "everything has now been written" in (tmp_path / "log").read_text()
    assert tables(here) == tables(results)


def test_a_real_job_without_its_folder_leaves_nothing_in_its_place(tmp_path):
    here = tmp_path / "r"
    held = slow_steps(tmp_path, HANG_SECONDS)
    job = start_worker(write_campaign(tmp_path), "--results", here, **held)
    wait_until(lambda: steps_done(tmp_path), process=job)
    here.rename(tmp_path / "away")
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 1, output
    assert "Traceback" not in output
    assert "is gone (moved away, or not mounted?)" in output
    assert not here.exists()
    assert events(tmp_path / "away", "job")
