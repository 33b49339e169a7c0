"""Families that are wrong: each is refused, or its network recorded, and no other is harmed."""

import shutil
from pathlib import Path

import pytest
from worker_jobs import events, run_worker, tables

from nnlc.errors import ExitStatus

WRONG = Path(__file__).parent / "families" / "wrong.py"
CAMPAIGN = """
name = "wrong"
seed = 11
stamp = 2026-01-02T03:04:05
epochs = 1
family = "wrong:{name}"

[datasets.F-MNIST-sample]
networks_per_group = 3
"""


def _train(folder: Path, name: str, **job):
    """Run a job of a family of tests/families/wrong.py; return it with its output."""
    shutil.copy(WRONG, folder)
    campaign = folder / "wrong.toml"
    campaign.write_text(CAMPAIGN.format(name=name))
    job = run_worker(campaign, "--results", folder / "r", **job)
    return job, job.stdout + job.stderr


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> dict[str, bytes]:
    """The tables of the family that is not wrong."""
    folder = tmp_path_factory.mktemp("right")
    job, output = _train(folder, "Right", ranks=2)
    assert job.returncode == ExitStatus.DONE, output
    found = tables(folder / "r")
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def rarely(tmp_path_factory):
    """Folder, job and output of the family of which three networks are wrong."""
    folder = tmp_path_factory.mktemp("rarely")
    return folder, *_train(folder, "Rarely")


REFUSED = {
    "GlobalDraw": [
        "family right@1, number 0 of group 1 for F-MNIST-sample: width is ",
        "drawn again",
    ],
    "CountedDraw": ["family right@1, number 0 of group 1 for F-MNIST-sample: width is "],
    "CountedStep": ["2 (Fades) changes ", "in a step, and no file keeps it"],
    "Unequal": [
        "family right@1, ",
        " of group 1 for F-MNIST-sample",
        ": what specify returned has unknown depth: it must have batch_size, ",
    ],
    "Spaced": ["number 2 of group 1", "colour 'dark red' must be printable ASCII without spaces"],
    "Noisy": [
        "2 (Noise) draws random numbers with torch.randn_like: ",
        "'nnlc check-family wrong:Noisy' tells more before a job",
    ],
    "Wide": ["its module returned float32 (", "11)", "float32 (100, 10)"],
    "Taken": ["the name 'residual' is taken"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_family_is_one_message_before_the_first_network(name, tmp_path):
    job, output = _train(tmp_path, name)
    assert job.returncode == ExitStatus.ERROR, output
    assert output.count("error: ") == 1, output
    assert "Traceback" not in output
    for word in REFUSED[name]:
        assert word in output
    assert not tables(tmp_path / "r")


RECORDED = {
    "_000001": ("build raised ValueError: no body for number 11 (", "wrong.py, line "),
    "_000003": ("out of memory: ",),
    # The check before a job's first network takes a sample, in which this one is not.
    "_000005": ("2 (Noise) draws random numbers with torch.randn_like: ",),
}


def test_networks_that_cannot_be_trained_are_recorded_and_no_other_is_harmed(right, rarely):
    folder, job, output = rarely
    assert job.returncode == ExitStatus.DONE_WITH_FAILURES, output
    found = tables(folder / "r")
    assert len(found) == 3
    assert found.items() < right.items()
    failures = {each["id"][-7:]: each["reason"] for each in events(folder / "r", "failure")}
    assert failures.keys() == RECORDED.keys()
    for number, words in RECORDED.items():
        for word in words:
            assert word in failures[number]
    assert "bug" not in output


def test_an_import_that_fails_on_one_rank_is_one_message_that_names_it(tmp_path):
    job, output = _train(tmp_path, "Right", ranks=2, WRONG_RANK="1")
    assert job.returncode == ExitStatus.ERROR, output
    assert output.count("error: ") == 1, output
    assert "libcolours.so: cannot open shared object file" in output
    assert "rank 1" in output
    assert not tables(tmp_path / "r")


def test_another_version_between_two_jobs_is_refused_and_hurts_no_table(rarely):
    folder, _, _ = rarely
    before = tables(folder / "r")
    code = folder / "wrong.py"
    code.write_text(code.read_text().replace('version: ClassVar[str] = "1"', 'version = "2"'))
    job = run_worker(folder / "wrong.toml", "--results", folder / "r")
    output = job.stdout + job.stderr
    assert job.returncode == ExitStatus.ERROR, output
    assert output.count("error: ") == 1, output
    assert "right@2" in output
    assert "right@1" in output
    assert before
    assert tables(folder / "r") == before
