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
networks_per_group = {each}

[space]
wrong = {wrong}
"""


def _campaign(folder: Path, name: str, wrong: int = -1, each: int = 3) -> Path:
    """A campaign of a family of tests/families/wrong.py, with a copy of it beside."""
    folder.mkdir(exist_ok=True)
    shutil.copy(WRONG, folder)
    path = folder / "wrong.toml"
    path.write_text(CAMPAIGN.format(name=name, wrong=wrong, each=each))
    return path


def _train(folder: Path, name: str, wrong: int = -1, each: int = 3, **job):
    """Run a job of a wrong family; return it with its output."""
    campaign = _campaign(folder, name, wrong, each)
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
    "RarelyFails": ("build raised ValueError: no body for number 22 (", "wrong.py, line "),
    "RarelyHuge": ("out of memory: ",),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_network_that_cannot_be_trained_is_recorded_and_no_other_is_harmed(name, right, tmp_path):
    job, output = _train(tmp_path, name, 22)
    assert job.returncode == ExitStatus.DONE_WITH_FAILURES, output
    found = tables(tmp_path / "r")
    assert len(found) == 5
    assert found.items() < right.items()
    [failure] = events(tmp_path / "r", "failure")
    assert failure["id"].endswith("_000005")
    for word in RECORDED[name]:
        assert word in failure["reason"]
    assert "bug" not in output


def test_a_module_that_the_first_check_has_not_seen_is_recorded_when_its_turn_comes(tmp_path):
    job, output = _train(tmp_path, "RarelyNoisy", 12, each=10)
    assert job.returncode == ExitStatus.DONE_WITH_FAILURES, output
    assert len(tables(tmp_path / "r")) == 19
    [failure] = events(tmp_path / "r", "failure")
    assert failure["id"].endswith("_000002")
    assert "2 (Noise) draws random numbers with torch.randn_like: " in failure["reason"]


def test_an_import_that_fails_on_one_rank_is_one_message_that_names_it(tmp_path):
    job, output = _train(tmp_path, "Right", ranks=2, WRONG_RANK="1")
    assert job.returncode == ExitStatus.ERROR, output
    assert output.count("error: ") == 1, output
    assert "libcolours.so: cannot open shared object file" in output
    assert "rank 1" in output
    assert not tables(tmp_path / "r")


def test_another_version_between_two_jobs_is_refused_and_hurts_no_table(tmp_path):
    _train(tmp_path, "RarelyFails", 22)
    before = tables(tmp_path / "r")
    code = tmp_path / "wrong.py"
    code.write_text(code.read_text().replace('version: ClassVar[str] = "1"', 'version = "2"'))
    job = run_worker(tmp_path / "wrong.toml", "--results", tmp_path / "r")
    output = job.stdout + job.stderr
    assert job.returncode == ExitStatus.ERROR, output
    assert output.count("error: ") == 1, output
    assert "right@2" in output
    assert "right@1" in output
    assert tables(tmp_path / "r") == before
