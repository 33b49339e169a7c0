"""From one version to the next: a later nnlc, made here, with other bits for some networks."""

import shutil
import signal
from pathlib import Path

import pytest
from changed_package import LATER, ChangedPackage
from limits import HANG_SECONDS, wait_until
from table_samples import tree
from worker_jobs import TINY, events, run_worker, slow_steps, start_worker, steps_done, tables

CAMPAIGN = (
    TINY.replace("networks_per_depth = 3", "networks_per_depth = 1")
    .replace("depths = [1, 2]", "depths = [1, 3]")
    .replace("seed = 11", "seed = 23")
)
PLAIN = {"2026_01_02_03_04_05_000000"}
DROPOUT = {"2026_01_02_03_04_05_000001", "2026_01_02_03_04_05_000002"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A campaign; `half-done`, in which each network is saved in its middle; and `done`."""
    folder = tmp_path_factory.mktemp("before")
    campaign = folder / "tiny.toml"
    campaign.write_text(CAMPAIGN)
    words = (campaign, "--device", "cpu", "--results")
    held = slow_steps(folder, HANG_SECONDS, when="self._loop.rows")
    job = start_worker(*words, folder / "half-done", "--trainers", 3, **held)
    wait_until(lambda: steps_done(folder) == 3, process=job)
    job.send_signal(signal.SIGTERM)
    assert job.wait(HANG_SECONDS) == 75, job.stdout.read()
    assert run_worker(*words, folder / "done").returncode == 0
    return folder


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    return ChangedPackage(tmp_path_factory.mktemp("changed"), kept=False)


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    return ChangedPackage(tmp_path_factory.mktemp("keeping"), kept=True)


@pytest.fixture
def half_done(place, tmp_path):
    return Path(shutil.copytree(place / "half-done", tmp_path / "half-done"))


@pytest.fixture
def done(place, tmp_path):
    return Path(shutil.copytree(place / "done", tmp_path / "done"))


def by_id(results):
    return {Path(name).stem: content for name, content in tables(results).items()}


def resumed(results):
    return {event["id"] for event in events(results, "resume")}


def without_table(results, id_):
    [path] = results.glob(f"*_models/{id_}.txt")
    path.unlink()


def test_a_change_for_networks_with_dropout_leaves_all_other_checkpoints_in_use(
    place, half_done, changed
):
    before = tree(half_done)
    told = changed.run("upgrade", half_done, "--dry-run")
    assert "checkpoints: 1 network continues" in told
    assert "2 networks start again" in told
    assert "arithmetic was '1' and is '3'" in told
    assert "touches 2 of the 3 networks left" in told
    assert tree(half_done) == before
    log = changed.work(place / "tiny.toml", half_done).splitlines()
    first_table = next(i for i, line in enumerate(log) if "1/3" in line)
    [stay, lost, go_back] = [line for line in log if "warning:" in line]
    assert max(map(log.index, (stay, lost, go_back))) < first_table
    assert "0 tables stay valid" in stay
    assert "1 network continues from checkpoints; 2 networks start again" in lost
    assert "arithmetic was '1' and is '3'" in lost
    assert f"need nnlc before {LATER};" in go_back
    assert f"nnlc upgrade {half_done} --dry-run" in go_back
    assert resumed(half_done) == PLAIN
    old, new = by_id(place / "done"), by_id(half_done)
    assert {id_ for id_ in old if old[id_] == new[id_]} == PLAIN
    assert old.keys() == new.keys() == PLAIN | DROPOUT


def test_tables_of_two_arithmetics_are_told_by_status_report_audit_export_and_verify(
    place, done, changed, tmp_path
):
    """And not before the second one has made a table."""
    assert "two arithmetics:" not in "".join(changed.run_all(("status", done), ("audit", done)))
    without_table(done, min(DROPOUT))
    log = changed.work(place / "tiny.toml", done)
    assert "warning: tables come from another arithmetic than today's: of 2 tables, 1 has" in log
    words = (
        "tables come from two arithmetics: of 3 tables, 1 has arithmetic 1 instead of 3; "
        f"arithmetic 3 came with nnlc {LATER}: dropout draws other masks"
    )
    status, audit, export, _, verdict = changed.run_all(
        ("status", done),
        ("audit", done),
        ("export", done, "-o", tmp_path / "out", "--format", "csv"),
        ("report", done, "-o", tmp_path / "page.html"),
        ("verify", done),
        statuses=(0, 3, 0, 0, 3),
    )
    assert f"warning: {words}" in " ".join(status.split())
    assert words in audit
    assert words in export
    for name in ("datasheet.html", "croissant.json"):
        assert words in (tmp_path / "out" / name).read_text()
    assert "tables come from two arithmetics" in (tmp_path / "page.html").read_text()
    assert verdict.count("identical, 2 half epochs in arithmetic 1") == 1
    assert verdict.count("identical, 2 half epochs in arithmetic 3") == 1
    assert "arithmetic was 1 and is 3" in verdict


def test_a_campaign_that_was_begun_before_keeps_the_old_way_until_told_otherwise(
    place, half_done, keeping
):
    told = keeping.run("upgrade", half_done, "--dry-run")
    assert "checkpoints: 3 networks continue" in told
    assert 'touches 2 of the 3 networks left; training.masks = "first" keeps their old' in told
    log = keeping.work(place / "tiny.toml", half_done)
    assert "warning" not in log
    assert resumed(half_done) == PLAIN | DROPOUT
    assert by_id(half_done) == by_id(place / "done")
    explicit = place / "explicit.toml"
    explicit.write_text(f'{CAMPAIGN}\n[training]\nmasks = "second"\n')
    refused = keeping.work(explicit, half_done, status=1)
    assert "training.masks is 'first' there and 'second' in the campaign asked for" in refused
    assert f"nnlc upgrade {half_done} --new-arithmetic" in refused


def test_a_new_campaign_has_the_new_way_and_an_old_one_after_it_was_told(
    place, done, keeping, tmp_path
):
    without_table(done, min(DROPOUT))
    told = keeping.run("upgrade", done, "--new-arithmetic")
    assert 'training.masks = "first" becomes "second"' in told
    assert 'training.masks is "second"; "first" would have kept their old bits' in told
    assert "rewritten" in told
    assert 'masks = "second"' in (done / "campaign.toml").read_text()
    keeping.work(place / "tiny.toml", done)
    old, now = by_id(place / "done"), by_id(done)
    assert {id_ for id_ in old if old[id_] != now[id_]} == {min(DROPOUT)}
    new = done.parent / "new"
    keeping.work(place / "tiny.toml", new)
    assert "touches 0 of the 0 networks left\n" in keeping.run("upgrade", new, "--dry-run")
    explicit = tmp_path / "explicit.toml"
    explicit.write_text(f'{CAMPAIGN}\n[training]\nmasks = "first"\n')
    refused = keeping.work(explicit, new, status=1)
    assert "training.masks is 'second' there and 'first' in the campaign asked for" in refused
    assert "--new-arithmetic" not in refused
    assert {id_ for id_ in old if old[id_] != by_id(new)[id_]} == DROPOUT
    assert by_id(new)[min(DROPOUT)] == now[min(DROPOUT)]
    # Which is not called mixed, though those without dropout have no other arithmetic than before.
    versions = [event["versions"]["arithmetic"] for event in events(new, "finish")]
    assert sorted(versions) == ["1", "3", "3"]
    commands = ("status", new), ("audit", new), ("status", done), ("verify", done)
    *of_new, status, verdicts = keeping.run_all(*commands)
    assert "two arithmetics:" not in "".join(of_new)
    assert "tables come from two arithmetics" in status
    # Each table is trained again in the way in which it was made.
    assert "3 of 3 identical" in verdicts
