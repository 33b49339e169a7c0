"""Campaigns that end networks early: what their tables hold, and what is still refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from worker_jobs import TWO, events, run_worker, tables

from nnlc.analysis.stop_ends import wrong_ends
from nnlc.campaign.campaign import load_campaign
from nnlc.errors import CampaignError

LONG = TWO.replace("epochs = 1", "epochs = 3")
RULE = "penguin:points=2:tolerance=5"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results with the rule and without it, as a benchmark trains them, and the jobs' logs."""
    folder = tmp_path_factory.mktemp("stopping")
    (folder / "tiny.toml").write_text(LONG)
    script = Path(__file__).parent.parent / "benchmarks" / "stopping.py"
    words = [folder / "tiny.toml", "--stop", RULE, "--ranks", "1", "--folder", folder]
    job = subprocess.run([sys.executable, script, *words], stdout=subprocess.PIPE, text=True)
    assert job.returncode == 0
    assert job.stdout.splitlines()[-1].endswith("to the byte: 2 of 2 tables")
    places = [folder / name for name in ("stopped", "whole")]
    return [(p / "campaign.toml", p / "results", (p / "log").read_text()) for p in places]


def test_a_stopped_table_is_the_beginning_of_the_whole_one(trained):
    (_, stopped, _), (_, whole, _) = trained
    ours, others = tables(stopped), tables(whole)
    assert ours.keys() == others.keys()
    assert all(others[name].startswith(content) for name, content in ours.items())
    assert sum(map(len, ours.values())) < sum(map(len, others.values()))


def test_the_journal_and_the_log_say_where_and_what_was_predicted(trained):
    (_, stopped, log), (_, whole, _) = trained
    lengths = {name: content.count(b"\n") - 1 for name, content in tables(stopped).items()}
    said = [event["stop"] for event in events(stopped, "finish") if event["stop"]["stopped"]]
    assert len(said) == sum(length < 6 for length in lengths.values()) > 0
    assert log.count("stopped at epoch") == len(said)
    assert not any(event.get("stop") for event in events(whole, "finish"))


def test_a_second_start_finds_short_tables_whole_without_a_journal(trained, tmp_path):
    (campaign, stopped, _), _ = trained
    results = tmp_path / "r"
    shutil.copytree(stopped, results)
    shutil.rmtree(results / "journal")
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 0, job.stdout + job.stderr
    assert tables(results) == tables(stopped)


def test_a_table_that_was_cut_off_is_named_and_left_alone(trained, tmp_path):
    (campaign, stopped, _), _ = trained
    results = tmp_path / "r"
    shutil.copytree(stopped, results)
    shutil.rmtree(results / "journal")
    path = next(iter(sorted(results.glob("*_models/*.txt"))))
    cut = b"".join(path.read_bytes().splitlines(keepends=True)[:-1])
    path.write_bytes(cut)
    job = run_worker(campaign, "--results", results)
    assert job.returncode == 3
    assert path.name in job.stdout
    assert "Traceback" not in job.stderr
    assert path.read_bytes() == cut


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        ("pinguin", "penguin"),
        ("last1", "never stops"),
        ("penguin:epoch=7", "the campaign's last is 3"),
        ("penguin:speed=1", "no setting 'speed'"),
        ("penguin:points", "is no setting"),
        ("menndl", "can't stop before epoch 10.5, and its last epoch is 3"),
    ],
)
def test_a_rule_that_cant_be_is_refused_with_what_would_be_right(tmp_path, stop, word):
    path = tmp_path / "wrong.toml"
    path.write_text(LONG.replace("epochs = 3\n", f'epochs = 3\nstop = "{stop}"\n'))
    with pytest.raises(CampaignError) as caught:
        load_campaign(str(path))
    assert word in str(caught.value)
    assert "stop" in str(caught.value)


def test_none_and_nothing_are_the_same_campaign(tmp_path):
    path = tmp_path / "none.toml"
    path.write_text(LONG.replace("epochs = 3\n", 'epochs = 3\nstop = "none"\n'))
    assert load_campaign(str(path)).stop is None


def test_only_where_the_rule_ends_a_curve_is_its_end():
    flat = np.full((40, 3), 50.0)  # PENGUIN's third fit agrees with its first two
    (none,) = wrong_ends([flat[:4]], 40, "penguin")
    cut, long = wrong_ends([flat[:3], flat[:9]], 40, "penguin")
    assert none is None
    assert "does not stop it there" in cut.problem
    assert "stops it after 4" in long.problem
    assert (cut.line, long.line) == (5, 6)
