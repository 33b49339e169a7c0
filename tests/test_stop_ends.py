"""Stop rules in a campaign, part by part: who asks them, what is told, and who looks again."""

import hashlib
import json
import math
import shutil
import signal
import subprocess
import sys
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
import test_attempt
from gatherer_jobs import Job
from hypothesis import example, given, settings
from hypothesis import strategies as st
from limits import HANG_SECONDS, wait_until
from test_attempt import leave_after
from test_verify_published import TrainingHere
from typer.testing import CliRunner
from worker_jobs import ONE, TINY, events, run_worker, slow_steps, start_worker, steps_done

from nnlc import load_campaign, read_table
from nnlc.analysis.stop_ends import wrong_ends
from nnlc.analysis.stopper import Decision, Stopper
from nnlc.cli import app
from nnlc.errors import ExitStatus, ResultsError
from nnlc.networks.machine import CPU
from nnlc.ranks.backlog import Backlog
from nnlc.ranks.leases import Leases
from nnlc.ranks.progress import Progress
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import inventory
from nnlc.results.status import read_status
from nnlc.tables import Row, Table, write_table
from nnlc.verification import verifying

RULE = "menndl:epoch=4:patience=0.5"
"""Stops where the training loss is not lower than half an epoch before."""
FELL, ROSE = [3.0, 2.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5], [3.0, 2.0, 1.0, 1.5, 1.4, 1.3, 1.2, 1.1]
# The one goes on to epoch 4, the other is stopped after 4 half epochs.

pytestmark = pytest.mark.usefixtures("deterministic")
clock, start = test_attempt.clock, test_attempt.start


def rows_of(losses):
    return tuple(Row(loss, 2.0, 50.0) for loss in losses)


class AfterRows:
    """A stop rule that is content with so many rows, whatever they say."""

    method, target = "rows", 2.0

    def __init__(self, rows):
        self._wanted, self.seen, self.decision = rows, [], None

    def add(self, row):
        assert self.decision is None or not self.decision.stop
        self.seen.append(row)
        stop = len(self.seen) == self._wanted
        self.decision = Decision(stop, len(self.seen) / 2, 40.0)
        return self.decision


def test_an_attempt_ends_where_its_rule_says_and_tells_what_was_predicted(start):
    whole = start()
    facts = whole.run()
    assert "stop" not in facts
    stopped = start(stopper=AfterRows(3))
    facts = stopped.run()
    assert stopped.rows() == whole.rows()[:3]
    assert len(facts["half_epoch_seconds"]) == 3
    told = facts["stop"]
    assert told.pop("seconds") >= 0
    assert told == {
        "method": "rows",
        "target": 2.0,
        "stopped": True,
        "epoch": 1.5,
        "predicted": 40.0,
        "reason": None,
    }


def test_a_rule_that_never_says_so_lets_the_network_be_trained_to_the_end(start):
    trial = start(stopper=AfterRows(99))
    assert trial.run()["stop"]["stopped"] is False
    assert len(trial.rows()) == 4


def test_a_rule_sees_the_rows_of_a_checkpoint_before_those_that_follow(start):
    leave_after(start, 5 * 2 + 2, stopper=AfterRows(3))
    stopper = AfterRows(3)
    trial = start(stopper=stopper)
    trial.run()
    [resumed] = trial.of("resumed")
    assert len(resumed["rows"]) == 2
    assert len(trial.rows()) == len(stopper.seen) == 3


def test_rows_behind_the_end_that_a_checkpoint_has_are_cut_off(start):
    leave_after(start, 5 * 3 + 2)
    trial = start(stopper=AfterRows(2))
    facts = trial.run()
    assert len(trial.rows()) == len(facts["half_epoch_seconds"]) == 2
    assert len(facts["half_epoch_train_correct"]) == 2
    assert trial.steps == 0


def stop_event(rows, *, stopped=True):
    about = {"method": RULE, "target": 1.0, "predicted": 61.25, "reason": None}
    return {**about, "stopped": stopped, "epoch": rows / 2}


def test_the_gatherer_writes_the_rows_of_a_stopped_network_and_its_prediction(tmp_path):
    job = Job(tmp_path).begin()
    index = job.handed_out[-1][1]
    job.row(index, 1)
    job.say(0, kind="finished", trainer=0, index=index, seconds=1.0, stop=stop_event(1))
    assert len(read_table(job.path(index)).rows) == 1
    [event] = job.events("finish")
    assert event["stop"] == stop_event(1)


@pytest.mark.parametrize("stop", [stop_event(2), stop_event(1, stopped=False)])
def test_a_stop_at_another_row_than_came_is_no_table(tmp_path, stop):
    job = Job(tmp_path).begin()
    index = job.handed_out[-1][1]
    job.row(index, 1)
    job.say(0, kind="finished", trainer=0, index=index, seconds=1.0, stop=stop)
    assert job.part() == ExitStatus.ERROR
    assert not job.with_tables


def test_the_line_of_a_stopped_network_says_where_it_ended_and_what_was_predicted(capsys):
    lines = []
    display = Progress("tiny", 8, StringIO())
    display.message = lines.append
    display.begin({0: 1.0, 1: 1.0}, 0, 1)
    images, spec = SimpleNamespace(name="x"), SimpleNamespace(id="y")
    for index, stopped in enumerate([True, False]):
        network = SimpleNamespace(index=index, images=images, spec=spec)
        stop = {**stop_event(8, stopped=stopped), "predicted": 25.71, "target": 20.0}
        display.finished(network, [Row(1.0, 1.0, 22.0)], 1.0, stop)
    assert lines[1].endswith("; stopped at epoch 4, predicted 25.7 % at epoch 20")
    assert "stopped" not in lines[2]


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TINY.replace("epochs = 1", f'epochs = 4\nstop = "{RULE}"'))
    return load_campaign(path)


@pytest.fixture
def results(tmp_path, campaign):
    """A whole campaign: each table is as long as the rule wants it, by turns stopped and not."""
    folder = ResultsFolder(tmp_path / "r")
    folder.open(campaign)
    for network in campaign.networks():
        losses = ROSE[:4] if network.index % 2 else FELL
        table = Table(network.spec, rows_of(losses))
        write_table(table, folder.table_path(network.images, network.spec))
    return folder


def put(results, campaign, index, losses):
    """Another curve for one network."""
    network = list(campaign.networks())[index]
    path = results.table_path(network.images, network.spec)
    write_table(Table(network.spec, rows_of(losses)), path)
    return path


def not_whole(results, campaign):
    """What is wrong with tables, in words."""
    finishes = read_history(results.journal_folder).finishes
    found = inventory(results, campaign, list(campaign.networks()), finishes)
    assert len(found.with_tables) + len(found.not_whole) == 6
    return [wrong.reason for wrong in found.not_whole.values()]


WRONG = {
    "cut off": (1, ROSE[:3], 5, "ends after 3 of 8 half epochs"),
    "cut off where none is stopped": (0, FELL[:7], 9, "ends after 7 of 8 half epochs"),
    "goes on": (1, ROSE[:5], 6, f"has 5 half epochs, but {RULE} stops it after 4"),
    "goes on to the end": (
        1,
        ROSE,
        6,
        "has 8 half epochs, but menndl:epoch=4:patience=0.5 stops it",
    ),
    "too long": (0, [*FELL, 0.4], 10, "has 9 half epochs where 8 are expected"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_table_of_another_length_than_the_rule_gives_is_named_by_line(results, campaign, wrong):
    assert not_whole(results, campaign) == []
    index, losses, line, words = WRONG[wrong]
    path = put(results, campaign, index, losses)
    content = path.read_bytes()
    [wrong] = not_whole(results, campaign)
    assert wrong.startswith(f"{path}, line {line}: the table {words}")
    assert [one.reason for one in read_status(results).not_whole.values()] == [wrong]
    assert path.read_bytes() == content
    job = CliRunner().invoke(app, ["audit", str(results.path), "--json"])
    [found] = [one for one in json.loads(job.output)["findings"] if one["rule"] == "half-epochs"]
    assert (job.exit_code, found["line"]) == (4, line)
    assert words in found["found"]


def test_an_audit_finds_nothing_in_lengths_that_the_rule_gives(results):
    job = CliRunner().invoke(app, ["audit", str(results.path), "--json"])
    rules = {one["rule"] for one in json.loads(job.output)["findings"]}
    assert not rules & {"half-epochs", "mixed-lengths"}


def test_a_table_whose_checksum_the_journal_has_needs_no_rule(results, campaign):
    """As on a processor on which the rule would stop elsewhere."""
    path = put(results, campaign, 1, ROSE[:3])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    event = {"time": "2026-01-01T00:00:00+00:00", "event": "finish", "id": path.stem}
    journal = results.journal_folder / "x.jsonl"
    journal.write_text(json.dumps({**event, "sha256": digest}) + "\n")
    assert not_whole(results, campaign) == []
    job = CliRunner().invoke(app, ["audit", str(results.path), "--json"])
    assert "half-epochs" not in json.loads(job.output)["rules"]
    journal.write_text(json.dumps({**event, "sha256": "0" * 64}) + "\n")
    [wrong] = not_whole(results, campaign)
    assert "does not stop it there" in wrong


def test_what_another_processors_rule_ended_meanwhile_is_not_trained_again(results, campaign):
    path = put(results, campaign, 1, ROSE[:3])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    event = {"time": "2026-01-01T00:00:00+00:00", "event": "finish", "id": path.stem}
    network = list(campaign.networks())[1]

    def taken():
        leases = Leases(results.leases_folder)
        leases.begin()
        found = {}
        backlog = Backlog([network], campaign, results, leases, CPU, "cpu", not_whole=found)
        assert backlog.take(lambda _: True, ()) is None
        return found

    assert taken().keys() == {path.stem}  # a table that nobody vouches for
    journal = results.journal_folder / "x.jsonl"
    journal.write_text(json.dumps({**event, "sha256": digest}) + "\n")
    assert taken() == {}


def test_status_counts_the_stopped_and_the_epochs_saved(results, campaign):
    [counts] = read_status(results).datasets.values()
    assert (counts.done, counts.stopped, counts.saved, counts.rows) == (6, 3, 12, 36)
    job = CliRunner().invoke(app, ["status", str(results.path)])
    assert f"{RULE}: 3 of 6 networks stopped, 6 of 24 epochs saved, 25.0 %" in job.output


def test_a_status_without_a_rule_says_nothing_of_stopping(alone):
    job = CliRunner().invoke(app, ["status", str(alone[1])])
    assert "stopped" not in job.output
    [counts] = read_status(ResultsFolder(alone[1])).datasets.values()
    assert (counts.stopped, counts.saved) == (0, 0)


NUMBER = st.floats(0, 100) | st.sampled_from([math.nan, math.inf])
CURVE = st.lists(st.tuples(NUMBER, NUMBER, st.floats(0, 100)), min_size=1, max_size=9)


@settings(max_examples=60)
@example([[(loss, 1.0, 50.0) for loss in ROSE[:4]], [(math.nan, 1.0, 1.0)] * 8])
@given(st.lists(CURVE, max_size=4))
def test_a_curve_ends_well_where_the_rule_told_row_by_row_stops_it(curves):
    """Side by side, with shorter and longer ones, as each alone."""
    found = wrong_ends(list(map(np.array, curves)), 8, RULE)
    for curve, wrong in zip(curves, found, strict=True):
        assert (wrong is None) == ends_well(curve, RULE)


@settings(max_examples=6)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.integers(0, 8))
def test_so_does_penguin(accuracies, steady):
    rule = "penguin:epoch=4:tolerance=5"
    curve = [(1.0, 1.0, value) for value in [*accuracies, *[50.0] * steady][:8]]
    [wrong] = wrong_ends([np.array(curve)], 8, rule)
    assert (wrong is None) == ends_well(curve, rule)


def to_rows(curve):
    return tuple(Row(*values) for values in curve)


def ends_well(curve, rule):
    stopper = Stopper(rule)
    for count, row in enumerate(to_rows(curve), 1):
        if stopper.add(row).stop:
            return count == len(curve)
    return len(curve) == 8


def test_a_network_that_has_become_nan_is_stopped_by_menndl_and_not_by_penguin():
    rows = [Row(2.0, 2.0, 10.0), *[Row(math.nan, math.nan, 1.0)] * 7]
    ends = {}
    for rule in ("penguin:epoch=4", "menndl:epoch=4:patience=1"):
        stopper = Stopper(rule)
        ends[rule] = next((n for n, row in enumerate(rows, 1) if stopper.add(row).stop), None)
    assert list(ends.values()) == [None, 3]


def test_one_rule_has_one_text_so_that_its_folder_is_found_again(tmp_path):
    texts = ("penguin", "penguin:window=3", "penguin:epoch=4:points=2:window=3:tolerance=0.5")
    found = set()
    for text in texts:
        path = tmp_path / "one.toml"
        path.write_text(TINY.replace("epochs = 1", f'epochs = 4\nstop = "{text}"'))
        ResultsFolder(tmp_path / "r").open(load_campaign(path))
        found.add(load_campaign(path).stop)
    assert found == {texts[-1]}
    path.write_text(TINY.replace("epochs = 1", "epochs = 4"))
    with pytest.raises(ResultsError, match="belongs to another campaign: stop is"):
        ResultsFolder(tmp_path / "r").open(load_campaign(path))


def test_the_shipped_campaigns_stop_nothing_and_load_no_rule(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nnlc.campaign.campaign import load_campaign\n"
        "from nnlc.results.folder import ResultsFolder\n"
        "for name in ('smoke', 'fashion-mnist', 'paper'):\n"
        "    campaign = load_campaign(name)\n"
        "    assert campaign.stop is None\n"
        "    ResultsFolder(Path(name)).open(campaign)\n"
        "    assert b'stop' not in Path(name, 'campaign.toml').read_bytes()\n"
        "loaded = {'numpy', 'scipy', 'nnlc.analysis.stopper'} & sys.modules.keys()\n"
        "sys.exit(', '.join(loaded) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS, cwd=tmp_path)


def test_what_a_stopped_network_took_counts_for_all_its_half_epochs():
    stopped = Finish(seconds=3.0, half_epoch_seconds=(1.0, 1.0, 1.0))
    assert stopped.seconds_of_all(8) == 8.0
    whole = Finish(seconds=0.3, half_epoch_seconds=(0.1,) * 8)
    assert whole.seconds_of_all(8) == 0.3
    assert Finish(seconds=5.0).seconds_of_all(8) == 5.0
    assert Finish().seconds_of_all(8) is None


def test_a_listing_says_that_savings_are_not_counted(tmp_path, campaign):
    job = CliRunner().invoke(app, ["specs", str(tmp_path / "mine.toml")])
    assert f"4 epochs, seed 11, stop rule {RULE}, whose savings are not counted" in job.output


def test_an_interrupted_network_is_stopped_where_its_rows_say_and_verified(tmp_path, monkeypatch):
    """Its rows are in a checkpoint: the rule sees them again before the next."""
    path, results = tmp_path / "mine.toml", tmp_path / "r"
    path.write_text(ONE.replace("epochs = 1\n", 'epochs = 6\nstop = "penguin:tolerance=5"\n'))
    held = slow_steps(tmp_path, HANG_SECONDS, when="len(self._loop.rows) >= 2")
    job = start_worker(path, "--results", results, **held)
    wait_until(lambda: steps_done(tmp_path), process=job)
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=HANG_SECONDS)
    assert job.returncode == 75, output
    assert run_worker(path, "--results", results).returncode == 0
    assert [event["half_epoch"] >= 2 for event in events(results, "resume")] == [True]
    [stop] = [event["stop"] for event in events(results, "finish")]
    [table] = map(read_table, results.glob("*_models/*.txt"))
    decision = Stopper(stop["method"], table.rows).decision
    assert decision == Decision(True, stop["epoch"], stop["predicted"])
    assert stop["stopped"]
    assert 4 <= len(table.rows) < 12
    shutil.rmtree(results / "journal")
    monkeypatch.setattr(verifying, "TrainingProcess", TrainingHere)
    verified = CliRunner().invoke(app, ["verify", str(results)])
    assert "1 of 1 identical" in verified.output
