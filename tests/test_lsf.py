"""Rendered scripts on a stand-in for Summit's LSF: what they do there, from bsub to the tables."""

import json
import sys
import time
from pathlib import Path

import pytest
from limits import HANG_SECONDS, let_pass, same_length, wait_until
from lsf_cluster import Lsf
from typer.testing import CliRunner
from worker_jobs import (
    TWO,
    accounted,
    events,
    run_worker,
    slow_steps,
    steps_done,
    tables,
    wait_for,
    write_campaign,
)

from nnlc.cli import app
from nnlc.launching import render
from nnlc.launching import submit as submitting
from nnlc.schedulers.lint import lint_script
from nnlc.system.environment import DETERMINISM


@pytest.fixture
def lsf(tmp_path):
    cluster = Lsf(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def at_once(monkeypatch):
    """A job that ended quickly may start itself again."""
    monkeypatch.setattr(render, "LEAST_SECONDS", 0)


def nnlc(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
    return done.output


def told(lsf: Lsf, job: str, count: int) -> list[dict]:
    """What so many recorders of a job tell of themselves."""

    def found() -> list[Path]:
        there = sorted(Path(lsf.folder, "record").glob(f"{job}.*.json"))
        return there if len(there) >= count else []

    return [json.loads(path.read_text()) for path in wait_until(found, lsf.logs)]


def test_ranks_get_the_script_s_words_and_variables_and_no_tmpdir(lsf):
    record = lsf.recorder()
    python = str(lsf.folder / "python-recorder")
    script = lsf.render("smoke", nodes=2, python=python, results="results/it's $HERE")
    assert lint_script(script.read_text(), lsf.site()) == []
    job = lsf.submit(script, **record, STATUS="0")
    lsf.wait(job)
    ranks = told(lsf, job, 4)
    assert lsf.states(job) == ["DONE"], lsf.logs()
    assert {rank["env"]["PMI_RANK"] for rank in ranks} == {"0", "1", "2", "3"}
    for rank in ranks:
        words = ["-m", "nnlc.worker", "smoke", "--results", "results/it's $HERE", "--job", job]
        *first, begun_key, begun, _, nodes, _, site, left_key, left, _, device = rank["argv"]
        assert (first, nodes, site, device) == (words, "2", "summit-here", "cpu")
        assert (begun_key, left_key) == ("--begun", "--time-left")
        assert 0 <= time.time() - int(begun) < HANG_SECONDS
        assert 0 < int(left) <= 120  # what the script has taken is gone
        assert rank["env"].items() >= DETERMINISM.items()
        assert "TMPDIR" not in rank["env"]


@pytest.mark.parametrize("status", [0, 1, 3, 75])
def test_a_job_ends_as_its_ranks_and_only_an_unfinished_one_has_a_next(lsf, at_once, status):
    record = lsf.recorder()
    script = lsf.render("smoke", python=str(lsf.folder / "python-recorder"))
    job = lsf.submit(script, **record, STATUS=str(status))
    lsf.wait(job)
    first, *others = lsf.jobs()
    assert first[2:] == (("EXIT", str(status)) if status else ("DONE", "-"))
    assert bool(others) == (status == 75)


def test_an_unfinished_job_that_got_nothing_done_has_no_next(lsf, monkeypatch):
    monkeypatch.setattr(render, "LEAST_SECONDS", 60_000)
    record = lsf.recorder()
    script = lsf.render("smoke", python=str(lsf.folder / "python-recorder"))
    job = lsf.submit(script, **record, STATUS="75")
    lsf.wait(job)
    assert lsf.jobs() == [(job, "0", "EXIT", "75")]


@pytest.mark.parametrize("reach", ["all", "launch"])
def test_the_notice_reaches_every_rank_once_and_the_next_job_waits_for_the_end(lsf, at_once, reach):
    """Whether LSF's signal comes to the ranks, or to the script and its jsrun alone."""
    record = lsf.recorder()
    script = lsf.render("smoke", python=str(lsf.folder / "python-recorder"))
    job = lsf.submit(script, **record, LSF_STANDIN_REACH=reach)
    told(lsf, job, 2)
    lsf.pass_time(109)
    let_pass(0.5)
    assert lsf.states(job) == ["RUN"]
    lsf.pass_time(2)
    lsf.wait(job)
    assert all(set(rank["heard"]) == {23} for rank in told(lsf, job, 2))  # SIGURG
    (_, _, stat, code), (following, _, _, _) = lsf.jobs()
    assert (stat, code) == ("EXIT", "75")
    form = "dependency delimiter=','"
    assert lsf.run("bjobs", "-a", "-noheader", "-o", form, following) == f"ended({job})\n"
    assert len(told(lsf, following, 2)) == 2


def test_each_element_of_an_array_gets_its_own_number_and_goes_on_alone(lsf, at_once):
    record = lsf.recorder()
    python = str(lsf.folder / "python-recorder")
    script = lsf.render("smoke", 1, python=python, elements=3, first_element=4, here=2)
    job = lsf.submit(script, **record)
    words = [rank["argv"] for rank in told(lsf, job, 2)]
    assert [w[w.index("--elements") : w.index("--site")] for w in words] == [
        ["--elements", "3", "--element", "4"],
        ["--elements", "3", "--element", "5"],
    ]
    lsf.run("bkill", "-s", "URG", f"{job}[2]")
    wait_until(lambda: len(lsf.jobs()) == 3 and lsf.states(job) == ["RUN", "EXIT"], lsf.jobs)
    following, index, *_ = lsf.jobs()[-1]
    assert index == "2"
    [again] = told(lsf, following, 1)
    ours = [w[w.index("--elements") : w.index("--site")] for w in (again["argv"], words[1])]
    assert ours[0] == ours[1]


def test_the_images_are_copied_to_each_node_s_own_disk_by_jsrun(lsf):
    record = lsf.recorder()
    images = lsf.folder / "the images"
    (images / "cifar").mkdir(parents=True)
    (images / "cifar" / "one.bin").write_bytes(b"pixels")
    (lsf.folder / "node's own").mkdir()
    python = str(lsf.folder / "python-recorder")
    script = lsf.render("paper", nodes=2, python=python, images=str(images))
    job = lsf.submit(script, **record, STATUS="0")
    lsf.wait(job)
    staged = lsf.folder / "node's own" / "nnlc-images"
    assert (staged / "cifar" / "one.bin").read_bytes() == b"pixels", lsf.logs()
    for rank in told(lsf, job, 4):
        assert rank["argv"][rank["argv"].index("--images") + 1] == str(staged)


def test_images_that_cant_be_copied_end_the_job_before_any_rank_starts(lsf):
    record = lsf.recorder()
    python = str(lsf.folder / "python-recorder")
    script = lsf.render("paper", python=python, images=str(lsf.folder / "none"))
    job = lsf.submit(script, **record, STATUS="0")
    lsf.wait(job)
    assert lsf.jobs() == [(job, "0", "EXIT", "1")]
    assert not list(Path(record["RECORD"]).iterdir())
    assert "could not be copied" in (lsf.folder / f"paper-{job}.err").read_text()


OF_THE_USER = {
    "LSB_DEFAULTQUEUE": "debug",
    "LSB_DEFAULTPROJECT": "OTHER",
    "LSB_JOBINDEX": "7",
    "BSUB_QUIET": "Y",
    "BSUB_STDERR": "Y",
    "BSUB_CHK_RESREQ": "Y",
    "LSB_BJOBS_FORMAT": "stat",
}


@pytest.mark.parametrize("conf", ["", "LSB_BJOBS_DISPLAY_ENH=Y\n"])
def test_submit_status_and_cancel_see_every_element_whatever_the_user_and_the_site_have_set(
    lsf, monkeypatch, conf
):
    lsf.queue.mkdir()
    (lsf.queue / "lsf.conf").write_text(conf)
    for name, value in (lsf.environment | lsf.recorder() | OF_THE_USER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(lsf.folder)
    monkeypatch.setattr(submitting, "LEAVE_SECONDS", HANG_SECONDS)
    lsf.site(1)  # writes its file

    site = Path("site.toml")
    site.write_text(f'python = "{lsf.folder / "python-recorder"}"\n{site.read_text()}')
    place = ["smoke", "--site", "site.toml", "--results", "r", "--elements", 2]
    said = nnlc("submit", *place)
    assert "job 101: " in said
    assert "LSB_DEFAULTQUEUE=debug" in said
    told(lsf, "101", 2)
    assert lsf.run("bjobs", "-noheader", "-o", "queue delimiter=','", "101") == "batch\nbatch\n"
    assert "job 101: 2 RUN" in nnlc("status", "r")
    nnlc("submit", *place, status=1)
    assert "cancelled 101" in nnlc("cancel", "r")
    assert [stat for _, _, stat, _ in lsf.jobs()] == ["EXIT", "EXIT"]


def test_a_chain_of_a_script_submitted_by_hand_is_written_down_whatever_was_exported(lsf, at_once):
    record = lsf.recorder()
    script = lsf.render("smoke", python=str(lsf.folder / "python-recorder"))
    asked = {name: OF_THE_USER[name] for name in ("BSUB_QUIET", "LSB_DEFAULTQUEUE")}
    assert lsf.run("bsub", script, **record, **asked, STATUS="75") == ""
    lsf.wait("101")
    following = (lsf.folder / "the job.sh.jobs").read_text().splitlines()[0]
    assert following == "Job <102> is submitted to default queue <batch>."


# Real ranks, real images, one network a rank. One job stands still at its first steps.


def slow_job(folder: Path, job: str, trainers: str = "") -> dict[str, str]:
    when = f"os.environ['LSB_JOBID'] == {job!r}"
    return slow_steps(folder, HANG_SECONDS, when=when, trainers=trainers)


KILLS_TRAINERS = """
import os, platform
if platform.node() == "node0001":
    os.kill(os.getpid(), 9)
"""
"""Code for trainers: none lives on the first node of each job."""


@pytest.fixture(scope="module")
def two_networks(tmp_path_factory):
    """A campaign, and its tables from a run without any scheduler."""
    folder = tmp_path_factory.mktemp("two")
    campaign, results = write_campaign(folder, TWO), folder / "results"
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 0, job.stdout + job.stderr
    return campaign, tables(results)


@pytest.mark.needs("root")
def test_a_bad_node_and_a_walltime_too_short_are_survived_by_a_chain_to_the_same_bytes(
    lsf, two_networks, at_once
):
    """The first job loses a node. The next has a spare one, and the one after it too."""
    campaign, expected = two_networks
    results = lsf.folder / "results here"
    script = lsf.render(campaign, 1, nodes=2, results=str(results), python=sys.executable)
    lsf.submit(script, **slow_job(lsf.folder, "102", KILLS_TRAINERS))
    lsf.wait("101")
    assert [event["host"] for event in events(results, "node")] == ["node0001"], lsf.logs()
    wait_until(lambda: steps_done(lsf.folder) == 2, lsf.logs)
    lsf.pass_time(111)
    lsf.wait("102")
    saved = {event["id"] for event in events(results, "checkpoint")}
    assert len(saved) == 2
    lsf.wait("103")
    ends = [("101", "0", "EXIT", "75"), ("102", "0", "EXIT", "75"), ("103", "0", "DONE", "-")]
    assert lsf.jobs() == ends, lsf.logs()
    assert {event["id"] for event in events(results, "resume")} == saved
    found = [(event["nodes"], event["ranks"]) for event in events(results, "script")]
    assert found == [(2, 2), (3, 2), (3, 2)]
    assert tables(results) == expected


def test_an_array_with_a_killed_element_is_finished_by_submitting_it_again_to_the_same_bytes(
    lsf, two_networks, monkeypatch
):
    campaign, expected = two_networks
    for name, value in (lsf.environment | slow_job(lsf.folder, "101")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(lsf.folder)
    lsf.site(1)  # writes its file
    results = lsf.folder / "results here"
    place = [campaign, "--site", "site.toml", "--results", results, "--python", sys.executable]
    nnlc("submit", *place, "--elements", 2)
    job, again = "101", "102"
    wait_for(results, "start", 2)
    lsf.run("bkill", job)
    lsf.wait(job)
    assert [stat for _, _, stat, _ in lsf.jobs()] == ["EXIT", "EXIT"]  # killed: no next job
    assert len(tables(results)) < len(expected)
    nnlc("submit", *place, "--elements", 2)
    lsf.wait(again)
    assert lsf.states(again) == ["DONE", "DONE"], lsf.logs()
    assert tables(results) == expected
    started = {event["rank"] for event in events(results, "start")}
    assert started == {0}
    # What was spent, beside LSF's figures.
    both = accounted(nnlc("spent", results))
    states = {"101[1]": "EXIT", "101[2]": "EXIT", "102[1]": "DONE", "102[2]": "DONE"}
    assert {id_: state for id_, _, _, state in both} == states
    assert all(same_length(ours, theirs) for _, ours, theirs, _ in both), both
