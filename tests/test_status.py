"""How far a results folder is, from its tables and its journal's word."""

import pytest
from typer.testing import CliRunner
from worker_jobs import write_campaign

from nnlc import load_campaign
from nnlc.cli import status_text
from nnlc.cli.command import app
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.progress_lines import training_left
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import read_history
from nnlc.results.journal import Journal
from nnlc.results.logs import logs_of, newest_log, telling_log
from nnlc.results.status import Failure, read_status
from nnlc.system.process import this_process
from nnlc.tables import Row, Table, write_table


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "r")
    folder.open(load_campaign(write_campaign(tmp_path)))
    return folder


@pytest.fixture
def ids(results):
    return [network.spec.id for network in results.campaign().networks()]


def stand(results, *ids):
    for network in results.campaign().networks():
        if network.spec.id in ids:
            table = Table(network.spec, (Row(2.0, 2.0, 10.0),) * 2)
            write_table(table, results.table_path(network.images, network.spec))


def test_status_counts_what_runs_waits_and_failed(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("attempt", id=ids[0], reason="killed")
    journal.write("failure", id=ids[0], reason="out of memory")
    journal.write("start", id=ids[0])
    journal.write("failure", id=ids[1], reason="was cleared since")
    journal.write("retry", ids=[ids[1]])
    journal.write("failure", id="another campaign's", reason="x")
    journal.write("failure")  # garbage, but a JSON line like others
    journal.progress({ids[2]: {"half_epochs": 1, "accuracy": 10.0}})
    found = read_status(results)
    [counts] = found.datasets.values()
    assert (counts.done, counts.under_way, counts.waiting, counts.failed) == (0, 1, 4, 1)
    assert counts.rows == 1
    assert found.failures == {ids[0]: Failure("out of memory", 2)}


def test_a_failed_network_is_done_when_its_table_stands_and_under_way_when_it_runs(results, ids):
    journal = Journal(results.journal_folder)
    for id_ in ids[:2]:
        journal.write("failure", id=id_, reason="out of memory")
    stand(results, ids[0])
    journal.progress({id_: {"half_epochs": 10**9} for id_ in ids[:2]})
    found = read_status(results)
    [counts] = found.datasets.values()
    assert (counts.done, counts.under_way, counts.waiting, counts.failed) == (1, 1, 4, 0)
    assert counts.rows == 4
    assert found.failures == {}


def test_only_tables_that_stand_count_for_what_they_were_made_with(results, ids):
    journal = Journal(results.journal_folder)
    for id_, name in zip(ids, ["A100", "A100", "H100", "V100"], strict=False):
        journal.write("finish", id=id_, device={"name": name})
    stand(results, *ids[:3], ids[4])
    assert read_status(results).makers == [("A100", 2), ("H100", 1)]


def test_trouble_is_told_while_something_is_under_way(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("trouble", reason="disk full")
    assert read_status(results).trouble is None
    journal.progress({ids[0]: {"half_epochs": 0}})
    assert read_status(results).trouble.endswith("disk full")


@pytest.mark.parametrize(
    ("attempts", "words"),
    [(0, "failed: why"), (1, "failed after 1 attempt: why"), (3, "failed after 3 attempts: why")],
)
def test_a_failure_says_how_often_and_why(attempts, words):
    assert str(Failure("why", attempts)) == words


RANKS = [{"rank": rank, "devices": [{"name": "A100"}], "trainers": 2} for rank in (0, 1)]


def save(results, journal, id_, **facts):
    journal.write("checkpoint", id=id_, **facts)
    (results.checkpoints_folder / f"{id_}.0.ckpt").touch()


def lines_of(results):
    """What the terminal and the page say, which is the same."""
    told = CliRunner().invoke(app, ["status", str(results.path)]).output
    lines = CampaignFolder(results).look().lines
    assert "\n".join(lines) + "\n" in told
    return lines


def test_after_a_notice_the_saved_networks_the_last_event_and_the_time_left_are_told(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("job", device="cuda", ranks=RANKS, process={"host": "node7"})
    for id_ in ids[:5]:
        journal.write("start", id=id_)
    save(results, journal, ids[0], half_epoch=1, step=3, seconds_a_half_epoch=600.0)
    save(results, journal, ids[1], half_epoch=0, step=9, seconds_a_half_epoch=None)
    journal.write("checkpoint", id=ids[2], half_epoch=1)  # but its file is gone
    save(results, journal, ids[3], half_epoch=1)
    journal.write("finish", id=ids[3], seconds=1200.0, device={"name": "A100"})
    stand(results, ids[3])
    journal.write("end", status="UNFINISHED", reason="SIGUSR1 came on rank 0")
    saved, last, silent, left = lines_of(results)
    assert saved == (
        f"2 networks are saved in the middle: {ids[0]} at epoch 0.5, {ids[1]} in its first half "
        "epoch"
    )
    assert last.startswith("last event, 20")
    assert "UTC: the job of 20" in last
    assert last.endswith(" UTC on node7 ended (SIGUSR1 came on rank 0)")
    assert silent == "no job is running"
    assert left.startswith("about ")
    assert left.endswith(" of training left with 4 trainers, as the last job had")
    found = read_status(results)
    assert found.datasets["F-MNIST-sample"].rows == 3


def test_networks_of_a_killed_job_are_saved_and_no_longer_under_way(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("job", device="cuda", ranks=RANKS, process=this_process() | {"pid": "999999999"})
    journal.write("start", id=ids[0])
    save(results, journal, ids[0], half_epoch=1)
    journal.progress({ids[0]: {"half_epochs": 1}})
    assert lines_of(results)[0] == f"1 network is saved in the middle: {ids[0]} at epoch 0.5"
    assert read_status(results).datasets["F-MNIST-sample"].under_way == 0


def test_the_longest_rest_and_the_trainers_give_the_time_left(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("job", device="cuda", ranks=RANKS[:1])
    journal.progress({id_: {"half_epochs": 0, "seconds_a_half_epoch": 3600.0} for id_ in ids})
    assert lines_of(results)[-1].startswith("about 6.0 hours of training left with 2 trainers")
    paces = {id_: 3600.0 * (5 if id_ == ids[0] else 1) for id_ in ids}
    journal.progress(
        {id_: {"half_epochs": 1, "seconds_a_half_epoch": pace} for id_, pace in paces.items()}
    )
    assert lines_of(results)[-1].startswith("about 5.0 hours")  # the longest alone
    stand(results, *ids)
    assert lines_of(results)[-1] == "nothing is left to train"


def test_networks_that_were_not_begun_are_expected_as_slow_as_measured_ones(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("job", device="cuda", ranks=RANKS)
    stand(results, ids[3])

    def left(seconds, device="A100"):
        journal.write("finish", id=ids[3], seconds=seconds, device={"name": device})
        found = read_status(results)
        about = (found.campaign, found.networks, found.history, found.left, 1)
        return training_left(results, *about)

    assert left(2400.0) == pytest.approx(2 * left(1200.0))
    assert left(1200.0, "H100") is None  # of another device than the last job's


def test_nothing_is_said_on_the_time_left_where_nothing_was_measured(results, ids):
    journal = Journal(results.journal_folder)
    journal.write("job", device="cuda", ranks=RANKS)
    for odd in ("x", -1, 1e308, None):
        journal.progress({ids[0]: {"half_epochs": 0, "seconds_a_half_epoch": odd}})
        assert "of training left" not in " ".join(lines_of(results))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "finish", "id": "a"}, "a was finished, in the job of "),
        ({"event": "attempt", "id": "a", "reason": "no\nroom"}, " on node7 (no room)"),
        ({"event": "retire", "rank": 3, "ids": []}, "rank 3 gets no more networks, in the job"),
        ({"event": "trouble", "reason": 5}, " on node7 had a problem"),
        ({"event": "lost", "ids": ["x"]}, "UTC: an earlier job ended without a word (killed"),
        (
            {"event": "lost", "reason": "job 6 on n5"},
            "UTC: job 6 on n5 ended without a word (killed",
        ),
    ],
)
def test_the_last_event_says_what_it_was_and_of_which_job(tmp_path, event, words):
    journal = Journal(tmp_path)
    journal.write("job", process={"host": "node7"})
    journal.write(**event)
    assert words in read_history(tmp_path).last_event
    again = Journal(tmp_path)
    for event in ("script", "job"):
        again.write(event, job="7[1].pbs-01", process={"host": "node8"})
    again.write("end", reason="time")
    assert read_history(tmp_path).last_event.endswith(": job 7[1].pbs-01 on node8 ended (time)")
    Journal(tmp_path).write("retry", ids=["a", "b"])
    assert read_history(tmp_path).last_event.endswith("UTC: 'nnlc retry' cleared failures")


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (1, 3)])
def test_watching_ends_when_nothing_is_left_and_says_that_no_job_runs(
    results, ids, monkeypatch, failed, status
):
    def train(seconds):
        assert seconds > 0
        stand(results, *ids[failed:])
        if failed:
            Journal(results.journal_folder).write("failure", id=ids[0], reason="out of memory")

    monkeypatch.setattr(status_text.time, "sleep", train)
    job = CliRunner().invoke(app, ["status", str(results.path), "--watch"])
    assert job.exit_code == status
    waiting = "no job is running or in the queue: waiting for one; Ctrl-C ends"
    assert job.output.count(waiting) == 1
    assert job.output.endswith("nothing is left to train\n")
    again = CliRunner().invoke(app, ["status", str(results.path), "--watch"])
    assert again.exit_code == status
    assert waiting not in again.output


def test_watching_ends_quietly_with_ctrl_c(results, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(status_text.time, "sleep", interrupt)
    job = CliRunner().invoke(app, ["status", str(results.path), "--watch"])
    assert job.exit_code == 130
    assert job.output.endswith("Ctrl-C ends\n")


def test_jobs_in_the_queue_and_the_last_that_left_it_are_named_with_their_logs(
    results, ids, monkeypatch
):
    found = {f"{n}.pbs-01": ["R"] if n in (9, 11) else [] for n in (11, 2, 9, 10, 1)}
    monkeypatch.setattr(status_text, "scheduler_of_folder", lambda _: "pbs")
    monkeypatch.setattr(status_text, "settle", lambda *_: None)
    monkeypatch.setattr(status_text, "queue", lambda *_: found)
    logs = results.logs_folder
    logs.mkdir()
    for name in ("11.pbs-01.OU", "10.pbs-01.OU", "100.pbs-01.OU", "1.pbs-01.OU"):
        (logs / name).write_text("")
    said = "job script: status 127: mpiexec could not be started"
    (logs / "10.pbs-01.OU").write_text(f"x\njob script: status 75: a\n{said}\x1b[0m\nwarning: y\n")

    def told():
        return CliRunner().invoke(app, ["status", str(results.path)]).output.replace("\n", "|")

    ended = f"job 10.pbs-01: no longer in the queue, nor 2 jobs before it; log: {logs}/10.pbs-01.OU"
    there = f"job 9.pbs-01: 1 R|job 11.pbs-01: 1 R; log: {logs}/11.pbs-01.OU|"
    assert told().endswith(
        f"no rank of a job in the queue has reported yet|{ended}|  {said}?[0m|{there}"
    )
    found.clear()
    found["12.pbs-01"] = []
    last = f"job 12.pbs-01: no longer in the queue; no log in {logs}|"
    assert told().endswith(f"no job is running|{last}")


def test_the_log_of_an_array_that_is_shown_is_that_of_an_element_that_failed(tmp_path):
    names = ["7[0].pbs-01.OU", "7[1].pbs-01.OU", "7[2].pbs-01.OU", "7_3.out", "7-4.out"]
    for name, status in zip(names, (0, 1, 75, 3, 0), strict=True):
        (tmp_path / name).write_text(f"job script: status {status}: why\n")
    logs = logs_of(tmp_path, "7[].pbs-01")
    assert len(logs) == len(names)
    shown = tmp_path / "7[1].pbs-01.OU"
    assert telling_log([log for log in logs if log.suffix == ".OU"]) == (
        shown,
        "job script: status 1: why",
    )
    shown.unlink()  # meanwhile
    assert telling_log([shown]) == (shown, "")
    assert newest_log(tmp_path) in logs
