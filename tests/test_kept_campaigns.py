"""Campaigns kept by merge and subset, and IDs that a campaign shares with the one it extends."""

import csv
import shutil
import sys
from html import unescape
from itertools import islice

import pytest
from audit_samples import CAMPAIGN, GOOD, PLACE, write_results
from table_samples import tree
from typer.testing import CliRunner

from nnlc import audit, export_tables, load_campaign, merge_tables, read_table, subset_tables
from nnlc.campaign.shared_ids import shared_ids
from nnlc.cli import app
from nnlc.errors import ResultsError
from nnlc.results.folder import ResultsFolder
from nnlc.tables import Table, write_table
from nnlc.tables.campaign_files import CampaignFiles
from nnlc.training.origin import campaign_of
from nnlc.verification.tables_to_verify import read_tables_to_verify

OTHER = (
    CAMPAIGN.replace('"mine"', '"other"')
    .replace("seed = 11", "seed = 12")
    .replace("2026-01-31", "2026-02-01")
    + '\n[training]\npooling = "average"\n'
)


@pytest.fixture
def merged(tmp_path):
    """A subset of a merge of two results folders and a download, and a path of each campaign."""
    campaigns = [write_results(tmp_path / "a"), write_results(tmp_path / "b", OTHER)]
    path = tmp_path / "download" / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    merge_tables([tmp_path / "a", tmp_path / "b"], tmp_path / "two")
    merge_tables([tmp_path / "two", tmp_path / "download"], tmp_path / "all", link=True)
    chosen = [one.spec.id for each in campaigns for one in islice(each.networks(), 4)]
    subset_tables(tmp_path / "all", tmp_path / "some", [*chosen, path.stem])
    models = tmp_path / "some" / "F-MNIST-sample_models"
    return tmp_path / "some", [models / f"{chosen[i]}.txt" for i in (0, 4)]


def test_each_table_of_a_subset_keeps_the_campaign_of_its_folder_byte_for_byte(tmp_path, merged):
    folder, tables = merged
    files = CampaignFiles()
    for table, source in zip(tables, ("a", "b"), strict=True):
        campaign = files.of(table)
        assert campaign.read_bytes() == (tmp_path / source / "campaign.toml").read_bytes()
        assert campaign.parent == folder / "campaigns"
        assert campaign_of(table).name == {"a": "mine", "b": "other"}[source]
    assert files.of(folder / PLACE) is None
    assert len(list((folder / "campaigns").iterdir())) == 2
    with (folder / "provenance.csv").open(newline="") as file:
        kept = {row["id"]: row["campaign"] for row in csv.DictReader(file)}
    assert kept[tables[0].stem] == files.of(tables[0]).name
    assert kept[PLACE.stem] == ""


def test_verify_and_rebuild_use_the_campaign_that_a_collection_keeps(merged):
    folder, tables = merged
    subjects, skipped = read_tables_to_verify([folder], None)
    assert (len(subjects), skipped) == (9, [])
    of = {subject.path: subject for subject in subjects}
    assert of[folder / PLACE].is_published
    assert [of[path].origin.settings.pooling for path in tables] == ["max", "average"]
    assert all(of[path].drawn == of[path].table.spec for path in tables)
    job = CliRunner().invoke(app, ["rebuild", str(tables[1])])
    assert "of campaign other" in job.stdout


def test_audit_checks_a_collection_against_its_campaigns_and_misses_no_table(merged):
    folder, tables = merged
    assert [one.rule.name for one in audit(folder).findings] == ["not-deterministic"]
    table = read_table(tables[1])
    write_table(Table(table.spec, table.rows[:-1]), tables[1])
    rules = {one.rule.name for one in audit(folder).findings}
    assert "half-epochs" in rules
    # With the other campaign's file, every table that it does not draw is named.
    kept = [CampaignFiles().of(path) for path in tables]
    kept[0].write_bytes(kept[1].read_bytes())
    found = [one for one in audit(folder).findings if one.rule.name == "beyond-campaign"]
    assert len(found) == 4


def test_a_results_folder_may_have_the_name_of_a_folder_of_campaigns(tmp_path):
    write_results(tmp_path / "campaigns")
    next((tmp_path / "campaigns").glob("*_models/*")).unlink()
    assert "missing-table" in {one.rule.name for one in audit(tmp_path / "campaigns").findings}


def test_an_edited_campaign_of_a_collection_is_refused_and_named(merged):
    folder, tables = merged
    file = CampaignFiles().of(tables[0])
    file.write_bytes(file.read_bytes().replace(b"epochs = 4", b"epochs = 5"))
    with pytest.raises(ResultsError, match=f"{file}: was edited"):
        read_tables_to_verify([folder], None)
    assert [one.path for one in audit(folder).findings if one.rule.name == "campaign-file"] == [
        file
    ]


def test_an_export_of_a_collection_names_its_campaigns(tmp_path, merged):
    export_tables(merged[0], tmp_path / "export")
    text = unescape((tmp_path / "export" / "datasheet.html").read_text())
    assert 'campaign "mine" (seed 11' in text
    assert 'campaign "other" (seed 12' in text


def test_a_collection_written_before_campaigns_were_kept_is_read_as_it_was(tmp_path, merged):
    folder, tables = merged
    shutil.rmtree(folder / "campaigns")
    lines = (folder / "provenance.csv").read_text().splitlines()
    old = "".join(line.rpartition(",")[0] + "\n" for line in lines)
    (folder / "provenance.csv").write_text(old)
    assert campaign_of(tables[1]) is None
    assert {one.rule.name for one in audit(folder).findings} == {"not-deterministic"}
    merge_tables(folder, tmp_path / "again")
    assert "campaigns" not in "".join(tree(tmp_path / "again"))
    assert "b/F-MNIST-sample_models" in (tmp_path / "again" / "provenance.csv").read_text()


@pytest.mark.parametrize("link", [False, True])
def test_kept_weights_come_along_with_their_tables_alone(tmp_path, link):
    campaign = write_results(tmp_path / "a")
    (tmp_path / "a" / "weights").mkdir()
    first, second, *_ = (f"{one.spec.id}.safetensors" for one in campaign.networks())
    for name in (first, second):
        (tmp_path / "a" / "weights" / name).write_text(name)
    subset_tables(tmp_path / "a", tmp_path / "some", [first.partition(".")[0]], link=link)
    shutil.copytree(tmp_path / "some", tmp_path / "without")
    shutil.rmtree(tmp_path / "without" / "weights")
    merge_tables([tmp_path / "without", tmp_path / "some"], tmp_path / "again", link=link)
    (kept,) = (tmp_path / "again" / "weights").iterdir()
    assert (kept.name, kept.read_text()) == (first, first)
    assert (kept.stat().st_nlink == 3) is link
    assert {one.rule.name for one in audit(tmp_path / "again").findings} == set()


def test_a_campaign_that_can_not_be_read_is_named_and_no_table_is_lost(tmp_path):
    write_results(tmp_path / "a")
    file = tmp_path / "a" / "campaign.toml"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    done = merge_tables(tmp_path / "a", tmp_path / "out")
    assert done.tables == 6
    assert [one.path for one in done.skipped] == [file]
    assert "the campaign is not kept" in str(done.skipped[0])


def test_a_campaign_is_told_which_ids_it_shares_with_the_one_that_it_extends(tmp_path):
    (tmp_path / "base.toml").write_text(CAMPAIGN)
    mine = tmp_path / "more.toml"

    def note(text):
        mine.write_text(f'extends = "base.toml"\nname = "more"\n{text}')
        return "".join(shared_ids(str(mine), load_campaign(mine)))

    words = note("")
    assert (
        f"{mine} has the stamp of {load_campaign(tmp_path / 'base.toml').name}, which it extends"
        in words
    )
    assert "2026_01_31_12_00_00_000000 to 2026_01_31_12_00_00_000005" in words
    assert "add seed = " in words
    own = {
        key: words.partition(f"{key} = ")[2].split(",")[0].split()[0] for key in ("seed", "stamp")
    }
    assert "add stamp = " in note(f"seed = {own['seed']}")
    assert note(f"seed = {own['seed']}\nstamp = {own['stamp']}") == ""
    assert note(f"stamp = {own['stamp']}") == ""
    assert shared_ids("smoke", load_campaign("smoke")) == []
    (tmp_path / "base.toml").write_text(CAMPAIGN.replace("name = ", "# name = "))
    assert note("") == ""  # no campaign by itself


def test_only_the_first_start_of_a_campaign_tells_of_shared_ids(tmp_path, monkeypatch, capsys):
    from nnlc.ranks import lead

    (tmp_path / "more.toml").write_text('extends = "smoke"\nname = "more"\n')

    def stop(*_):
        raise InterruptedError

    monkeypatch.setattr(lead, "read_history", stop)
    options = type(
        "Options",
        (),
        {
            "campaign": str(tmp_path / "more.toml"),
            "results": None,
            "accept_code": False,
            "preflight": False,
        },
    )
    monkeypatch.chdir(tmp_path)
    for times in (1, 0):
        with pytest.raises(InterruptedError):
            lead.lead(None, 1, options)
        assert capsys.readouterr().out.count("which it extends") == times


def test_a_submission_tells_of_shared_ids_before_the_folder_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.toml").write_text('extends = "smoke"\nname = "more"\n')
    words = ["submit", "more.toml", "--site", "slurm", "--dry-run", "--python", sys.executable]
    for times in (1, 0):
        job = CliRunner().invoke(app, words)
        assert job.exit_code == 0, job.exception
        assert job.stderr.count("which it extends") == times
        ResultsFolder(tmp_path / "results" / "more").open(load_campaign("more.toml"))
