"""Jobs of residual networks: the same bytes from any number of ranks, verified and audited.

Trainers take 666 of the training images.
"""

import shutil

import pytest
from test_first_hour import FEWER_IMAGES
from typer.testing import CliRunner
from worker_jobs import meddling, run_worker, tables

from nnlc.cli import app

TINY = """
name = "tiny"
family = "residual"
seed = 3
stamp = 2026-01-02T03:04:05
epochs = 2

[datasets.F-MNIST-sample]
networks_per_group = 2
groups = [3, 3]

[training]
pixels = "standardised"
optimizer = "SGD-Nesterov"
schedule = "cosine"
augmentation = ["crop:2", "flip"]

[space]
width = [4, 4]
stride = [2, 2]
batch_size = [100, 250]
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The campaign, and the results of a job that nobody disturbed."""
    folder = tmp_path_factory.mktemp("residual")
    campaign = folder / "tiny.toml"
    campaign.write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in meddling(folder, FEWER_IMAGES).items():
            patch.setenv(name, value)
        job = run_worker(campaign, "--results", folder / "results")
        assert job.returncode == 0, job.stdout + job.stderr
        assert len(tables(folder / "results")) == 2
        yield campaign, folder / "results"


def test_more_ranks_write_the_same_bytes(alone, tmp_path):
    campaign, expected = alone
    (tmp_path / "r").mkdir()
    shutil.copy(expected / "costs.json", tmp_path / "r")  # spares the job its counting
    job = run_worker(campaign, "--results", tmp_path / "r", ranks=2)
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(tmp_path / "r") == tables(expected)


@pytest.mark.parametrize(
    ("command", "words"),
    [("verify", "2 of 2 identical"), ("audit", "0 errors, 0 warnings")],
)
def test_tables_are_verified_and_audited(alone, command, words):
    done = CliRunner().invoke(app, [command, str(alone[1])])
    assert done.exit_code == 0, done.output
    assert words in done.output
