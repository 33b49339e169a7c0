"""A trainer's inbox: whole messages, in order, however a pipe cuts them, and no waiting between
steps."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import HANG_SECONDS

from nnlc.system import messages
from nnlc.training.inbox import Inbox

SAVE, CHECK = {"kind": "save"}, {"kind": "check"}
LONG = {"kind": "train", "spec": "ü" * 50_000}


class Pipe:
    def __init__(self):
        read, self._write = os.pipe()
        self.inbox = Inbox(read)

    def put(self, data):
        os.write(self._write, data)

    def end(self):
        os.close(self._write)


@pytest.fixture
def pipe():
    return Pipe()


@pytest.fixture(autouse=True)
def _never_blocked():
    def blocked(*_):
        raise TimeoutError("it waits for a message that nobody sends")

    former = signal.signal(signal.SIGALRM, blocked)
    signal.alarm(int(HANG_SECONDS))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


def poll_all(inbox):
    """All messages that polling finds now."""
    return list(iter(inbox.poll, None))


def test_polling_an_empty_pipe_finds_nothing_and_does_not_wait(pipe):
    assert pipe.inbox.poll() is None
    assert not pipe.inbox.ended


def test_polling_does_not_wait_for_the_rest_of_a_message(pipe):
    line = messages.encode(SAVE)
    for byte in line[:-1]:
        pipe.put(bytes([byte]))
        assert pipe.inbox.poll() is None
    pipe.put(line[-1:])
    assert poll_all(pipe.inbox) == [SAVE]


def test_several_messages_at_once_come_one_by_one_in_order(pipe):
    pipe.put(messages.encode(CHECK) + messages.encode(SAVE) + messages.encode(CHECK)[:5])
    assert poll_all(pipe.inbox) == [CHECK, SAVE]
    pipe.put(messages.encode(CHECK)[5:])
    assert poll_all(pipe.inbox) == [CHECK]


@settings(max_examples=50)
@given(data=st.data(), sent=st.lists(st.sampled_from([SAVE, CHECK, LONG]), max_size=4))
def test_however_the_pipe_cuts_them_messages_come_whole_and_in_order(data, sent):
    pipe, found, start = Pipe(), [], 0
    stream = b"".join(messages.encode(message) for message in sent)
    for end in [*sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6))), len(stream)]:
        for piece in range(start, end, 50_000):
            pipe.put(stream[piece : min(piece + 50_000, end)])
            found += poll_all(pipe.inbox)
        start = end
    pipe.end()
    assert found + list(pipe.inbox) == sent


def test_waiting_gives_every_message_and_ends_with_the_pipe(pipe):
    pipe.put(messages.encode(CHECK) + messages.encode(SAVE))
    waiting = iter(pipe.inbox)
    assert [next(waiting), next(waiting)] == [CHECK, SAVE]
    pipe.put(messages.encode(LONG)[:100])
    pipe.put(messages.encode(LONG)[100:5000])
    pipe.end()
    assert list(waiting) == []
    assert pipe.inbox.ended


def test_a_message_that_came_with_the_end_is_not_lost_to_polling(pipe):
    pipe.put(messages.encode(SAVE))
    pipe.end()
    assert poll_all(pipe.inbox) == [SAVE]
    assert pipe.inbox.poll() is None
    assert pipe.inbox.ended
    assert pipe.inbox.poll() is None


def test_waiting_goes_on_where_polling_left_off(pipe):
    pipe.put(messages.encode(CHECK) + messages.encode(SAVE))
    assert pipe.inbox.poll() == CHECK
    pipe.end()
    assert list(pipe.inbox) == [SAVE]
