"""Files of a newer nnlc, or that somebody edited: refused in words, and nothing is changed."""

import hashlib
import io
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from picture_samples import write_tables
from table_samples import tree
from typer.testing import CliRunner
from worker_jobs import ONE, run_worker, write_campaign

import nnlc
from nnlc.calibration.machines import fitted_machines, write_machines
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import NnlcError, ResultsError
from nnlc.results.campaign_file import RECORD_KEYS, _digest
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.results.journal import Journal
from nnlc.system.newer_format import is_newer, too_new
from nnlc.system.process import this_process
from nnlc.system.toml_file import read_toml
from nnlc.training.checkpoint import Checkpoints
from nnlc.upgrading.upgrade import upgrade

NEWER = "9.0.0"
INSTALL = f"nnlc {NEWER} has written it: install that or a later one (this is {nnlc.__version__})"
VERBS = ("status", "retry", "upgrade", "calibrate", "cancel", "report", "serve", "verify")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A campaign, and its finished results folder."""
    folder = tmp_path_factory.mktemp("made")
    campaign = load_campaign(write_campaign(folder, ONE))
    results = ResultsFolder(folder / "results")
    results.open(campaign)
    networks = list(campaign.networks())
    write_tables(results.path, networks, campaign.half_epochs)
    Journal(results.journal_folder).write("finish", id=networks[0].spec.id)
    return folder


@pytest.fixture
def results(made, tmp_path):
    return Path(shutil.copytree(made / "results", tmp_path / "results"))


def what_it_says(*words):
    """What a command prints, its error included."""
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, NnlcError), done.exception
        return f"{done.output}{done.exception}"
    return done.output


def edit(path, old, new):
    text = path.read_text()
    assert re.search(old, text), text
    path.write_text(re.sub(old, new, text, count=1))


@pytest.fixture
def of_0_1_0(results):
    """As 0.1.0 would have begun it."""
    head = r"results_format = .*\nnnlc = .*\ndigest = .*"
    edit(results / "campaign.toml", head, "results_format = 1")
    return results


def newer_folder(results):
    edit(
        results / "campaign.toml",
        r"results_format = \d+\nnnlc = .*",
        f'results_format = 99\nnnlc = "{NEWER}"',
    )


def newer_keys(results):
    """In a format that is known, but for a key."""
    path = results / "campaign.toml"
    edit(path, r'\nnnlc = ".*"', f'\nnnlc = "{NEWER}"')
    edit(path, r"\[training\]", '[training]\noptimizer_state = "some"')
    edit(path, r'\ndigest = ".*"', f'\ndigest = "{digest_of(path)}"')


def digest_of(path):
    """As that nnlc would have written it."""
    values = tomllib.loads(path.read_text())
    return _digest({key: value for key, value in values.items() if key not in RECORD_KEYS})


def newer_journal(results):
    path = min((results / "journal").glob("*.jsonl"))
    edit(path, r'"format": \d+, "nnlc": "[^"]*"', f'"format": 99, "nnlc": "{NEWER}"')


@pytest.mark.parametrize("newer", [newer_folder, newer_keys, newer_journal])
def test_a_results_folder_of_a_newer_nnlc_is_refused_with_the_version_to_install(
    made, results, tmp_path, newer
):
    newer(results)
    before = tree(tmp_path)
    for verb in VERBS:
        if verb == "cancel" and newer is newer_journal:
            continue  # which asks no journal
        output = ["-o", tmp_path / "page.html"] if verb == "report" else []
        assert INSTALL in what_it_says(verb, results, *output), verb
    submit = ("submit", made / "tiny.toml", "--site", "slurm", "--dry-run", "--results", results)
    assert newer is newer_journal or INSTALL in what_it_says(*submit)
    plan = ("plan", made / "tiny.toml", "--site", "summit", "--results", results)
    assert INSTALL in what_it_says(*plan)
    # Its lines are cut off.
    assert "install that or a later one" in what_it_says("audit", results)
    job = run_worker(made / "tiny.toml", "--results", results)
    assert (job.returncode, job.stderr.count(INSTALL)) == (1, 1), job.stdout + job.stderr
    assert tree(tmp_path) == before


def edited_training(results):
    edit(results / "campaign.toml", 'pooling = "max"', 'pooling = "average"')


def edited_seed(results):
    edit(results / "campaign.toml", r"seed = \d+", "seed = 12")


def edited_digest(results):
    edit(results / "campaign.toml", r'digest = "', 'digest = "0')


def edited_format(results):
    """As if an older nnlc were to use it."""
    edited_seed(results)
    edit(results / "campaign.toml", r"results_format = \d+", "results_format = 1")


@pytest.mark.parametrize("edited", [edited_training, edited_seed, edited_digest, edited_format])
def test_a_campaign_toml_that_was_edited_is_refused_by_all(made, results, tmp_path, edited):
    """Or tables of two campaigns would stand side by side, and nothing would tell."""
    edited(results)
    before = tree(tmp_path)
    words = f"{results / 'campaign.toml'}: was edited"
    for verb in VERBS:
        output = ["-o", tmp_path / "page.html"] if verb == "report" else []
        assert words in what_it_says(verb, results, *output), verb
    assert "was edited" in what_it_says("audit", results)
    job = run_worker(made / "tiny.toml", "--results", results)
    assert job.returncode == 1
    assert words in job.stderr
    assert tree(tmp_path) == before


def test_what_no_table_depends_on_may_be_edited(results):
    edit(results / "campaign.toml", r"\[run\]", "# mine\n[run]")
    edit(results / "campaign.toml", r"attempts = \d+", "attempts = 7")
    assert ResultsFolder(results).campaign().run.attempts == 7


@pytest.mark.parametrize(
    "form",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\t"),
        lambda text: text.replace("\nseed = 11", '\n"seed"  =  1_1 # mine'),
        lambda text: text.replace("02 03:", "02T03:"),
        lambda text: re.sub(r"(?s)(\nseed.*?)(\nstamp.*?)\n", r"\2\1\n", text),
        lambda text: re.sub(r"(?s)(\[training\].*?)(\[space\].*)", r"\2\n\1", text),
    ],
    ids=["mark", "line ends", "indented", "spaced", "time", "keys moved", "tables moved"],
)
def test_an_edit_of_the_form_alone_is_none(results, form):
    path = results / "campaign.toml"
    before, campaign = path.read_text(), ResultsFolder(results).campaign()
    path.write_bytes(form(before).encode())
    assert path.read_bytes() != before.encode()
    assert ResultsFolder(results).campaign() == campaign


def test_datasets_in_another_order_are_an_edit():
    """IDs are numbers in their order."""
    two = {"a": {"networks_per_depth": 1}, "b": {"networks_per_depth": 1}}
    assert _digest({"datasets": two}) != _digest({"datasets": dict(reversed(two.items()))})


def test_an_edited_campaign_of_0_1_0_shows_in_its_tables_and_is_not_rewritten(of_0_1_0, tmp_path):
    """It has no digest."""
    results = of_0_1_0
    assert "format 1 becomes 5" in what_it_says("upgrade", results, "--dry-run")
    edited_seed(results)
    before = tree(tmp_path)
    told = what_it_says("upgrade", results)
    assert "1 table can't be used" in told
    assert "is of another network than the campaign's" in told
    assert told.endswith("'nnlc retry' first. Nothing was changed")
    assert tree(tmp_path) == before


def test_machines_of_a_newer_nnlc_are_passed_over_with_the_version_to_install(results):
    path = results / "machines.toml"
    path.write_text(f'format = 99\nnnlc = "{NEWER}"\nfuture = 1\n')
    assert INSTALL in fitted_machines(ResultsFolder(results))[1]


def test_machines_and_checkpoints_say_which_nnlc_has_written_them(results, tmp_path):
    """Campaigns, journals and exports: above and below."""
    write_machines(ResultsFolder(results), [])
    assert read_toml(results / "machines.toml", ResultsError)["nnlc"] == nnlc.__version__
    Checkpoints(tmp_path, "a", {}).save({})
    [head] = Checkpoints(tmp_path, "a", {"epochs": 2}).foreign(checkpoints_in(tmp_path)["a"])
    assert (head.nnlc, head.differences) == (nnlc.__version__, [("epochs", "None", "2")])


def test_an_export_of_a_newer_nnlc_is_refused_with_the_version_to_install(results, tmp_path):
    CliRunner().invoke(app, ["export", str(results), "-o", str(tmp_path / "out")])
    path = tmp_path / "out" / "export.json"
    about = json.loads(path.read_text())
    assert about["nnlc"] == nnlc.__version__
    path.write_text(json.dumps(about | {"nnlc_export": 99, "nnlc": NEWER}))
    before = tree(tmp_path)
    for words in (
        ("import", tmp_path / "out", "-o", tmp_path / "again"),
        ("export", results, "-o", tmp_path / "out"),
    ):
        assert INSTALL in what_it_says(*words)
    assert tree(tmp_path) == before


def test_a_checkpoint_of_a_newer_nnlc_is_left_alone_with_the_version_to_install(tmp_path):
    content, file = {"about": {"format": 99}, "nnlc": NEWER, "state": {}}, io.BytesIO()
    torch.save(content, file)
    data = file.getvalue()
    path = tmp_path / "a.newer.ckpt"
    path.write_bytes(data + hashlib.sha256(data).hexdigest().encode())
    checkpoints = Checkpoints(tmp_path, "a", {})
    [(found, reason)] = checkpoints.load()[1]
    assert found == path
    assert INSTALL in reason
    [head] = checkpoints.foreign([path.name])
    assert (head.path, head.seconds, head.nnlc) == (path, 0.0, NEWER)
    assert ("format", "99", "2") in head.differences


@pytest.mark.parametrize(
    ("found", "made_by", "words"),
    [
        (3, "0.4", "nnlc 0.4 has written it"),
        (3, "0.4; rm -rf /", "use the nnlc that has written it"),
        (3, None, "use the nnlc that has written it"),
    ],
)
def test_only_a_version_is_told_as_one(found, made_by, words):
    assert words in too_new(Path("file"), found, 2, made_by)


@pytest.mark.parametrize("found", [1, 2, None, "3", True, 3.0])
def test_what_is_no_newer_number_is_not_called_newer(found):
    assert too_new(Path("file"), found, 2, NEWER) is None


def test_versions_are_compared_by_their_numbers(monkeypatch):
    monkeypatch.setattr("nnlc.system.newer_format.__version__", "0.10.0")
    assert [is_newer(v) for v in ("0.9.0", "0.10.0", "0.10.1", "1.0", "x", None)] == [
        False, False, True, True, False, False,
    ]  # fmt: skip


def a_job_begins(results):
    Journal(results / "journal").write("job", process=this_process(), ranks=[])


def another_upgrade(results):
    assert "rewritten" in what_it_says("upgrade", results)


@pytest.mark.parametrize(
    ("between", "words"),
    [(a_job_begins, "is at work there"), (another_upgrade, "was rewritten; upgrade again")],
)
def test_upgrading_waits_for_who_came_while_it_looked(of_0_1_0, tmp_path, between, words):
    """Tables and checkpoints may take minutes."""
    lines = upgrade(ResultsFolder(of_0_1_0))
    next(lines)
    between(of_0_1_0)
    before = tree(tmp_path)
    with pytest.raises(ResultsError, match=words):
        list(lines)
    assert tree(tmp_path) == before


def test_upgrading_waits_for_a_job_that_is_at_work(of_0_1_0, tmp_path):
    a_job_begins(of_0_1_0)
    before = tree(tmp_path)
    assert "not now: the job of" in what_it_says("upgrade", of_0_1_0, "--dry-run")
    assert "is at work there" in what_it_says("upgrade", of_0_1_0)
    assert tree(tmp_path) == before


def test_upgrading_tells_of_what_it_can_not_read(results):
    for name in ("checkpoints", "journal"):
        shutil.rmtree(results / name)
        (results / name).write_text("")
    told = what_it_says("upgrade", results)
    for name in ("checkpoints", "journal"):
        assert f"{results / name}: is a file where a folder is expected; it is ignored" in told
    assert "checkpoints: none that can be read" in told
