"""`nnlc upgrade` and the queue: which scripts still fit, and none is made useless unasked."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from table_samples import tree
from typer.testing import CliRunner
from worker_jobs import ONE, write_campaign

from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import SchedulerError
from nnlc.launching.interpreter import nnlc_of
from nnlc.launching.prepare import prepare
from nnlc.launching.render import Request
from nnlc.launching.submit import submit
from nnlc.results.folder import ResultsFolder
from nnlc.schedulers.lsf import Lsf
from nnlc.schedulers.site import load_site
from nnlc.upgrading import queued
from nnlc.upgrading.queued import Standard, judge_queue


class Cluster:
    """A scheduler that has the jobs that a test says."""

    def __init__(self, monkeypatch) -> None:
        self.name = "slurm"
        self.jobs: list[str] = []
        self.found: str | None = None
        self.submitted_jobs = Lsf().submitted_jobs
        monkeypatch.setattr(queued, "scheduler_of_folder", lambda results: self)

    def submit(self, script, mark, command):
        self.name = "slurm" if command == "sbatch" else "lsf"
        self.jobs.append(str(len(self.jobs) + 1))
        return self.jobs[-1]

    def find(self, mark, script):
        return self.found

    def states(self, jobs):
        return {job: ["PENDING"] if job in self.jobs else [] for job in jobs}


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


@pytest.fixture
def results(tmp_path):
    made = ResultsFolder(tmp_path / "results")
    made.open(load_campaign(write_campaign(tmp_path, ONE)))
    return made


def put(results, cluster, site="slurm", python=sys.executable):
    """Submit its campaign; returns the script."""
    request = Request(campaign="", results=str(results.path), python=python)
    chosen = load_site(site, account="a1")
    submission = prepare(request, chosen, results, results.campaign())
    [record] = submit(submission, chosen, cluster, results)
    return Path(record.script)


def verdicts(results, then=None):
    now = Standard(results, results.campaign(), "0.2.0")
    return [verdict for _, verdict in judge_queue(now, then or now).verdicts]


def edited(script, old, new):
    text = script.read_text()
    assert re.search(old, text), old
    script.write_text(re.sub(old, lambda _: new, text, count=1))


@pytest.mark.parametrize("site", ["slurm", "lsf"])
def test_a_script_that_is_as_it_was_still_fits(results, cluster, site):
    put(results, cluster, site)
    assert verdicts(results) == ["still fits"]


def without_campaign(results, script):
    [copy] = results.jobs_folder.glob("campaign-*.toml")
    copy.unlink()


def with_another_seed(results, script):
    [copy] = results.jobs_folder.glob("campaign-*.toml")
    edited(copy, r"seed = \d+", "seed = 3")


def elsewhere(results, script):
    shutil.copytree(results.path, results.path.with_name("other"))
    edited(script, r"--results \S+", f"--results {results.path.with_name('other')}")


ANSWERS = {
    "no longer fits, .*: no such file": without_campaign,
    "no longer fits, .*: its campaign is another: seed is 11 there and 3 in": with_another_seed,
    "no longer fits, .*: its folder /gone is gone": (r"--results \S+", "--results /gone"),
    "no longer fits, .*: nnlc.worker has no option wonder": ("--results", "--wonder --results"),
    "no longer fits, .*: its Python /gone/python is not here": (sys.executable, "/gone/python"),
    "can't be told: it works in another folder": elsewhere,
    "can't be told: .*; the scheduler has a copy": lambda results, script: script.unlink(),
    "can't be told: the script does not show how it starts nnlc.worker": (r"\nsrun ", "\nmpiexec "),
    r"can't be told: its Python is \$VENV/bin/python": (sys.executable, '"$VENV/bin/python"'),
    "can't be told: the script does not show its campaign": (
        r"nnlc.worker \S+",
        'nnlc.worker "$CAMPAIGN"',
    ),
    "can't be told: the script does not show its --results": (
        r"--results \S+",
        '--results "$RESULTS"',
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_each_other_script_is_told_by_what_is_seen_and_no_more(results, cluster, answer):
    script, change = put(results, cluster), ANSWERS[answer]
    if callable(change):
        change(results, script)
    else:
        edited(script, *change)
    [verdict] = verdicts(results)
    assert re.search(answer, verdict)


def test_the_next_job_of_a_chain_is_told_when_the_first_is_over(results, cluster):
    script = put(results, cluster, "lsf")
    script.with_name(f"{script.name}.jobs").write_text("Job <77> is submitted to queue <batch>.\n")
    cluster.jobs = ["77"]
    [(job, verdict)] = judge_queue(*2 * [Standard(results, results.campaign(), "0.2.0")]).verdicts
    assert (job, verdict) == (f"job 77: {script}", "still fits")


def test_a_job_on_which_the_scheduler_has_not_answered_is_looked_for(results, cluster):
    put(results, cluster)
    [record] = results.jobs_folder.glob("*.json")
    edited(record, r'"id": "\d+"', '"id": null')
    before = record.read_text()
    assert verdicts(results) == []
    cluster.found = "78"
    assert verdicts(results) == ["still fits"]
    assert record.read_text() == before


def test_a_script_that_fits_until_campaign_toml_is_rewritten_is_told_beforehand(results, cluster):
    put(results, cluster)
    campaign = results.campaign().model_copy(update={"seed": 12})
    [verdict] = verdicts(results, Standard(results, campaign, "0.2.0"))
    assert verdict == (
        "fits until campaign.toml is rewritten: its campaign is another: seed is 12 there and 11 "
        "in the campaign asked for"
    )


def python_with(folder, nnlc):
    """An interpreter that has another nnlc, or none."""
    path = folder / "python"
    missing = "echo \"ModuleNotFoundError: No module named 'nnlc'\" >&2; exit 1"
    path.write_text(f"#!/bin/sh\n{f'echo {nnlc}' if nnlc else missing}\n")
    path.chmod(0o755)
    return str(path)


def upgrade(results, *words):
    done = CliRunner().invoke(app, ["upgrade", str(results.path), *words])
    return done.output + (str(done.exception) if done.exception else "")


def test_nothing_is_rewritten_while_a_job_waits_whose_nnlc_could_not_use_it(
    results, cluster, tmp_path
):
    head = r"results_format = .*\nnnlc = .*\ndigest = .*"
    edited(results.campaign_file, head, "results_format = 1")
    python = python_with(tmp_path, "0.1.0")
    put(results, cluster, python=python)
    before = tree(tmp_path)
    why = f"its Python {python} has nnlc 0.1.0 where 0.4.0 is needed"
    told = upgrade(results, "--dry-run")
    assert f"fits until campaign.toml is rewritten: {why}" in told
    assert "nnlc before 0.4.0 can't use the folder afterwards" in told
    assert f"not now: job 1: {why}" in told
    refused = upgrade(results)
    assert f"job 1: {why}; let them end, or 'nnlc cancel {results.path}' ends them" in refused
    assert refused.endswith("Nothing was changed")
    assert tree(tmp_path) == before
    cluster.jobs = []
    assert upgrade(results).endswith("rewritten\n")
    cluster.jobs = ["1"]
    nnlc_of.cache_clear()
    assert f"no longer fits, cancel and submit again: {why}" in upgrade(results)
    nnlc_of.cache_clear()


def test_nothing_is_started_for_a_job_that_the_scheduler_does_not_know(
    results, cluster, tmp_path, monkeypatch
):
    """The folder may be somebody else's, and so may what its scripts name."""
    python, started = tmp_path / "python", tmp_path / "started"
    python.write_text(f"#!/bin/sh\ntouch {started}\n")
    python.chmod(0o755)
    put(results, cluster, python=str(python))

    def refuses(jobs):
        raise SchedulerError("no squeue here")

    monkeypatch.setattr(cluster, "states", refuses)
    [verdict] = verdicts(results)
    assert verdict.startswith(f"can't be told: its Python {python} is asked for its nnlc only if")
    assert not started.exists()


def test_a_python_without_nnlc_fits_no_more(results, cluster, tmp_path):
    put(results, cluster, python=python_with(tmp_path, None))
    [verdict] = verdicts(results)
    assert verdict.endswith(f"its Python {tmp_path / 'python'} has no nnlc")


def test_where_the_queue_is_unknown_all_submitted_scripts_are_judged(results, cluster, monkeypatch):
    put(results, cluster)

    def refuse(jobs):
        raise SchedulerError("squeue: not found on this machine")

    monkeypatch.setattr(cluster, "states", refuse)
    now = Standard(results, results.campaign(), "0.2.0")
    found = judge_queue(now, now)
    assert "1 job submitted, and the queue is unknown: squeue: not found" in found.heading
    assert [verdict for _, verdict in found.verdicts] == ["still fits"]
