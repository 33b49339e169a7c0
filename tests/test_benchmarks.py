"""The benchmarks of rank 0 and of whole jobs run, and check what they measured."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from curve_samples import saturating, table
from limits import HANG_SECONDS
from worker_jobs import TINY, write_campaign

FOLDER = Path(__file__).parent.parent / "benchmarks"


def run(name, *arguments):
    """What a benchmark printed: the numbers of its last line."""
    command = [sys.executable, FOLDER / name, *map(str, arguments)]
    job = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert job.returncode == 0, job.stdout + job.stderr
    return [float(n) for n in re.findall(r"[\d.]+", job.stdout.splitlines()[-1])]


def test_rank_0_gathers_the_articles_networks_from_trainers_that_train_nothing(tmp_path):
    words = ["--ranks", 3, "--per-depth", 1, "--folder", tmp_path]
    ranks, networks, rows_a_second, networks_a_second, *_ = run("gather.py", *words)
    assert (ranks, networks) == (3, 30)
    assert abs(rows_a_second / networks_a_second / 80 - 1) < 0.2
    assert not list(tmp_path.iterdir())


def test_the_time_of_a_whole_job_is_set_against_that_of_its_training(tmp_path):
    words = ["--ranks", 1, "--per-depth", 1, "--epochs", 1, "--folder", tmp_path]
    ranks, networks, training, whole, start, _, in_all, steady, *shares = run(
        "orchestra.py", *words
    )
    assert (ranks, networks, len(shares)) == (1, 2, 1)
    assert whole > start + training
    assert in_all > steady >= 0.99


def test_commands_on_many_tables_are_measured_and_lose_none(tmp_path):
    words = ["--networks", 60, "--rounds", 1, "--only", "merge", "--folder", tmp_path]
    (queries_a_second,) = run("tables.py", *words)
    assert queries_a_second > 0
    assert not list(tmp_path.iterdir())


def test_a_stop_rule_is_set_against_training_to_the_end(tmp_path):
    text = TINY.replace("per_depth = 3", "per_depth = 1").replace("[1, 2]\n\n", "[1, 1]\n\n", 1)
    campaign = write_campaign(tmp_path, text.replace("epochs = 1", "epochs = 4"))
    same, networks = run("stopping.py", campaign, "--stop", "penguin:tolerance=20:window=2")
    assert same == networks == 1


def test_penguin_is_set_against_its_published_engine(tmp_path):
    lost = [*[50.0] * 8, float("nan"), 50.0]
    for number, accuracies in enumerate([*saturating(3, 10, seed=4), lost]):
        one = table(number, accuracies)
        (tmp_path / f"{one.spec.id}.txt").write_bytes(one.to_bytes())
    alike, networks, differing, unsure = run("engine.py", tmp_path, "--epoch", 5)
    assert networks == 3
    assert (alike + differing, differing) == (3, unsure)


@pytest.mark.needs("Chromium")
def test_a_page_is_opened_and_used_in_a_browser():
    typical, most = run("page.py", "--networks", 60, "--rounds", 1)  # of scrolling to the end
    assert 0 < typical == most
