"""How far a results folder is, from its tables and its journal's word."""

import pytest
from worker_jobs import write_campaign

from nnlc import load_campaign
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.results.status import Failure, read_status
from nnlc.tables import Row, Table, write_table


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "r")
    folder.open(load_campaign(write_campaign(tmp_path)))
    return folder


@pytest.fixture
def ids(results):
    return [network.spec.id for network in results.campaign().networks()]


def stand(results, *ids):
    for network in results.campaign().networks():
        if network.spec.id in ids:
            table = Table(network.spec, (Row(2.0, 2.0, 10.0),) * 2)
            write_table(table, results.table_path(network.images, network.spec))


def test_status_counts_what_runs_waits_and_failed(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("attempt", id=ids[0], reason="killed")
    journal.write("failure", id=ids[0], reason="out of memory")
    journal.write("start", id=ids[0])
    journal.write("failure", id=ids[1], reason="was cleared since")
    journal.write("retry", ids=[ids[1]])
    journal.write("failure", id="another campaign's", reason="x")
    journal.write("failure")  # garbage, but a JSON line like others
    journal.progress({ids[2]: {"half_epochs": 1, "accuracy": 10.0}})
    found = read_status(results)
    [counts] = found.datasets.values()
    assert (counts.done, counts.under_way, counts.waiting, counts.failed) == (0, 1, 4, 1)
    assert counts.rows == 1
    assert found.failures == {ids[0]: Failure("out of memory", 2)}


def test_a_failed_network_is_done_when_its_table_stands_and_under_way_when_it_runs(results, ids):
    journal = Journal(results.journal_folder)
    for id_ in ids[:2]:
        journal.write("failure", id=id_, reason="out of memory")
    stand(results, ids[0])
    journal.progress({id_: {"half_epochs": 10**9} for id_ in ids[:2]})
    found = read_status(results)
    [counts] = found.datasets.values()
    assert (counts.done, counts.under_way, counts.waiting, counts.failed) == (1, 1, 4, 0)
    assert counts.rows == 4
    assert found.failures == {}


def test_only_tables_that_stand_count_for_what_they_were_made_with(results, ids):
    journal = Journal(results.journal_folder)
    for id_, name in zip(ids, ["A100", "A100", "H100", "V100"], strict=False):
        journal.write("finish", id=id_, device={"name": name})
    stand(results, *ids[:3], ids[4])
    assert read_status(results).makers == [("A100", 2), ("H100", 1)]


def test_trouble_is_told_while_something_is_under_way(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("trouble", reason="disk full")
    assert read_status(results).trouble is None
    journal.progress({ids[0]: {"half_epochs": 0}})
    assert read_status(results).trouble.endswith("disk full")


@pytest.mark.parametrize(
    ("attempts", "words"),
    [(0, "failed: why"), (1, "failed after 1 attempt: why"), (3, "failed after 3 attempts: why")],
)
def test_a_failure_says_how_often_and_why(attempts, words):
    assert str(Failure("why", attempts)) == words
