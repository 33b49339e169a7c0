"""The link between ranks over a pretended MPI, and what goes over it: bytes, collected."""

import math
import subprocess
import sys
from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlc.ranks import trainer_link
from nnlc.ranks.agent import Agent
from nnlc.ranks.mpi import MOST_AT_ONCE, SHORTEST_SLEEP_SECONDS, Link, MpiLink
from nnlc.system import messages

ODD_ROW = b'{"kind":"row","index": 7, "values":[1.10,NaN,  2e0],"half_epoch":1}\n'
"""A row that no encoder of ours would write so."""
CHATTY_TRAINER = f"""
import sys
print('{{"kind":"ready","device":{{}}}}', flush=True)
sys.stdin.readline()
sys.stdout.write({ODD_ROW.decode()!r})
print('no message of ours')
print('{{"kind":"saved","index":7,"seconds":0.5}}', flush=True)
sys.stdin.read()
"""

any_message = st.dictionaries(
    st.text(max_size=5),
    st.floats() | st.text() | st.none() | st.lists(st.integers(), max_size=3),
    max_size=4,
)


LOADED = """
import gc
WHILE_LOADING = gc.isenabled()
def main(words):
    print(*words, WHILE_LOADING, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_a_trainer_loads_its_libraries_without_collecting_garbage_and_then_collects(tmp_path):
    (tmp_path / "loaded.py").write_text(LOADED)
    python, *start, _ = trainer_link.COMMAND
    words = [python, *start, "loaded", "7"]
    told = subprocess.run(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    assert told.stdout == "7 False True True\n"


class World:
    """Ranks in one process; counts what is sent."""

    def __init__(self, size):
        self.size, self.sent = size, 0
        self.boxes = [deque() for _ in range(size)]

    def link(self, rank):
        world = SimpleNamespace(rank=rank, size=self.size, Ibarrier=lambda: _Done())

        def isend(buffer, dest, tag):
            self.sent += 1
            self.boxes[dest].append((rank, bytes(buffer[0])))
            return _Done()

        def iprobe(source, tag, status):
            if not self.boxes[rank]:
                return False
            status.found = self.boxes[rank][0]
            return True

        def recv(buffer, source, tag):
            buffer[0][:] = self.boxes[rank].popleft()[1]

        world.Isend, world.Iprobe, world.Recv = isend, iprobe, recv
        mpi = SimpleNamespace(COMM_WORLD=world, BYTE=None, ANY_SOURCE=-1, Status=_Status)
        return MpiLink(mpi, rank, "mpirun")


class _Done:
    def Test(self):  # noqa: N802
        return True


class _Status:
    def Get_source(self):  # noqa: N802
        return self.found[0]

    def Get_count(self, _):  # noqa: N802
        return len(self.found[1])


def bits(message):
    return repr(message)  # a NaN equals none


@given(batch=st.lists(any_message, min_size=1))
def test_messages_in_one_batch_come_whole_and_in_order(batch):
    assert bits(messages.decode_batch(b"".join(map(messages.encode, batch)))) == bits(batch)


def test_what_is_said_to_a_rank_before_a_flush_goes_as_one_message():
    world = World(3)
    ours, first, second = (world.link(rank) for rank in range(3))
    for number in range(5):
        ours.send(1, {"kind": "n", "n": number})
        ours.send(2, {"kind": "n", "n": -number})
    assert not world.sent
    ours.flush()
    assert world.sent == 2
    assert first.receive() == [(0, [{"kind": "n", "n": number} for number in range(5)])]
    assert second.receive() == [(0, [{"kind": "n", "n": -number} for number in range(5)])]
    ours.flush()
    assert world.sent == 2


@pytest.mark.parametrize("make", [Link, lambda: World(2).link(0)])
def test_what_a_rank_says_to_itself_stays_here_and_is_not_waited_for(make):
    link = make()
    link.pause()
    link.send(0, {"kind": "n"})
    link.flush()
    assert link.pause() == 0
    assert link.receive() == [(0, [{"kind": "n"}])]
    assert link.receive() == []


def test_a_flood_from_others_leaves_a_rank_time_for_its_own_trainers():
    world = World(2)
    ours, other = world.link(0), world.link(1)
    for _ in range(3 * MOST_AT_ONCE):
        other.send(0, {"kind": "n"})
        other.flush()
    assert [len(ours.receive()) for _ in range(4)] == [MOST_AT_ONCE] * 3 + [0]


@pytest.mark.parametrize("rank", [0, 1])
def test_looks_grow_rare_in_silence_and_frequent_when_something_comes_or_goes(rank):
    world = World(2)
    link, other = world.link(rank), world.link(1 - rank)

    def silence():
        pauses = [link.pause() for _ in range(12)]
        assert pauses[:2] == [0, SHORTEST_SLEEP_SECONDS]
        assert pauses == sorted(pauses)
        assert pauses[-1] == link.longest_sleep_seconds

    silence()
    link.send(1 - rank, {"kind": "n"})
    link.flush()
    silence()
    other.send(rank, {"kind": "n"})
    other.flush()
    assert link.receive()
    silence()


class Rank0(Link):
    """Rank 1's link to a rank 0 that keeps every line, and says stop when all has come."""

    rank, ranks, local_rank, longest_sleep_seconds = 1, 2, 0, 0.01

    def __init__(self):
        super().__init__()
        self.lines = []

    def send_line(self, rank, line):
        self.lines.append(line)

    def flush(self):
        pass

    def receive(self):
        if len(self.lines) == 1:  # its hello
            return [(0, [{"kind": "configure", "trainers": 1}])]
        return [(0, [{"kind": "stop", "status": 0}])] if len(self.lines) > 3 else []

    def leave(self, status):
        pass

    def abort(self, status):
        pytest.fail("aborted")


def test_rows_pass_an_agent_to_the_byte_and_all_else_says_from_which_trainer(monkeypatch, capfd):
    monkeypatch.setattr(trainer_link, "COMMAND", (sys.executable, "-c", CHATTY_TRAINER))
    link = Rank0()
    notices = SimpleNamespace(take_signal=lambda: None, ignore=lambda: None)
    assert Agent(link, 1, notices).run() == 0
    _, *said = link.lines
    assert ODD_ROW in said
    assert math.isnan(messages.decode(ODD_ROW)["values"][1])
    others = [messages.decode(line) for line in said if line != ODD_ROW]
    assert {"kind": "saved", "index": 7, "seconds": 0.5, "trainer": 0} in others
    assert "no message of ours" in capfd.readouterr().err
