"""Rendered scripts on a stand-in for PBS Professional: from qsub to the tables."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from limits import HANG_SECONDS, same_length, wait_until
from pbs_cluster import STANDINS, Pbs
from rendered_scripts import shipped
from site_files import GOLDEN
from typer.testing import CliRunner
from worker_jobs import (
    TWO,
    accounted,
    events,
    processes,
    run_worker,
    slow_steps,
    steps_done,
    tables,
    wait_for,
    write_campaign,
)

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.launching import render as rendering
from nnlc.launching import submit as submitting
from nnlc.launching.render import Request, render_script
from nnlc.ranks.mpi import launcher_rank
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import Site, load_site
from nnlc.system.environment import DETERMINISM

SITE = """
extends = "pbs"
name = "pbs-here"
device = "cpu"
gpus_per_node = {ranks}
cores_per_rank = 2
exclusive = true
python = "{python}"
launcher_options = ["--depth=2", "--cpu-bind=depth"]
"""
# Stands where Python would: tells what it was given, and ends with $STATUS when it hears a signal,
# or at once.
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, signal, sys, time
told = pathlib.Path(os.environ["RECORD"], f"{os.environ['PBS_JOBID']}.{os.environ['PMI_RANK']}")
heard = []
for name in ("URG", "TERM", "USR1"):
    signal.signal(getattr(signal, "SIG" + name), lambda number, frame: heard.append(number))
def tell():
    words = {"argv": sys.argv[1:], "env": dict(os.environ), "heard": heard, "at": os.getcwd()}
    pathlib.Path(f"{told}.new").write_text(json.dumps(words))
    pathlib.Path(f"{told}.new").rename(f"{told}.json")
tell()
while not heard and "STATUS" not in os.environ:
    time.sleep(0.02)
time.sleep(0.1 if os.environ["PMI_RANK"] == "0" else 0.4) # rank 0 leaves first
tell()
sys.exit(int(os.environ.get("STATUS", "75")))
"""


class Here(Pbs):
    """The stand-in, with sites and programs for our scripts."""

    def site(self, ranks: int = 1, python: object = sys.executable, more: str = "") -> Site:
        path = self.folder / "site.toml"
        path.write_text(SITE.format(ranks=ranks, python=python) + more)
        return load_site(path)

    def render(self, campaign: object, site: Site, **words: object) -> Path:
        path = self.folder / "the job.sh"
        request = Request(campaign=str(campaign), script=str(path), **words)
        path.write_text(render_script(request, site))
        assert lint_script(path.read_text(), site) == []
        return path

    def login(self, **variables: str) -> None:
        """Set variables of every job: the user's login does."""
        self.environment |= variables
        self.environment["STANDIN_PBS_LOGIN"] = ":".join(["PATH", *variables])

    def recorder(self, **variables: str) -> Path:
        """A program that stands where Python would, and tells of itself."""
        program, record = self.folder / "recorder", self.folder / "record"
        program.write_text(RECORDER)
        program.chmod(0o755)
        record.mkdir(exist_ok=True)
        self.login(RECORD=str(record), **variables)
        return program

    def told(self, job: str, count: int) -> list[dict]:
        """What so many recorders of a job tell of themselves."""

        def found() -> list[Path]:
            there = sorted((self.folder / "record").glob(f"{job.replace('[', '[[]')}.*.json"))
            return there if len(there) >= count else []

        return [json.loads(path.read_text()) for path in wait_until(found, self.logs)]

    def commands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let nnlc's commands in this process find this server."""
        monkeypatch.setattr(submitting, "LEAVE_SECONDS", HANG_SECONDS)
        monkeypatch.chdir(self.folder)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


def nnlc(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
    return f"{done.output}{done.exception or ''}"


@pytest.fixture
def pbs(tmp_path):
    cluster = Here(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def at_once(monkeypatch):
    """A job that ended quickly may start itself again."""
    monkeypatch.setattr(rendering, "LEAST_SECONDS", 0)


@pytest.mark.parametrize("here", [1, 3])
@pytest.mark.parametrize("elements", [1, 3])
@pytest.mark.parametrize("name", ["pbs", "polaris", "derecho"])
def test_qsub_takes_the_rendered_script_of_every_site(name, elements, here, monkeypatch):
    monkeypatch.syspath_prepend(STANDINS)
    check = importlib.import_module("pbs_options").check
    sites = importlib.import_module("pbs_site").SITES
    site = shipped(name)
    words = {"elements": elements, "here": min(here, elements), "script": "/a b/job.sh"}
    script = render_script(Request(campaign="paper", logs="/my logs", **words), site)
    job = check([], script, "job.sh", sites[name])
    assert (job.output, len(job.chunks)) == ("/my logs/", site.nodes)
    assert job.indices == (list(range(here)) if min(here, elements) > 1 else [])
    assert job.resources["place"] == "scatter"


@pytest.mark.parametrize("name", ["pbs", "polaris", "derecho"])
def test_qsub_takes_the_golden_scripts_of_every_site(name, monkeypatch):
    monkeypatch.syspath_prepend(STANDINS)
    check = importlib.import_module("pbs_options").check
    sites = importlib.import_module("pbs_site")
    site = sites.SITES[name]
    if name == "pbs":  # the queue that the user's site file names
        site = replace(site, queues={**site.queues, "gpu": sites.Queue()})
    for path in sorted(GOLDEN.glob(f"{name}-*.sh")):
        job = check([], path.read_text(), "job.sh", site)
        kind = path.stem.split("-")[1]
        assert len(job.indices) == {"array": 3, "paper": 12}.get(kind, 0)


def test_ranks_get_the_script_s_words_and_choose_by_their_number_on_the_node(pbs):
    site = pbs.site(2, pbs.recorder(STATUS="0"))
    place = "results/it's $HERE"
    script = pbs.render("smoke", site, nodes=2, python=str(site.python), results=place)
    job = pbs.submit(script)
    assert pbs.wait(job)["Exit_status"] == 0, pbs.logs()
    ranks = pbs.told(job, 4)
    found = sorted(launcher_rank(rank["env"]) for rank in ranks)
    assert found == [("PALS", 0, 4, 0), ("PALS", 1, 4, 1), ("PALS", 2, 4, 0), ("PALS", 3, 4, 1)]
    for rank in ranks:
        words = ["-m", "nnlc.worker", "smoke", "--results", place, "--job", job, "--begun"]
        *first, _, nodes_key, nodes, _, name, left_key, left, _, device = rank["argv"]
        assert (first, name, device) == (words, "pbs-here", "cpu")
        assert (nodes_key, nodes, left_key) == ("--nodes", "2", "--time-left")
        assert 0 < int(left) <= 120
        assert rank["env"].items() >= DETERMINISM.items()
        assert rank["at"] == str(pbs.folder)


@pytest.mark.parametrize("status", [0, 1, 3, 75])
def test_a_job_ends_as_its_ranks_and_only_an_unfinished_one_has_a_next(pbs, at_once, status):
    site = pbs.site(2, pbs.recorder(STATUS=str(status)))
    job = pbs.submit(pbs.render("smoke", site, python=str(site.python)))
    assert pbs.wait(job)["Exit_status"] == status, pbs.logs()  # not that of a rank killed early
    others = pbs.jobs().keys() - {job}
    assert bool(others) == (status == 75)
    if others:
        assert pbs.wait("102.pbs-01")["depend"] == f"afterany:{job}"
        assert (pbs.folder / "the job.sh.jobs").read_text().startswith("102.pbs-01\n")


@pytest.mark.parametrize("ends", ["qdel", "walltime"])
def test_sigterm_saves_and_is_followed_by_a_next_job_only_at_the_walltime(pbs, at_once, ends):
    site = pbs.site(1, pbs.recorder())
    script = pbs.render("smoke", site, python=str(site.python))
    if ends == "walltime":  # the script's own clock can't be changed
        shorter = script.read_text().replace('"$((60 * walltime_minutes))"', "60")
        script.write_text(shorter)
    job = pbs.submit(script)
    pbs.told(job, 1)
    if ends == "qdel":
        pbs.run("qdel", job)
    else:
        pbs.pass_time(7201)
    pbs.wait(job)
    assert pbs.told(job, 1)[0]["heard"]
    assert ("102.pbs-01" in pbs.jobs()) == (ends == "walltime")


def test_an_element_gets_its_number_and_goes_on_alone(pbs, at_once):
    site = pbs.site(1, pbs.recorder())
    words = {"elements": 4, "first_element": 2, "here": 2}
    pbs.submit(pbs.render("smoke", site, python=str(site.python), **words))
    told = [pbs.told(f"101[{index}].pbs-01", 1)[0]["argv"] for index in (0, 1)]
    assert [words[words.index("--elements") :][:4] for words in told] == [
        ["--elements", "4", "--element", "2"],
        ["--elements", "4", "--element", "3"],
    ]
    for job in ("101[1].pbs-01", "102.pbs-01"):  # the next one's next is of this element too
        pbs.told(job, 1)
        pbs.run("qsig", "-s", "URG", job)
        pbs.wait(job)
    for job in ("102.pbs-01", "103.pbs-01"):
        again = pbs.told(job, 1)[0]["argv"]
        here = slice(again.index("--elements"), again.index("--time-left"))
        assert again[here] == told[1][here]
    assert pbs.state("101[0].pbs-01") == "R"


def test_where_nodes_cant_submit_a_chain_waits_in_the_queue_and_is_cancelled_as_one(
    pbs, monkeypatch
):
    pbs.configure(submit_from_nodes=False)
    pbs.site(1, pbs.recorder(), "links_at_once = 3\n")
    pbs.commands(monkeypatch)
    results = ResultsFolder(Path("r"))
    results.open(load_campaign("smoke"))
    Journal(results.journal_folder).write("node", host="nid001", site="pbs-here", reason="it ended")
    place = ["smoke", "--site", "site.toml", "--results", "r", "--elements", 2]
    told = nnlc("submit", *place)
    assert "no rank starts on nid001" in told
    assert "each job asks for 2 nodes, of which one is spare" in told
    jobs = [f"{number}[].pbs-01" for number in (101, 102, 103)]
    assert all(f"job {job}: " in told for job in jobs)
    assert [pbs.jobs()[job].get("depend") for job in jobs] == [
        None,
        f"afterany:{jobs[0]}",
        f"afterany:{jobs[1]}",
    ]
    here = [pbs.told(f"101[{index}].pbs-01", 1)[0]["env"]["STANDIN_PBS_NODE"] for index in (0, 1)]
    assert here == ["nid002", "nid003"]  # of four nodes
    assert "job 101[].pbs-01: 2 R" in nnlc("status", "r")
    assert "job 103[].pbs-01: 2 H" in nnlc("status", "r")
    assert "are in the queue already" in nnlc("submit", *place, status=1)
    assert jobs[0] in nnlc("cancel", "r")
    assert {pbs.wait(job, "F").get("run_count", 0) for job in jobs[1:]} == {0}
    assert len(list((pbs.folder / "r" / "logs").iterdir())) == 2


# Real ranks, real images, one network a rank. One job stands still at its first steps.


@pytest.fixture(scope="module")
def two_networks(tmp_path_factory):
    """A campaign, and its tables from a run without any scheduler."""
    folder = tmp_path_factory.mktemp("two")
    campaign, results = write_campaign(folder, TWO), folder / "results"
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 0, job.stdout + job.stderr
    return campaign, tables(results)


KILLS_TRAINERS = """
import os, platform
if platform.node() == "nid001":
    os.kill(os.getpid(), 9)
"""
"""Code for trainers: none lives on the first node of each job."""


@pytest.mark.needs("root")
def test_a_bad_node_and_a_walltime_too_short_are_survived_by_a_chain_to_the_same_bytes(
    pbs, two_networks, at_once
):
    """The first job loses a node. The next has a spare one, and the one after it too."""
    campaign, expected = two_networks
    results = pbs.folder / "results here"
    second = "os.environ['PBS_JOBID'].startswith('102')"
    pbs.login(**slow_steps(pbs.folder, HANG_SECONDS, when=second, trainers=KILLS_TRAINERS))
    site = pbs.site()
    script = pbs.render(campaign, site, nodes=2, results=str(results), python=sys.executable)
    script.write_text(script.read_text().replace('"$((60 * walltime_minutes))"', "60"))
    assert pbs.wait(pbs.submit(script))["Exit_status"] == 75, pbs.logs()
    assert [event["host"] for event in events(results, "node")] == ["nid001"], pbs.logs()
    wait_until(lambda: steps_done(pbs.folder) == 2, pbs.logs)
    pbs.pass_time(7201)
    pbs.wait("102.pbs-01")
    saved = {event["id"] for event in events(results, "checkpoint")}
    assert len(saved) == 2, pbs.logs()
    assert pbs.wait("103.pbs-01")["Exit_status"] == 0, pbs.logs()
    assert {event["id"] for event in events(results, "resume")} == saved
    found = [(event["nodes"], event["ranks"]) for event in events(results, "script")]
    assert found == [(2, 2), (3, 2), (3, 2)]
    assert tables(results) == expected


def test_a_cancelled_array_that_is_submitted_again_and_loses_a_node_ends_with_the_same_bytes(
    pbs, two_networks, monkeypatch
):
    campaign, expected = two_networks
    go = pbs.folder / "go"
    slow = slow_steps(pbs.folder, HANG_SECONDS, when=f"not os.path.exists({str(go)!r})")
    pbs.login(**slow)
    pbs.site()
    pbs.commands(monkeypatch)
    place = [campaign, "--site", "site.toml", "--results", "r", "--elements", 2]
    nnlc("submit", *place)
    wait_for(Path("r"), "start", 2)
    assert "cancelled 101[].pbs-01" in nnlc("cancel", "r")
    assert len(tables(Path("r"))) < len(expected)
    nnlc("submit", *place)
    wait_for(Path("r"), "start", 4)
    lost = "102[0].pbs-01"
    pbs.lose_node(pbs.jobs()[lost]["exec_host"].partition("/")[0])
    wait_until(lambda: not processes("nnlc.worker", f"{pbs.server}:{lost}"))
    go.touch()
    pbs.pass_time(301)  # until PBS runs it again elsewhere
    for index in (0, 1):
        assert pbs.wait(f"102[{index}].pbs-01")["Exit_status"] == 0, pbs.logs()
    assert pbs.jobs()[lost]["run_count"] == 2
    assert tables(Path("r")) == expected
    # What was spent, beside the server's figures: of a job that ran again, its last run.
    told = nnlc("spent", "r")
    jobs = ["101[0].pbs-01", "101[1].pbs-01", lost, "102[1].pbs-01"]
    assert sorted(job for job, *_ in accounted(told)) == jobs
    for _, ours, theirs, _ in accounted(told):
        assert same_length(ours, theirs) or same_length(ours + 301, theirs), told
    assert "1 job above is not in PBS's accounting: PBS forgets" in told
    pbs.configure(job_history=False)
    assert "qstat: PBS is not configured to maintain job history" in nnlc("spent", "r")
    pbs.configure()
