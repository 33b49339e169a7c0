"""Campaigns that grow: what `nnlc grow` accepts, which networks go on, and what tables are left."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from gatherer_jobs import Job, values_of
from safetensors.numpy import save_file
from typer.testing import CliRunner
from worker_jobs import TINY, tables, write_campaign

from nnlc.auditing.audit import audit
from nnlc.campaign.campaign import load_campaign, parse_campaign
from nnlc.cli import app
from nnlc.errors import ExitStatus, NnlcError, ResultsError
from nnlc.launching.forecast import forecast_campaign
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import State as Shown
from nnlc.results.campaign_file import in_words
from nnlc.results.folder import ResultsFolder
from nnlc.results.inventory import State, inventory
from nnlc.results.journal import Journal
from nnlc.results.retry import retry
from nnlc.results.status import read_status
from nnlc.schedulers.site import load_site
from nnlc.system.process import this_process
from nnlc.tables import Row, Table, parse_table, read_table, write_table
from nnlc.upgrading.queued import QueuedScripts

OLD = Path(__file__).parent / "old"
OWN = '[datasets.new]\nnetworks_per_depth = 1\ndepths = [1, 1]\nnpz = "new.npz"\n'
OWN += f'sha256 = "{"0" * 64}"\nchannels = 1\nwidth = 8\nclasses = 2\ntrain_images = 999\n'
OWN += "validation_images = 999\nlargest_class = 500\n"


def campaign_of(text):
    return parse_campaign(tomllib.loads(text), Path("campaign"))


def specs(campaign):
    return [network.spec for network in campaign.networks()]


def grow(folder: Path, text: str, *options: str):
    """Let the results folder of a `Job` in `folder` grow, by the command."""
    campaign = write_campaign(folder, text)
    words = ["grow", str(folder / "r"), str(campaign), *options]
    return CliRunner().invoke(app, words)


def grown(folder: Path, text: str) -> str:
    done = grow(folder, text)
    assert done.exit_code == 0, done.exception
    return done.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        assert Job(folder).begin().train_all() == ExitStatus.DONE
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A folder of six networks with all their tables, of one epoch."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    return Path(shutil.copytree(trained, tmp_path / "job"))


LONGER = TINY.replace("epochs = 1", "epochs = 2")
MORE = TINY.replace("per_depth = 3", "per_depth = 5")
DEEPER = TINY.replace("depths = [1, 2]", "depths = [1, 4]")
WIDER = TINY.replace("[space]", f"{OWN}[space]")


@pytest.mark.parametrize(
    "text", [LONGER, MORE, DEEPER, WIDER], ids=["longer", "more", "deeper", "wider"]
)
def test_networks_keep_id_and_seed_and_new_ones_come_behind(folder, text):
    before = campaign_of(TINY)
    said = grown(folder, text)
    assert ("6 tables stay as they are" in said) == (text != LONGER)
    after = ResultsFolder(folder / "r").campaign()
    assert specs(after)[: before.network_count] == specs(before)
    new = specs(after)[before.network_count :]
    assert len(new) == after.network_count - before.network_count
    ids = [spec.id for spec in specs(after)]
    assert ids == sorted(set(ids))
    # New networks of a depth are those that the larger campaign would draw from the start.
    drawn = {(s.dataset, len(s.conv_filters), s.random_seed) for s in specs(campaign_of(text))}
    assert {(s.dataset, len(s.conv_filters), s.random_seed) for s in specs(after)} == drawn


def test_a_campaign_grows_again_and_again(folder):
    grown(folder, MORE)
    first = specs(ResultsFolder(folder / "r").campaign())
    text = MORE.replace("depths = [1, 2]", "depths = [1, 3]").replace("epochs = 1", "epochs = 3")
    grown(folder, text)
    results = ResultsFolder(folder / "r")
    after = results.campaign()
    assert specs(after)[: len(first)] == first
    assert (after.first_epochs, after.earlier_half_epochs) == (1, {2})
    results.open(results.resolve(load_campaign(write_campaign(folder, text))))  # as a worker does
    with pytest.raises(
        ResultsError, match=r"belongs to another campaign: .*depths is \[1, 3\] there"
    ):
        results.open(results.resolve(campaign_of(MORE)))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seed = 11", "seed = 12", "seed is 11"),
        ("epochs = 1", "epochs = 1\ntraining.pooling = 'average'", "training.pooling"),
        ("kernel = [2, 4]", "kernel = [2, 3]", "space.kernel"),
        ("depths = [1, 2]", "depths = [2, 3]", "datasets.F-MNIST-sample.depths"),
        ("per_depth = 3", "per_depth = 2", "datasets.F-MNIST-sample.networks_per_depth is 3"),
        ('name = "tiny"', 'name = "other"', "name is 'tiny'"),
        ("epochs = 1", "epochs = 1\nrun.attempts = 2", "already"),
    ],
)
def test_what_differs_or_shrinks_is_refused_by_name(folder, old, new, key):
    before = (folder / "r" / "campaign.toml").read_bytes()
    refused = grow(folder, TINY.replace(old, new))
    assert isinstance(refused.exception, ResultsError)
    assert key in str(refused.exception)
    assert (folder / "r" / "campaign.toml").read_bytes() == before


def test_settings_of_run_change_alone_or_with_a_growth(folder):
    said = grown(folder, f"{TINY}[run]\nattempts = 9\n")
    assert "run.attempts: 2 becomes 9" in said
    assert "6 tables stay as they are" in said
    after = ResultsFolder(folder / "r").campaign()
    assert (after.run.attempts, after.grown_from) == (9, None)
    assert "run.keep: none becomes final" in grown(folder, f'{LONGER}[run]\nkeep = "final"\n')


def test_with_a_stop_rule_epochs_stay_and_networks_grow(tmp_path):
    text = TINY.replace("epochs = 1", 'epochs = 30\nstop = "menndl"')
    ResultsFolder(tmp_path / "r").open(campaign_of(text))
    refused = grow(tmp_path, text.replace("epochs = 30", "epochs = 31"))
    assert "a stop rule predicts the last epoch" in str(refused.exception)
    grown(tmp_path, text.replace("per_depth = 3", "per_depth = 4"))


@pytest.mark.parametrize(
    ("schedule", "grows"),
    [('"cosine"', False), ('"step"\nstep_epochs = 1', True), ('"constant"', True)],
)
def test_only_a_schedule_that_ends_with_the_last_epoch_keeps_epochs(schedule, grows, tmp_path):
    """Else the first rows of a grown table would not be those of one trained from the start."""
    text = f"{TINY}[training]\nschedule = {schedule}\n".replace("epochs = 1\n", "epochs = 2\n", 1)
    ResultsFolder(tmp_path / "r").open(campaign_of(text))
    refused = grow(tmp_path, text.replace("epochs = 2", "epochs = 3"))
    assert refused.exit_code == (0 if grows else 1)
    assert ("a cosine schedule ends with the last" in str(refused.exception)) is not grows
    more = refused if grows else grow(tmp_path, text.replace("per_depth = 3", "per_depth = 4"))
    assert more.exit_code == 0


def test_a_key_that_one_campaign_lacks_is_not_set():
    assert in_words({"stop": (None, "menndl")}).startswith("stop is 'menndl' there and not set in")


def test_a_start_with_the_larger_campaign_is_refused_and_says_how_to_grow(folder):
    with pytest.raises(ResultsError, match=r"nnlc grow .*/r CAMPAIGN"):
        Job(folder, epochs=2)
    with pytest.raises(ResultsError) as refused:
        ResultsFolder(folder / "r").open(campaign_of(TINY.replace("seed = 11", "seed = 12")))
    assert "grow" not in str(refused.value)


def test_a_folder_does_not_grow_while_a_job_runs_in_it(folder):
    journal = Journal(folder / "r" / "journal")
    journal.write("job", process=this_process())
    refused = grow(folder, LONGER)
    assert "is at work there; let it end, then grow" in str(refused.exception)
    journal.write("end")
    grown(folder, LONGER)


def test_a_folder_does_not_grow_while_a_queued_job_would_no_longer_fit_it(folder, monkeypatch):
    waiting = QueuedScripts("1 job in the queue", (("job 7: x.sh", "no"),), ("job 7: another",))
    monkeypatch.setattr("nnlc.upgrading.growing.judge_queue", lambda now, then: waiting)
    refused = grow(folder, LONGER)
    assert "nnlc cancel" in str(refused.exception)
    assert "epochs = 1" in (folder / "r" / "campaign.toml").read_text()
    assert "not now: job 7: another" in grow(folder, LONGER, "--dry-run").output


def test_a_dry_run_says_what_would_happen_and_writes_nothing(folder):
    keep(folder, Job(folder).id(0))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del before[folder / "tiny.toml"]
    said = grow(folder, MORE.replace("epochs = 1", "epochs = 2"), "--dry-run").output
    assert "epochs: 1 becomes 2" in said
    assert "networks_per_depth: 3 becomes 5" in said
    assert "1 network goes on from epoch 1 with kept weights" in said
    assert "5 networks start again, since the weights were not kept" in said
    assert "new networks: 4, behind the 6 of before" in said
    assert {path: path.read_bytes() for path in before} == before


def keep(folder, id_, half_epoch=2, *, goes_on=True):
    """Write kept weights whose header is right."""
    import numpy as np

    path = ResultsFolder(folder / "r").weights_path(id_)
    path.parent.mkdir(exist_ok=True)
    facts = {"format": "1", "half_epoch": str(half_epoch)} | ({"state": "{}"} if goes_on else {})
    save_file({"x": np.zeros(1)}, path, facts)


def go_on(job: Job, index: int, *, rows: int = 0) -> None:
    """A network is trained to its end; its first rows come with its kept state."""
    if rows:
        known = [values_of(index, number) for number in range(1, rows + 1)]
        job.say(0, kind="resumed", trainer=0, index=index, rows=known, step=0)
    job.finish(0, index, first=rows + 1)


def test_old_tables_stay_new_ids_come_behind_and_the_longer_tables_are_those_from_the_start(
    folder, tmp_path
):
    before = tables(folder / "r")
    for index in range(3):
        keep(folder, Job(folder).id(index))
    grown(folder, MORE.replace("epochs = 1", "epochs = 2"))
    assert tables(folder / "r") == before
    job = Job(folder, epochs=2, networks_per_depth=5).begin()
    assert len(job.work.networks) == 10
    while not job.leaving:
        _, index = job.handed_out[-1]
        path = job.path(index)
        here = path.read_bytes() if path.exists() else b""
        assert here == before.get(str(path.relative_to(folder / "r")), b"")
        go_on(job, index, rows=2 if index < 3 else 0)
        assert len(read_table(path).rows) == 4
        assert path.read_bytes().startswith(here)
    assert job.part() == ExitStatus.DONE
    whole = Job(tmp_path / "whole", epochs=2).begin()
    assert whole.train_all() == ExitStatus.DONE
    assert tables(tmp_path / "whole" / "r").items() <= tables(folder / "r").items()
    assert Job(folder, epochs=2, networks_per_depth=5).status == ExitStatus.DONE


def test_only_what_is_left_of_a_network_with_kept_weights_counts_as_its_cost(folder):
    keep(folder, Job(folder).id(0))
    keep(folder, Job(folder).id(1), goes_on=False)
    keep(folder, Job(folder).id(2), half_epoch=1)
    grown(folder, LONGER)
    job = Job(folder, epochs=2).begin()
    assert job.work.kept == {0: 2, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    seconds = job.gatherer._hand_out.backlog.seconds
    fresh = Job(folder.parent / "fresh", epochs=2).begin().gatherer._hand_out.backlog.seconds
    assert seconds[0] == pytest.approx(fresh[0] / 2)
    assert {i: seconds[i] for i in range(1, 6)} == {i: fresh[i] for i in range(1, 6)}
    plans = [
        forecast_campaign(job.campaign, load_site("summit"), ResultsFolder(place / "r"))
        for place in (folder, folder.parent / "fresh")
    ]
    shares = [f.seconds / other.seconds for f, other in zip(*(p.left for p in plans), strict=True)]
    assert shares == pytest.approx([0.5, 1, 1, 1, 1, 1])


def test_failed_networks_are_named_and_counted_nowhere_else(folder):
    results, id_ = ResultsFolder(folder / "r"), Job(folder).id(0)
    keep(folder, id_)
    Journal(results.journal_folder).write("failure", id=id_, reason="ValueError: x", attempts=3)
    said = grown(folder, LONGER)
    assert "1 network has failed: 'nnlc retry " in said
    assert "goes on" not in said
    assert "5 networks start again" in said


def test_a_table_that_the_longer_one_does_not_continue_is_put_aside(folder):
    job = Job(folder)
    path = job.path(0)
    other = Table(read_table(path).spec, (Row(9.0, 9.0, 9.0), Row(8.0, 8.0, 8.0)))
    write_table(other, path)
    grown(folder, LONGER)
    job = Job(folder, epochs=2).begin()
    assert job.train_all() == ExitStatus.DONE
    assert len(read_table(path).rows) == 4
    [aside] = (folder / "r" / "aside").rglob("*.txt")
    assert parse_table(aside.read_bytes()) == other
    [said] = [line for line in job.progress.messages if "aside" in line]
    assert "another device or with another version" in said


def test_a_grown_folder_is_shown_as_it_is_by_all(folder):
    path, id_ = Job(folder).path(0), Job(folder).id(1)
    keep(folder, id_)
    grown(folder, LONGER)
    Job(folder, epochs=2).path(0).write_bytes(b"damaged")
    results = ResultsFolder(folder / "r")
    campaign = results.campaign()
    entries = inventory(results, campaign, list(campaign.networks())).entries
    assert [entry.state for entry in entries.values()] == [State.DAMAGED, *[State.SHORT] * 5]
    [counts] = read_status(results).datasets.values()
    assert (counts.done, counts.waiting, counts.short, counts.rows) == (0, 5, 5, 2)
    journal, gpu = Journal(results.journal_folder), {"name": "A100"}
    journal.write("job", ranks=[{"devices": [gpu]}])
    journal.write("finish", id=id_, seconds=1000.0, device=gpu)
    told, shown = run("status", folder / "r"), CampaignFolder(results).look()
    assert "5 tables are from before the campaign grew" in told
    assert shown.lines[-1].startswith("about ")
    assert shown.lines[-1] in told
    assert [(one.state, len(one.curve), one.half_epochs) for one in shown.states[1:]] == [
        (Shown.WAITING, 2, 2),
        *[(Shown.WAITING, 2, 0)] * 4,
    ]
    found = audit([folder / "r"]).findings
    assert not any(one.rule.name == "half-epochs" for one in found if one.path != path)
    assert any("5 tables are from before the campaign grew" in one.found for one in found)
    journal.write("failure", id=id_, reason="x", attempts=3)
    assert any(f"{id_} is no longer failed" in line for line in retry(results))
    assert not path.exists()
    assert "0 of 6 stay valid, and 5 networks go on" in run("upgrade", folder / "r", "--dry-run")


def run(*words):
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_table_of_any_other_length_is_damaged_as_before(folder):
    grown(folder, LONGER)
    job = Job(folder, epochs=2)
    path = job.path(0)
    table = read_table(path)
    for rows in (1, 3, 5):
        write_table(Table(table.spec, (table.rows * 3)[:rows]), path)
        campaign = job.results.campaign()
        [entry, *_] = inventory(job.results, campaign, job.networks).entries.values()
        assert entry.state is State.DAMAGED, rows


def test_an_edited_campaign_toml_of_a_campaign_that_has_grown_is_refused(folder):
    text = (folder / "r" / "campaign.toml").read_text()
    assert "grown_from" not in text
    grown(folder, LONGER)
    text = (folder / "r" / "campaign.toml").read_text()
    assert "grown_from" in text
    (folder / "r" / "campaign.toml").write_text(text.replace("epochs = 1", "epochs = 2"))
    with pytest.raises(ResultsError, match="was edited"):
        ResultsFolder(folder / "r").campaign()


def test_generations_with_more_networks_than_the_campaign_are_refused():
    more = campaign_of(MORE)
    with pytest.raises(NnlcError, match="grown_from has more networks or epochs"):
        parse_campaign(
            {**tomllib.loads(TINY), "grown_from": [more.generation.model_dump()]}, Path("c")
        )


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_the_folder_of_an_older_nnlc_grows(tmp_path, version):
    place = Path(shutil.copytree(OLD / version, tmp_path / "old"))
    results = ResultsFolder(place / "half-done")
    shutil.rmtree(results.jobs_folder)
    for path in results.leases_folder.glob("*.job"):
        here = this_process() | {"started": "before"}
        path.write_text(json.dumps(json.loads(path.read_text()) | here))
    for path in results.journal_folder.glob("*.json"):  # of jobs that were killed long ago
        path.unlink()
    before, found = tables(results.path), specs(results.campaign())
    base = place / "base.toml"
    text = base.read_text().replace("epochs = 2", "epochs = 3")
    base.write_text(text.replace("per_depth = 2", "per_depth = 3"))
    run("grow", results.path, place / "half.toml")
    after = results.campaign()
    assert specs(after)[: len(found)] == found
    assert tables(results.path) == before
    entries = inventory(results, after, list(after.networks()))
    assert len(entries.short) == len(before) == 2
    assert after.training.convolutions == "direct"
    results.open(results.resolve(load_campaign(place / "half.toml")))
