"""A results folder, and the drawing of what lies in it."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from worker_jobs import TINY, write_campaign

import nnlc.results.folder
from nnlc import load_campaign
from nnlc.analysis.text_drawing import draw_curve
from nnlc.errors import ResultsError
from nnlc.ranks.mpi import launcher_rank
from nnlc.results.folder import ResultsFolder


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


@pytest.mark.parametrize("networks", [0, 3])
def test_datasets_in_another_order_make_another_campaign(tmp_path, networks):
    """IDs are numbers in the order of datasets; one without networks has none."""
    head, sample, space = re.split(r"(?=^\[)", TINY, flags=re.MULTILINE)
    other = sample.replace("F-MNIST-sample", "SVHN").replace("= 3", f"= {networks}")
    results = ResultsFolder(tmp_path / "r")
    results.open(load_campaign(write_campaign(tmp_path, head + sample + other + space)))
    moved = load_campaign(write_campaign(tmp_path, head + other + sample + space))
    order = pytest.raises(ResultsError, match=r"order of datasets is .*-sample', 'SVHN")
    with order if networks else nullcontext():
        results.open(moved)


def test_a_folder_whose_making_failed_can_be_made_once_there_is_room(
    campaign, tmp_path, monkeypatch
):
    def full(path, content):
        (path.parent / ".campaign.toml.x.tmp").write_bytes(content[:10])
        raise OSError(28, "No space left on device", str(path))

    results = ResultsFolder(tmp_path / "r")
    with monkeypatch.context() as patch:
        patch.setattr(nnlc.results.folder, "write_atomically", full)
        with pytest.raises(ResultsError, match="No space left"):
            results.open(campaign)
    results.open(campaign)
    assert results.campaign() == campaign


def test_a_folder_of_another_format_is_refused(campaign, tmp_path):
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    text = results.campaign_file.read_text()
    results.campaign_file.write_text(text.replace("results_format = 5", "results_format = 0"))
    with pytest.raises(ResultsError, match="results_format: 0 where this nnlc writes 5"):
        results.open(campaign)


def test_a_curve_longer_than_the_plot_keeps_its_extremes_in_words():
    values = [10.0] * 200
    values[50], values[51] = 90.0, 1.0
    first = next(draw_curve(values, "accuracy", " %"))
    assert first == "accuracy: last 10 %, lowest 1 %, highest 90 %"
    assert all(len(line) <= 95 for line in draw_curve(values, "accuracy"))


@pytest.mark.parametrize(
    ("low", "high", "begin"),
    [
        (82.0, 93.0, "80"),
        (92.3, 92.9, "92.2"),
        (2.301, 2.309, "2.3"),
        (1e-5, 1.2e-5, "9e-06"),
        (10.0, 93.0, "0"),
        (93.0, 93.0, "0"),
        (92.99, 93.0, "0"),
        (-93.0, -92.0, "0"),
    ],
)
def test_bars_of_a_narrow_band_begin_near_its_lowest_value_and_say_so(low, high, begin):
    title, *lines, _axis, _epochs = draw_curve([low, None, high], "accuracy", " %")
    assert lines[-1].split(" │")[0].strip() == begin
    assert title.endswith(f"; bars begin at {begin} %") == (begin != "0")
    assert lines[-1].endswith(" █") or begin == "0"
    if begin != "0":
        assert lines[0].endswith("█")
        assert lines[0].split("│")[1][0] == " " != lines[-1].split("│")[1][0]


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
        (  # HPE's PALS on Cray machines, whose PMI has the number of ranks
            {"PALS_RANKID": "5", "PALS_LOCAL_RANKID": "1", "PMI_RANK": "5", "PMI_SIZE": "8"},
            ("PALS", 5, 8, 1),
        ),
    ],
)
def test_launchers_are_told_apart_by_what_they_put_in_the_environment(variables, expected):
    assert launcher_rank(variables) == expected


def test_a_folder_that_can_t_be_written_is_refused_before_it_is_tried(
    campaign, tmp_path, monkeypatch
):
    ResultsFolder(tmp_path / "new" / "r").check_usable(campaign)
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"file: no folder that can be written; give"):
        ResultsFolder(tmp_path / "file" / "r").check_usable(campaign)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ResultsError, match="no folder that can be written"):
        ResultsFolder(tmp_path / "new" / "r").check_usable(campaign)


def test_a_folder_that_another_job_makes_at_this_moment_is_no_foreign_one(tmp_path, monkeypatch):
    """Between a look for the campaign's file and one at the content, the other job has begun."""
    campaign = load_campaign("smoke")
    mine, listed = ResultsFolder(tmp_path / "r"), Path.iterdir

    def list_late(path):
        if path == mine.path:
            monkeypatch.setattr(Path, "iterdir", listed)
            ResultsFolder(path).open(campaign)
        return listed(path)

    mine.path.mkdir()
    monkeypatch.setattr(Path, "iterdir", list_late)
    mine.open(campaign)
