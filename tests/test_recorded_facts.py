"""What the journal records beside tables: in frames and metrics, and only if it makes sense."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frame_samples import id_of, write
from typer.testing import CliRunner

import nnlc
from nnlc.cli import app
from nnlc.families.article import walk_network
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.results.journal import Journal
from nnlc.tables.folder_names import CAMPAIGN_FILE

SECONDS = [1.5, 2.0, 0.25, 1.0, 3.0, 2.0]
CORRECT = [None, None, 100, 150, 175, 200]


@pytest.fixture
def folder(tmp_path):
    """Two tables of six half epochs in a collection; the journal is yet to be written."""
    (tmp_path / "kept" / "journal").mkdir(parents=True)
    (tmp_path / "kept" / CAMPAIGN_FILE).write_text("")
    for number in (1, 2):
        write(tmp_path / "kept" / "CIFAR-100_models", number, dataset="CIFAR100")
    return tmp_path / "kept"


def finish(folder: Path, number: int = 1, **changes: object) -> None:
    facts = {"half_epoch_seconds": SECONDS, "half_epoch_train_correct": CORRECT}
    facts |= {"half_epoch_train_images": 200, "seconds": 99.0}
    Journal(folder / "journal").write("finish", id=id_of(number), **(facts | changes))


def columns(tables, *names):
    return tables.curve(id_of(1))[[*names]].to_numpy().T.tolist()


def test_frames_have_the_training_accuracy_and_seconds_of_the_last_record_of_each_table(folder):
    finish(folder, half_epoch_seconds=[9.0] * 6)
    finish(folder)
    tables = nnlc.load_tables(folder)
    assert tables.skipped == ()
    accuracies, seconds = columns(tables, "train_accuracy_percent", "seconds")
    assert np.array_equal(accuracies, [math.nan, math.nan, 50, 75, 87.5, 100], equal_nan=True)
    assert seconds == SECONDS
    assert tables.networks["seconds"][0] == sum(SECONDS)
    other = tables.curve(id_of(2))[["train_accuracy_percent", "seconds"]]
    assert other.isna().all(axis=None)
    assert math.isnan(tables.networks["seconds"][1])
    found = nnlc.metrics(tables)
    assert found["train_accuracy_percent_final"][0] == 100
    gap = 100 - tables.curve(id_of(1))["val_accuracy_percent"].iloc[-1]
    assert found["accuracy_gap_points"][0] == gap
    assert nnlc.metrics(tables, epochs=(1, 2))["seconds"][0] == sum(SECONDS[1:4])
    assert nnlc.metrics(tables, columns=["seconds"])["seconds"][0] == sum(SECONDS)


@pytest.mark.parametrize(
    "facts",
    [
        {"half_epoch_train_correct": [1] * 5},
        {"half_epoch_train_correct": [1] * 5 + [201]},
        {"half_epoch_train_correct": [1] * 5 + [-1]},
        {"half_epoch_train_correct": [1] * 5 + [True]},
        {"half_epoch_train_correct": {"0": 1}},
        {"half_epoch_train_images": 0},
        {"half_epoch_train_images": None},
        {"half_epoch_train_images": 200.0},
        {"sha256": "of another table"},
    ],
)
def test_counts_that_make_no_sense_or_are_anothers_are_unknown(folder, facts):
    finish(folder, **facts)
    [accuracies] = columns(nnlc.load_tables(folder), "train_accuracy_percent")
    assert np.isnan(accuracies).all()


def test_the_journal_of_a_newer_version_is_named_and_the_tables_are_read(folder):
    finish(folder, format=99, nnlc="9.0.0")
    tables = nnlc.load_tables(folder)
    assert len(tables) == 2
    (skipped,) = tables.skipped
    assert "the journal was not read" in str(skipped)
    assert "nnlc 9.0.0 has written it: install that" in str(skipped)


def test_sizes_are_those_of_the_walk_and_missing_for_unknown_images(folder, tmp_path):
    path = write(tmp_path / "elsewhere", 3, dataset="unknown")
    other_classes = write(tmp_path / "elsewhere", 4, dataset="SVHN")
    tables = nnlc.load_tables([folder, path, other_classes])
    walk = walk_network(nnlc.read_table(path).spec, KNOWN_IMAGE_SETS["CIFAR-100"])
    wanted = [[walk.parameters, walk.multiply_adds]] * 2 + [[pd.NA, pd.NA]] * 2
    names = ["parameters", "multiply_adds"]
    expected = pd.DataFrame(wanted, columns=names, dtype="Int64")
    pd.testing.assert_frame_equal(tables.networks[names], expected, check_flags=False)
    pd.testing.assert_frame_equal(nnlc.metrics(tables)[names], expected, check_flags=False)


def test_commands_show_choose_by_and_keep_what_is_recorded(folder, tmp_path):
    finish(folder, 1)
    finish(folder, 2, half_epoch_seconds=[9.0] * 6)

    def run(*words):
        done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
        assert done.exit_code == 0, done.output

    run("subset", folder, "-o", tmp_path / "part", "--top", 1, "--by", "seconds")
    out = {"-o": tmp_path / "metrics.csv", "--curves": tmp_path / "curves.csv"}
    for _ in range(2):  # the second time, the files of the first are replaced
        run("metrics", tmp_path / "part", *(word for pair in out.items() for word in pair))
    measured, curves = map(pd.read_csv, out.values())
    assert measured["id"].tolist() == [id_of(2)]
    assert measured[["seconds", "accuracy_gap_points", "parameters"]].notna().all(axis=None)
    assert curves["seconds"].tolist() == [9.0] * 6
    assert curves["train_accuracy_percent"].tolist()[-1] == 100
