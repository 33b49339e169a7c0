"""A job of an own family counts its networks' costs before it hands out the first."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from limits import HANG_SECONDS
from test_costs_files import CAMPAIGN, COUNTS, FAMILY
from worker_jobs import run_worker, tables

from nnlc.campaign.campaign import load_campaign
from nnlc.families import counted_costs
from nnlc.families.costs_file import read_costs
from nnlc.ranks.cost_counting import MOST_SECONDS, NETWORKS_A_RANK, TIME_SHARE, CostCounting
from nnlc.ranks.time_left import TimeLeft
from nnlc.ranks.watchdog import STARTING_SECONDS
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import count_request, read_folder_costs, uncounted
from nnlc.results.history import read_history
from nnlc.system import messages
from nnlc.training.counting_process import count_costs

CRASH = """

class Crashing(Skipping):
    def build(self, spec, images):
        import os
        if spec.blocks == 2:
            print("this is no answer")
            os._exit(3)
        return super().build(spec, images)
"""


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(counted_costs, "_known", {})


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(CAMPAIGN.replace("widest = 200", "widest = 12"))
    return path


def pretend_job(campaign: Path, ranks: int, seconds: float | None = None):
    campaign = load_campaign(campaign)
    networks = list(campaign.networks())
    results = ResultsFolder(Path("results").absolute())
    results.open(campaign)
    said: list[str] = []
    progress = SimpleNamespace(message=said.append)
    about = {"ranks": ranks, "results": results, "progress": progress, "said": said}
    about["time_left"] = TimeLeft(seconds, clock=lambda: 0.0)
    return SimpleNamespace(costed_networks=networks, **about)


def counted(message, without=(), *, is_cut=False) -> dict:
    costs = {each["key"]: COUNTS_JSON for each in message["networks"]}
    return {
        "kind": "counted",
        "costs": {key: value for key, value in costs.items() if key not in without},
        "reasons": ["0: ValueError: no"] if without else [],
        "on_cpu": [],
        "is_cut": is_cut,
    }


COUNTS_JSON = [getattr(COUNTS, name) for name in COUNTS.__dataclass_fields__]


def test_networks_are_shared_by_ranks_and_one_that_cant_be_counted_gets_the_mean(
    mine, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnlc.ranks.cost_counting.NETWORKS_A_RANK", 2)
    job = pretend_job(mine, ranks=8)
    networks = job.costed_networks
    counting = CostCounting(job, uncounted(networks))
    assert sorted(counting.messages) == [0, 1, 2]  # six networks
    asked = [each["key"] for message in counting.messages.values() for each in message["networks"]]
    assert sorted(set(asked)) == sorted({counted_costs.cost_key(n.spec) for n in networks})
    lost = asked[0]
    for rank, message in counting.messages.items():
        assert counting.waiting
        assert uncounted(networks)
        counting.note(rank, counted(message, without=[lost]))
    assert not counting.waiting
    assert not uncounted(networks)
    assert counted_costs.known_counts(lost) == COUNTS
    assert job.said[0] == "counting the costs of 6 networks"
    assert job.said[1].startswith("note: 1 network can't be counted, and taken for as costly as")
    assert job.said[1].endswith("0: ValueError: no")
    counted_costs._known.clear()
    read_costs(job.results.costs_file, networks[0].family)
    assert not uncounted(networks)


def test_counting_gets_a_share_of_the_jobs_time_and_the_next_job_counts_the_rest(
    mine, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    job = pretend_job(mine, ranks=1, seconds=400.0)
    networks = job.costed_networks
    counting = CostCounting(job, networks)
    assert CostCounting(pretend_job(mine, ranks=1), networks).messages[0]["seconds"] == MOST_SECONDS
    assert counting.messages[0]["seconds"] == pytest.approx(TIME_SHARE * (400 - 40))
    assert MOST_SECONDS < STARTING_SECONDS
    late = counted_costs.cost_key(networks[0].spec)
    counting.note(0, counted(counting.messages[0], without=[late], is_cut=True))
    assert not uncounted(networks)
    assert counted_costs.known_counts(late) == COUNTS
    counted_costs._known.clear()
    read_costs(job.results.costs_file, networks[0].family)
    assert uncounted(networks) == [n for n in networks if counted_costs.cost_key(n.spec) == late]


def test_a_count_that_takes_too_long_is_ended_and_keeps_what_it_has_counted(mine, monkeypatch):
    networks = list(load_campaign(mine).networks())
    asked = count_request(networks)
    keys = [each["key"] for each in asked["networks"]]
    lines = [messages.encode({"key": key, "counts": COUNTS_JSON}) for key in keys[:2]]

    def run(command, *, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout, output=b"".join(lines)[:-9])

    monkeypatch.setattr("nnlc.training.counting_process.subprocess.run", run)
    answer = count_costs({**asked, "seconds": 25.0})
    assert answer["is_cut"]
    assert answer["costs"] == {keys[0]: COUNTS_JSON}
    assert answer["reasons"] == ["the time for counting was over, and the next job counts the rest"]


def test_a_process_that_counts_is_ended_after_its_seconds(mine, monkeypatch):
    sleeps = (sys.executable, "-c", f"import time; time.sleep({HANG_SECONDS})")
    monkeypatch.setattr("nnlc.training.counting_process.COMMAND", sleeps)
    networks = list(load_campaign(mine).networks())
    assert count_costs({**count_request(networks), "seconds": 0.1})["is_cut"]


def test_few_networks_are_counted_by_one_rank(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = pretend_job(mine, ranks=1000)
    assert len(job.costed_networks) < NETWORKS_A_RANK
    assert list(CostCounting(job, job.costed_networks).messages) == [0]


def test_a_results_folder_that_cant_be_written_is_a_warning(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = pretend_job(mine, ranks=1)
    job.results.costs_file.mkdir()
    counting = CostCounting(job, job.costed_networks)
    counting.note(0, counted(counting.messages[0]))
    assert job.said[-1].startswith(f"warning: {job.results.costs_file}: can't be written")
    assert not uncounted(job.costed_networks)


def test_a_module_that_ends_its_process_loses_no_network_counted_before(mine):
    mine.with_name("crashing.py").write_text(FAMILY.read_text() + CRASH)
    text = re.sub("family = .*", 'family = "crashing:Crashing"', mine.read_text())
    mine.write_text(text)
    networks = list(load_campaign(mine).networks())
    answer = count_costs(count_request(networks))
    counted = {counted_costs.cost_key(n.spec) for n in networks if n.spec.blocks == 1}
    assert answer["costs"].keys() == counted
    assert answer["reasons"] == ["its process left with status 3"]


def test_a_job_counts_once_and_every_start_reads_the_file(mine):
    mine.write_text(mine.read_text().replace("networks_per_group = 3", "networks_per_group = 1"))
    results = mine.parent / "results"
    first = run_worker(mine, "--device", "cpu", "--results", results)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "counting the costs of 2 networks" in first.stdout
    assert len(tables(results)) == 2
    costs = json.loads((results / "costs.json").read_text())["costs"]
    networks = list(load_campaign(mine).networks())
    assert costs.keys() == {counted_costs.cost_key(n.spec) for n in networks}
    folder = ResultsFolder(results)
    assert read_folder_costs(folder, networks) is None
    finishes = read_history(folder.journal_folder).finishes
    for n in networks:
        predicted = n.family.memory_bytes(n.spec, n.images, folder.campaign().training, "cpu")
        assert predicted > finishes[n.spec.id].peak_memory_bytes
    next(results.glob("*_models/*.txt")).unlink()
    again = run_worker(mine, "--device", "cpu", "--results", results)
    assert again.returncode == 0
    assert "counting" not in again.stdout
    assert len(tables(results)) == 2
    (results / "costs.json").write_text("{}")
    counted_costs._known.clear()
    assert "is no file of costs" in read_folder_costs(folder, networks)
    assert uncounted(networks) == networks
