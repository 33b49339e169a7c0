"""The gatherer's decisions, without processes: messages in, messages out."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worker_jobs import TINY, write_campaign

from nnlc import load_campaign, read_table
from nnlc.errors import DeviceError, ExitStatus
from nnlc.journal import Journal
from nnlc.networks.cost import CPU, predict_seconds
from nnlc.ranks.backlog import unfinished
from nnlc.ranks.devices import choose_device
from nnlc.ranks.gatherer import Gatherer
from nnlc.results import ResultsFolder


class Silent:
    """A watcher that keeps what it is told."""

    def __init__(self):
        self.messages, self.failures = [], []

    def begin(self, waiting, done, trainers):
        self.waiting = waiting

    def row(self, network, half_epoch, row):
        pass

    def finished(self, network, rows, seconds):
        pass

    def failed(self, network, reason, *, for_good):
        self.failures.append((network.index, reason, for_good))

    def message(self, text):
        self.messages.append(text)

    def tick(self):
        pass

    def end(self):
        self.ended = True


class Job:
    """A gatherer and pretended agents, driven message by message."""

    def __init__(self, folder: Path, ranks: int, *, gpus: int = 0, device: str = "auto"):
        folder.mkdir(parents=True, exist_ok=True)
        text = TINY.replace("epochs = 1", "epochs = 1\n[run]\nattempts = 2\n")
        self.campaign = load_campaign(write_campaign(folder, text))
        self.results = ResultsFolder(folder / "r")
        self.results.open(self.campaign)
        networks, done = unfinished(self.campaign, self.results)
        self.watcher = Silent()
        self.gatherer = Gatherer(
            self.campaign,
            networks,
            done,
            "tiny",
            self.results,
            images_root=folder,
            device=device,
            ranks=ranks,
            journal=Journal(self.results.journal_folder),
            watcher=self.watcher,
        )
        self.ranks = ranks
        self.sent: list[tuple[int, dict]] = []
        for rank in range(ranks):
            self.say(rank, kind="hello", host=f"n{rank}", devices=[facts(gpus)])

    def say(self, rank: int, **message) -> list[tuple[int, dict]]:
        answers = self.gatherer(rank, json.loads(json.dumps(message)))
        self.sent += answers
        return answers

    def begin(self) -> None:
        for rank in range(self.ranks):
            self.say(rank, kind="idle", trainer=0)
        self.say(0, kind="checked", trainer=0)

    @property
    def status(self) -> int | None:
        return next((m["status"] for _, m in self.sent if m["kind"] == "stop"), None)

    @property
    def handed_out(self) -> list[tuple[int, int]]:
        return [(rank, m["index"]) for rank, m in self.sent if m["kind"] == "train"]

    def finish(self, rank: int, index: int) -> None:
        for half_epoch in (1, 2):
            self.say(rank, kind="row", index=index, half_epoch=half_epoch, values=[1.5, 2.5, 10.0])
        self.say(rank, kind="finished", index=index, seconds=1.0)
        self.say(rank, kind="idle", trainer=0)


def facts(gpus: int) -> dict:
    return {"gpus": gpus, "name": "x", "torch": "2", "cuda": None, "cudnn": None}


def test_nothing_is_handed_out_before_every_rank_is_there_and_the_images_are_checked(tmp_path):
    job = Job(tmp_path, 2)
    job.say(0, kind="idle", trainer=0)
    job.say(1, kind="idle", trainer=0)
    assert not job.handed_out
    assert [m["kind"] for _, m in job.sent] == ["configure", "configure", "check"]
    job.say(0, kind="checked", trainer=0)
    assert [rank for rank, _ in job.handed_out] == [0, 1]


def test_the_longest_predicted_network_goes_first(tmp_path):
    job = Job(tmp_path, 1)
    job.begin()
    while job.status is None:
        job.finish(*job.handed_out[-1])
    seconds = {
        n.index: predict_seconds(n.spec, n.images, job.campaign.epochs, CPU)
        for n in job.campaign.networks()
    }
    order = [index for _, index in job.handed_out]
    assert order == sorted(seconds, key=lambda index: -seconds[index])
    assert len(set(seconds.values())) > 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_happens_every_network_ends_as_one_table_or_one_recorded_failure(
    tmp_path_factory, data
):
    ranks = data.draw(st.integers(1, 4))
    job = Job(tmp_path_factory.mktemp("job"), ranks)
    job.begin()
    busy = dict(job.handed_out)
    rows = dict.fromkeys(busy, 0)
    while job.status is None:
        assert busy, "the job is not over, but nobody has work"
        rank = data.draw(st.sampled_from(sorted(busy)))
        index, seen = busy[rank], len(job.sent)
        action = data.draw(st.sampled_from(["row", "row", "row", "died", "failed"]))
        if action == "row":
            rows[rank] += 1
            values = [0.5, float("nan"), 20.0]
            job.say(rank, kind="row", index=index, half_epoch=rows[rank], values=values)
            if rows[rank] < 2:
                continue
            job.say(rank, kind="finished", index=index, seconds=0.1)
        else:
            job.say(rank, kind=action, trainer=0, index=index, reason="because")
        del busy[rank]
        job.say(rank, kind="idle", trainer=0)
        for other, message in job.sent[seen:]:
            if message["kind"] == "train":
                assert other not in busy, "a trainer got two networks at once"
                busy[other], rows[other] = message["index"], 0
    failed = {index for index, _, for_good in job.watcher.failures if for_good}
    done = {
        n.index
        for n in job.campaign.networks()
        if job.results.table_path(n.images, n.spec).exists()
    }
    assert not failed & done
    assert failed | done == set(range(6))
    assert job.status == (ExitStatus.DONE_WITH_FAILURES if failed else ExitStatus.DONE)
    stops = [rank for rank, m in job.sent if m["kind"] == "stop"]
    assert stops == list(range(ranks))


def test_a_retried_network_keeps_no_row_of_the_attempt_that_died(tmp_path):
    job = Job(tmp_path, 1)
    job.begin()
    _, index = job.handed_out[-1]
    job.say(0, kind="row", index=index, half_epoch=1, values=[9.0, 9.0, 9.0])
    job.say(0, kind="died", trainer=0, index=index, reason="killed")
    job.say(0, kind="idle", trainer=0)
    assert job.handed_out[-1] == (0, index)
    job.finish(0, index)
    network = next(n for n in job.campaign.networks() if n.index == index)
    table = read_table(job.results.table_path(network.images, network.spec))
    assert [row.train_loss for row in table.rows] == [1.5, 1.5]


def test_a_network_given_to_a_trainer_that_had_just_ended_is_no_attempt_and_goes_to_another(
    tmp_path,
):
    job = Job(tmp_path, 2)
    job.begin()
    _, index = job.handed_out[0]
    for _ in range(3):  # more often than attempts are allowed
        job.say(0, kind="died", trainer=0, index=None, reason="killed")
        job.say(0, kind="returned", index=index)
        if job.status is not None:
            break
        job.say(0, kind="idle", trainer=0)
        assert job.handed_out[-1] == (0, index)
    assert not job.watcher.failures


def test_a_table_trained_on_gpus_says_so(tmp_path):
    job = Job(tmp_path, 2, gpus=1)
    job.begin()
    _, message = next((r, m) for r, m in job.sent if m["kind"] == "train")
    assert message["spec"]["train_gpu"] is True
    job = Job(tmp_path / "cpu", 2, gpus=1, device="cpu")
    job.begin()
    _, message = next((r, m) for r, m in job.sent if m["kind"] == "train")
    assert message["spec"]["train_gpu"] is False


def test_a_missing_row_stops_the_job_instead_of_shifting_the_curve(tmp_path):
    job = Job(tmp_path, 1)
    job.begin()
    _, index = job.handed_out[-1]
    job.say(0, kind="row", index=index, half_epoch=2, values=[1.0, 1.0, 1.0])
    assert job.status == ExitStatus.ERROR


def test_a_trainer_that_never_starts_ends_the_job(tmp_path):
    job = Job(tmp_path, 1)
    job.say(0, kind="died", trainer=0, index=None, reason="its trainer left with status 1")
    assert job.status == ExitStatus.ERROR
    assert "left with status 1" in job.watcher.messages[-1]


def test_a_table_that_cant_be_written_ends_the_job_and_says_where(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    job = Job(tmp_path, 1)
    job.begin()
    monkeypatch.setattr("nnlc.ranks.gatherer.write_table", full)
    job.finish(*job.handed_out[-1])
    assert job.status == ExitStatus.ERROR
    assert "No space left" in job.watcher.messages[-1]
    assert "_models/" in job.watcher.messages[-1]


def hellos(*gpus: int) -> dict[int, dict]:
    return {r: {"host": f"n{r}", "devices": [facts(count)]} for r, count in enumerate(gpus)}


@pytest.mark.parametrize(
    ("asked", "gpus", "chosen"),
    [
        ("auto", (0, 0), "cpu"),
        ("auto", (1, 1), "cuda"),
        ("cuda", (6, 6), "cuda"),
        ("cpu", (1, 0), "cpu"),
    ],
)
def test_all_ranks_train_on_the_same_kind_of_device(asked, gpus, chosen):
    assert choose_device(asked, hellos(*gpus)) == chosen


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_ranks_that_see_no_gpu_where_others_do_are_named(asked):
    with pytest.raises(DeviceError, match=r"2 of 4 ranks see no GPU .*rank 1 on n1, 3 on n3.*-g 1"):
        choose_device(asked, hellos(1, 0, 1, 0))


def test_a_gpu_that_is_nowhere_is_refused_when_asked_for():
    with pytest.raises(DeviceError, match="--device cpu"):
        choose_device("cuda", hellos(0, 0))
