"""Images of a user's own are known to every reader of tables, by the campaign beside them."""

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_samples import never_learning
from image_files import npz
from typer.testing import CliRunner

import nnlc
from nnlc import load_campaign, load_tables
from nnlc.cli import app
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Table, write_table
from nnlc.training.own_images import describe_npz

PACKAGE = Path(nnlc.__file__).parent
HEAD = 'name = "own"\nseed = 1\nstamp = 2026-02-01T00:00:00\nepochs = 40\n'
SPACE = "[space]\nbatch_size = [5, 10]\nfilters = [1, 16]\nkernel = [1, 3]\n"


@pytest.fixture
def results(tmp_path):
    """A results folder of two networks on images of which 9 in 10 have one label.

    The first learned what is commonest, and the second more.
    """
    draw = np.random.default_rng(1)
    labels = np.where(np.arange(1000) % 10 == 0, np.arange(1000) // 10 % 4, 1)
    pixels = draw.integers(0, 256, (1000, 1, 12, 12), np.uint8)
    arrays = {
        "train_images": pixels[:200],
        "train_labels": labels[:200],
        "validation_images": pixels[200:],
        "validation_labels": labels[200:],
    }
    (tmp_path / "mine.npz").write_bytes(npz(arrays))
    block = describe_npz(tmp_path / "mine.npz")
    (tmp_path / "own.toml").write_text(
        HEAD
        + SPACE
        + block.replace("networks_per_depth = 1", "networks_per_depth = 2\ndepths = [1, 1]")
    )
    folder = ResultsFolder(tmp_path / "r")
    campaign = load_campaign(tmp_path / "own.toml")
    folder.open(campaign)
    for number, network in enumerate(campaign.networks()):
        validated = 800 // network.spec.batch_size * network.spec.batch_size
        accuracy = 100 * round(validated * (0.92, 0.99)[number]) / validated
        flat = never_learning(network.spec, network.images, 0.0)
        rows = tuple(replace(row, val_accuracy_percent=accuracy) for row in flat)
        write_table(Table(network.spec, rows), folder.table_path(network.images, network.spec))
    return folder.path


def _run(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exception is None, done.output
    return done.output


def test_who_never_learned_is_told_by_the_commonest_label(results):
    for path in (results, results / "mine_models"):
        assert nnlc.metrics(load_tables(path))["never_learned"].tolist() == [True, False]


def test_show_plot_report_and_subset_know_them(results, tmp_path):
    table = min((results / "mine_models").iterdir())
    assert "1×12×12" in _run("show", table)
    assert "not known" not in _run("plot", results, "-o", tmp_path / "a.png")
    assert "1 never learned" in _run("plot", results / "mine_models", "-o", tmp_path / "b.png")
    assert "1 of 2 tables" in _run("subset", results, "-o", tmp_path / "s", "--never-learned")
    nnlc.write_report(results / "mine_models", tmp_path / "c.html")
    assert '"mine"' in (tmp_path / "c.html").read_text()


@pytest.mark.parametrize(
    "campaign", [None, b"", b"datasets = 1", b"[datasets.mine]\nclasses = 'a'"]
)
def test_without_a_campaign_that_tells_of_them_nobody_guesses(results, campaign):
    file = results / "campaign.toml"
    file.unlink()
    if campaign is not None:
        file.write_bytes(campaign)
    assert nnlc.metrics(load_tables(results / "mine_models"))["never_learned"].isna().all()
    assert "is not known" in _run("show", min((results / "mine_models").iterdir()))


def test_a_start_writes_down_where_the_images_lie_now(results, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("mine.npz", "own.toml", "r"):
        shutil.move(tmp_path / name, moved / name)
    (moved / "own.toml").write_text(
        (moved / "own.toml").read_text().replace(str(tmp_path / "mine.npz"), "mine.npz")
    )
    folder = ResultsFolder(moved / "r")
    before = folder.campaign()
    folder.open(load_campaign(moved / "own.toml"))
    after = folder.campaign()
    assert after.datasets["mine"].npz == str(moved / "mine.npz")
    put_back = before.datasets["mine"].model_copy(update={"npz": str(moved / "mine.npz")})
    assert after == before.model_copy(update={"datasets": {"mine": put_back}})
    written = folder.campaign_file.stat().st_mtime_ns
    folder.open(load_campaign(moved / "own.toml"))
    assert folder.campaign_file.stat().st_mtime_ns == written
    folder.open(before)  # as a job does that was submitted before the images were moved
    assert folder.campaign() == after


def test_a_start_that_writes_it_down_leaves_the_format_as_it_was(results, tmp_path):
    """Or the nnlc that has begun the folder could not go on there."""
    file = results / "campaign.toml"
    head = r"results_format = .*\nnnlc = .*\ndigest = .*"
    file.write_text(re.sub(head, "results_format = 1", file.read_text()))
    (tmp_path / "mine.npz").rename(tmp_path / "now.npz")
    campaign = tmp_path / "own.toml"
    campaign.write_text(campaign.read_text().replace("mine.npz", "now.npz"))
    before = file.read_text()
    ResultsFolder(results).open(load_campaign(campaign))
    assert file.read_text() == before.replace("mine.npz", "now.npz")


def test_missing_images_name_the_way_to_say_where_they_are(results, tmp_path):
    (tmp_path / "mine.npz").unlink()
    done = CliRunner().invoke(app, ["verify", str(results)])
    assert "is missing" in str(done.exception)
    assert "'nnlc verify' with --campaign" in str(done.exception)
    assert "describe" not in str(done.exception)


KNOW_NAMES_ONLY = {
    "networks/image_sets.py",
    "networks/__init__.py",
    "campaign/dataset_section.py",
    "tables/images_of_table.py",
    "tables/val_loss_correction.py",  # the article's tables alone
    "training/origin.py",  # has the campaign, if there is one
    "training/own_images.py",  # names that are taken
    "training/family_check_process.py",  # names that a user may give
    "auditing/standards.py",  # the article
    "collection/selection.py",  # names of folders, as the next two
    "collection/sources.py",
    "plotting/style.py",
}
"""Modules that may ask for a known image set by its name: all others ask whose table it is."""


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_whoever_reads_tables_asks_for_their_images_in_the_one_way(path):
    words = {"image_set_of_table", "KNOWN_IMAGE_SETS"}
    names = {
        node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        for node in ast.walk(ast.parse(path.read_text()))
    }
    assert not (words & names) or str(path.relative_to(PACKAGE)) in KNOW_NAMES_ONLY
