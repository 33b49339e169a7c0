"""A job of an own family counts its networks' costs before it hands out the first."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_costs_files import CAMPAIGN, COUNTS, FAMILY
from worker_jobs import run_worker, tables

from nnlc.campaign.campaign import load_campaign
from nnlc.families import counted_costs
from nnlc.families.costs_file import read_costs
from nnlc.ranks.cost_counting import NETWORKS_A_RANK, CostCounting
from nnlc.results.folder import ResultsFolder
from nnlc.results.folder_costs import count_request, read_folder_costs, uncounted
from nnlc.results.history import read_history
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


def pretend_job(campaign: Path, ranks: int):
    campaign = load_campaign(campaign)
    networks = list(campaign.networks())
    results = ResultsFolder(Path("results").absolute())
    results.open(campaign)
    said: list[str] = []
    progress = SimpleNamespace(message=said.append)
    about = {"ranks": ranks, "results": results, "progress": progress, "said": said}
    return SimpleNamespace(costed_networks=networks, **about)


def counted(message, without=()) -> dict:
    costs = {each["key"]: COUNTS_JSON for each in message["networks"]}
    return {
        "kind": "counted",
        "costs": {key: value for key, value in costs.items() if key not in without},
        "reasons": ["0: ValueError: no"] if without else [],
        "on_cpu": [],
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
    first = run_worker(mine, "--device", "cpu", "--results", results, ranks=2)
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
    next(results.glob("*_models/*.txt")).unlink()
    other = run_worker(mine, "--device", "cpu", "--results", results)
    assert other.returncode == 0
    assert "is no file of costs" in other.stdout
    assert "counting the costs of 2 networks" in other.stdout
    assert len(tables(results)) == 2
