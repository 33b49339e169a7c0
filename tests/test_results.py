"""A results folder, its journal, and the drawing of what lies in it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from worker_jobs import TINY, write_campaign

import nnlc.results
from nnlc import load_campaign
from nnlc.analysis.drawing import draw_curve
from nnlc.errors import ResultsError
from nnlc.journal import Journal, read_events, read_progress
from nnlc.ranks.mpi import launcher_rank
from nnlc.results import ResultsFolder
from nnlc.status import read_status


@pytest.fixture
def campaign(tmp_path):
    return load_campaign(write_campaign(tmp_path))


def test_a_folder_keeps_its_campaign_and_gives_it_back_whole(campaign, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    assert results.campaign() == campaign
    results.open(campaign)


def test_how_the_work_is_done_may_change_between_two_starts(campaign, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    text = TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 9\n")
    results.open(load_campaign(write_campaign(tmp_path, text)))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seed = 11", "seed = 12", "seed"),
        ("T03:04:05", "T03:04:06", "stamp"),
        ("filters = [1, 10]", "filters = [1, 11]", "space.filters"),
        ("epochs = 1", 'epochs = 1\n[training]\npooling = "average"\n', "training.pooling"),
        ("depths = [1, 2]", "depths = [1, 3]", "datasets.F-MNIST-sample.depths"),
    ],
)
def test_whatever_changes_a_table_makes_it_another_campaign(campaign, tmp_path, old, new, key):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    before = results.campaign_file.read_bytes()
    other = load_campaign(write_campaign(tmp_path, TINY.replace(old, new)))
    with pytest.raises(ResultsError, match=key.replace(".", r"\.")):
        results.open(other)
    assert results.campaign_file.read_bytes() == before


def test_a_folder_whose_making_failed_can_be_made_once_there_is_room(
    campaign, tmp_path, monkeypatch
):
    def full(path, content):
        (path.parent / ".campaign.toml.x.tmp").write_bytes(content[:10])
        raise OSError(28, "No space left on device", str(path))

    results = ResultsFolder(tmp_path / "r")
    with monkeypatch.context() as patch:
        patch.setattr(nnlc.results, "write_atomically", full)
        with pytest.raises(ResultsError, match="No space left"):
            results.open(campaign)
    results.open(campaign)
    assert results.campaign() == campaign


def test_a_folder_of_another_format_is_refused(campaign, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    text = results.campaign_file.read_text()
    results.campaign_file.write_text(text.replace("results_format = 1", "results_format = 2"))
    with pytest.raises(ResultsError, match="results_format"):
        results.open(campaign)


def test_a_journal_survives_a_line_that_was_cut_off_and_garbage(tmp_path):
    journal = Journal(tmp_path)
    journal.write("start", id="a")
    with journal.path.open("ab") as file:
        file.write(b'\xff\x00 garbage\n[1]\n{"time": "x"}\n{"time": "2026", "ev')
    assert [event["id"] for event in read_events(tmp_path)] == ["a"]


def test_status_counts_what_runs_waits_and_failed(campaign, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    ids = [network.spec.id for network in campaign.networks()]
    journal = Journal(results.journal_folder)
    journal.write("failure", id=ids[0], reason="out of memory")
    journal.write("failure", id=ids[1], reason="was tried again since")
    journal.write("start", id=ids[1])
    journal.write("failure")  # garbage, but a JSON line like others
    journal.write("start")
    journal.progress({ids[2]: {"half_epochs": 1, "accuracy": 10.0}})
    found = read_status(results)
    [counts] = found.datasets.values()
    assert (counts.done, counts.under_way, counts.waiting, counts.failed) == (0, 1, 4, 1)
    assert counts.rows == 1
    assert found.failures == {ids[0]: "out of memory"}


def test_a_job_that_went_silent_is_no_longer_under_way(tmp_path):
    old = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    snapshot = {"time": old, "under_way": {"a": {"half_epochs": 3, "accuracy": 1.0}}}
    (tmp_path / "x.progress.json").write_text(json.dumps(snapshot))
    (tmp_path / "y.progress.json").write_text("{")
    now = datetime.now(UTC).isoformat()
    for i, under_way in enumerate([[1], {"a": 3}, {"a": {}}, {"a": {"half_epochs": "many"}}]):
        garbage = json.dumps({"time": now, "under_way": under_way})
        (tmp_path / f"z{i}.progress.json").write_text(garbage)
    assert read_progress(tmp_path) == {}


def test_a_curve_longer_than_the_plot_keeps_its_extremes_in_words():
    values = [10.0] * 200
    values[50], values[51] = 90.0, 1.0
    first = next(draw_curve(values, "accuracy", " %"))
    assert first == "accuracy: last 10 %, lowest 1 %, highest 90 %"
    assert all(len(line) <= 95 for line in draw_curve(values, "accuracy"))


def test_a_curve_without_a_finite_value_says_so():
    nothing = [float("nan"), None, float("inf")]
    assert list(draw_curve(nothing, "loss")) == ["loss: no finite value"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}, ("mpirun", 1, 2, 1)),
        ({"PMI_RANK": "5", "PMI_SIZE": "8", "SLURM_LOCALID": "1"}, ("mpirun", 5, 8, 1)),
        (
            {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "0"},
            ("srun", 3, 4, 0),
        ),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # a batch script outside srun
        (
            {
                "JSM_NAMESPACE_RANK": "7",
                "JSM_NAMESPACE_SIZE": "12",
                "JSM_NAMESPACE_LOCAL_RANK": "1",
            },
            ("jsrun", 7, 12, 1),
        ),
    ],
)
def test_launchers_are_told_apart_by_what_they_put_in_the_environment(variables, expected):
    assert launcher_rank(variables) == expected
