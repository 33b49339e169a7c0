"""One agent with a real trainer process, and a pretended rank 0."""

import os
import signal
import time
from dataclasses import asdict

import pytest

from nnlc import load_campaign
from nnlc.ranks.agent import Agent
from nnlc.ranks.mpi import Link


class Rank0(Link):
    """Rank 1's link; what rank 0 would say is scripted, a step for each thing waited for."""

    rank, ranks, local_rank, poll_seconds = 1, 2, 0, 0.01

    def __init__(self, script):
        self.heard: list[dict] = []
        self._script = script(self)
        self._deadline = time.monotonic() + 60

    def send(self, rank, message):
        self.heard.append(message)

    def receive(self):
        if time.monotonic() > self._deadline:
            return [(0, {"kind": "stop", "status": 99})]
        answer = next(self._script, None)
        return [(0, answer)] if answer else []

    def leave(self):
        pass

    def abort(self, status):
        pytest.fail("aborted")

    def count(self, kind: str) -> int:
        return sum(message["kind"] == kind for message in self.heard)


def train(index: int) -> dict:
    network = list(load_campaign("smoke").networks())[index]
    spec, images = network.spec.to_json(), asdict(network.images)
    return {"kind": "train", "trainer": 0, "index": index, "spec": spec, "image_set": images}


def test_a_network_that_crosses_the_end_of_its_trainer_is_given_back_not_lost():
    campaign = load_campaign("smoke").model_dump(mode="json")
    agents = []

    def script(link):
        while not link.count("hello"):
            yield None
        yield {"kind": "configure", "campaign": campaign, "images": "none", "device": "cpu"}
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
    agents.append(Agent(link, 1))
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert agents[0].run() == 0
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert [m["index"] for m in link.heard if m["kind"] == "returned"] == [1]
    assert {m["index"] for m in link.heard if m["kind"] == "row"} == {2}
    assert link.count("died") == 1
