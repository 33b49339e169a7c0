"""One agent with a real trainer process, and a pretended rank 0."""

import os
import signal
import sys
import threading
from dataclasses import asdict

import pytest
from limits import HANG_SECONDS, Limit

from nnlc import load_campaign
from nnlc.ranks import agent, node_trouble, trainer_link
from nnlc.ranks.agent import Agent
from nnlc.ranks.mpi import Link
from nnlc.ranks.notices import Notices
from nnlc.results.bad_nodes import read_bad_nodes
from nnlc.system import messages


class Rank0(Link):
    """Rank 1's link; what rank 0 would say is scripted, a step for each thing waited for."""

    rank, ranks, local_rank, longest_sleep_seconds = 1, 2, 0, 0.01

    def __init__(self, script):
        super().__init__()
        self.heard: list[dict] = []
        self._script = script(self)
        self._limit = Limit()

    def send_line(self, rank, line):
        self.heard.append(messages.decode(line))

    def flush(self):
        pass

    def receive(self):
        if self._limit.over:
            self._limit = Limit()
            return [(0, [{"kind": "stop", "status": 99}])]
        answer = next(self._script, None)
        return [(0, [answer])] if answer else []

    def leave(self, status):
        pass

    def abort(self, status):
        pytest.fail("aborted")

    def count(self, kind: str) -> int:
        return sum(message["kind"] == kind for message in self.heard)


def train(index: int) -> dict:
    network = list(load_campaign("smoke").networks())[index]
    spec, images = network.spec.to_json(), asdict(network.images)
    network_of_it = {"index": index, "spec": spec, "image_set": images}
    return {"kind": "train", "trainer": 0, "hang_seconds": 60, "step_seconds": 1, **network_of_it}


def configure(folder) -> dict:
    """Of a campaign whose networks end on no machine while a test lasts."""
    campaign = load_campaign("smoke").model_copy(update={"epochs": 100_000}).model_dump(mode="json")
    checkpoints = {"images": "none", "checkpoints": str(folder), "device": "cpu", "trainers": 1}
    return {"kind": "configure", "campaign": campaign, **checkpoints}


@pytest.fixture
def notices():
    return Notices()


NO_TORCH = """
import json, sys
def say(kind, **facts):
    print(json.dumps({"kind": kind, **facts}), flush=True)
say("ready", device={"gpus": 1})
for line in sys.stdin:
    told = json.loads(line)
    if told["kind"] == "train":
        say("row", index=told["index"], half_epoch=1, values=[1.0, 1.0, 1.0], seconds=1.0)
"""


@pytest.fixture
def without_torch(monkeypatch):
    """Trainers that say one row of each network, and then nothing."""
    monkeypatch.setattr(trainer_link, "COMMAND", (sys.executable, "-c", NO_TORCH))


def test_a_network_that_crosses_the_end_of_its_trainer_is_given_back_not_lost(
    tmp_path, notices, without_torch
):
    agents = []

    def script(link):
        while not link.count("hello"):
            yield None
        yield configure(tmp_path)
        while not link.count("idle"):
            yield None
        os.kill(agents[0]._trainers[0]._process.pid, signal.SIGKILL)
        while not link.count("died"):
            yield None
        yield train(1)  # the answer to the first idle, which crossed the trainer's end
        while link.count("idle") < 2:
            yield None
        yield train(2)
        while not link.count("row"):
            yield None
        yield {"kind": "stop", "status": 0}

    link = Rank0(script)
    agents.append(Agent(link, 1, notices))
    assert agents[0].run() == 0
    assert [m["index"] for m in link.heard if m["kind"] == "returned"] == [1]
    assert {m["index"] for m in link.heard if m["kind"] == "row"} == {2}
    assert link.count("died") == 1


class AbortError(Exception):
    """Takes the place of the end of all ranks."""


@pytest.mark.parametrize("disk_hangs", [False, True])
def test_a_rank_that_hears_rank_0_no_more_records_its_node_if_it_can_and_ends_the_job(
    tmp_path, notices, without_torch, monkeypatch, capsys, disk_hangs
):
    def abort(link, status):
        raise AbortError

    monkeypatch.setattr(Rank0, "abort", abort)
    (tmp_path / "journal").mkdir()
    silence = {"record": "silent-x", "host": "n0", "site": "", "reason": "no word", "rank": 0}
    agents = []

    def script(link):
        while not link.count("hello"):
            yield None
        yield {**configure(tmp_path), "results": str(tmp_path), "silence": silence}
        agents[0]._heartbeat.silent_rank = lambda: 0
        while True:
            yield None

    if disk_hangs:
        goes_on = threading.Event()
        monkeypatch.setattr(agent, "RECORD_SECONDS", 0.0)
        monkeypatch.setattr(node_trouble, "write_once", lambda *_: goes_on.wait(HANG_SECONDS))
    agents.append(Agent(Rank0(script), 1, notices))
    with pytest.raises(AbortError):
        agents[0].run()
    agents[0]._trainers[0].end()
    if disk_hangs:
        goes_on.set()
        return
    assert [node.host for node in read_bad_nodes(tmp_path / "journal")] == ["n0"]
    assert "rank 1 has not heard from rank 0 for 600 s" in capsys.readouterr().err


def test_a_trainer_that_hangs_is_replaced_and_one_that_is_told_to_leave_saves(tmp_path, notices):
    """The first stands still for longer than it may; the second goes on, saves and is gone."""
    agents = []

    def script(link):
        while not link.count("hello"):
            yield None
        yield configure(tmp_path)
        while not link.count("idle"):
            yield None
        yield train(0)
        while not link.count("row"):
            yield None
        os.kill(agents[0]._trainers[0]._process.pid, signal.SIGSTOP)
        agents[0]._trainers[0].watchdog.network_begins(hang_seconds=0.1, step_seconds=0)
        while link.count("idle") < 2:
            yield None
        of_the_first = link.count("row")
        yield train(0)
        while link.count("row") == of_the_first:
            yield None
        yield {"kind": "leave"}
        while not link.count("left"):
            yield None
        yield {"kind": "stop", "status": 75}

    link = Rank0(script)
    agents.append(Agent(link, 1, notices))
    assert agents[0].run() == 75
    [died] = [m for m in link.heard if m["kind"] == "died"]
    assert died["index"] == 0
    assert "no progress: its trainer did no step for" in died["reason"]
    assert link.heard[-1]["kind"] == "left"
    [saved] = [m for m in link.heard if m["kind"] == "saved"]
    assert saved["half_epoch"] + saved["step"] > 0
    assert len(list(tmp_path.glob("*.ckpt"))) == 1


def test_a_trainer_whose_process_is_spoiled_by_a_capture_is_replaced_at_once_and_did_not_die(
    tmp_path, notices, monkeypatch
):
    spoiled = 'say("uncaptured", index=told["index"], reason="x"); sys.exit()'
    code = NO_TORCH.replace("        say", f"        {spoiled}\n        say")
    monkeypatch.setattr(trainer_link, "COMMAND", (sys.executable, "-c", code))

    def script(link):
        while not link.count("hello"):
            yield None
        yield configure(tmp_path)
        for number in range(1, 4):
            while link.count("idle") < number:
                yield None
            yield train(number)
        while link.count("idle") < 4:
            yield None
        yield {"kind": "stop", "status": 0}

    link = Rank0(script)
    agent = Agent(link, 1, notices)
    assert agent.run() == 0
    assert [m["index"] for m in link.heard if m["kind"] == "uncaptured"] == [1, 2, 3]
    assert not link.count("died")
    assert not agent._deaths[0]


@pytest.mark.parametrize(("wanted", "first"), [(None, 1), (2, 2)])
def test_rank_0_says_how_many_trainers_a_rank_keeps_where_the_user_does_not(
    tmp_path, notices, monkeypatch, without_torch, wanted, first
):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")

    def script(link):
        while not link.count("hello"):
            yield None
        yield configure(tmp_path) | {"trainers": 3 if wanted is None else wanted}
        while link.count("idle") < (wanted or 3):
            yield None
        yield {"kind": "leave"}
        while not link.count("left"):
            yield None
        yield {"kind": "stop", "status": 0}

    link = Rank0(script)
    assert Agent(link, wanted, notices, "no such program").run() == 0
    [hello] = [m for m in link.heard if m["kind"] == "hello"]
    assert len(hello["devices"]) == first
    assert (hello["trainers"], hello["without_mps"]) == (wanted, "no such program")
    assert "NVIDIA_TF32_OVERRIDE=1" in hello["overruled"]
    assert hello["node_cores"] >= hello["cores"] >= 1
    idle = sorted(m["trainer"] for m in link.heard if m["kind"] == "idle")
    assert idle == list(range(wanted or 3))
