"""Signals that ask a job to stop, really sent to this process."""

import signal
from types import SimpleNamespace

import conftest
import pytest
from gatherer_jobs import Clock

from nnlc.ranks.notices import ECHO_SECONDS, NOTICES, Notices


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nnlc.ranks.notices.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def notices(clock):
    """Those of this process, which gets its own handlers back after each test."""
    notices = Notices()
    notices.ended = 0

    def on_second_signal():
        notices.ended += 1

    notices.on_second_signal = on_second_signal
    return notices


@pytest.mark.parametrize("number", NOTICES, ids=lambda number: number.name)
def test_every_signal_by_which_schedulers_warn_is_a_notice_and_told_once(notices, number):
    assert notices.take_signal() is None
    signal.raise_signal(number)
    assert notices.take_signal() == number.name
    assert notices.take_signal() is None
    assert not notices.ended


def test_an_echo_within_a_second_is_nothing(notices, clock):
    signal.raise_signal(signal.SIGINT)
    clock.now += 0.9 * ECHO_SECONDS
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert notices.take_signal() == "SIGINT"
    assert notices.take_signal() is None
    assert not notices.ended


@pytest.mark.parametrize("number", [signal.SIGURG, signal.SIGUSR1, signal.SIGUSR2])
def test_what_a_script_passes_on_of_a_scheduler_s_two_warnings_leaves_time_to_save(
    number, notices, clock
):
    """LSF's bkill: SIGINT to the script, SIGTERM 10 s later, and SIGKILL after as much again."""
    signal.raise_signal(number)
    clock.now += 10.5
    signal.raise_signal(number)
    assert not notices.ended


def test_a_second_signal_later_ends_the_job_at_once(notices, clock):
    signal.raise_signal(signal.SIGUSR1)
    clock.now += ECHO_SECONDS
    signal.raise_signal(signal.SIGTERM)
    assert notices.ended == 1
    assert notices.take_signal() == "SIGUSR1"


@pytest.mark.parametrize("name", ["SIGHUP", "SIGXCPU", "SIGQUIT", "SIGPWR"])
def test_what_who_started_this_had_ignored_stays_so_as_under_nohup(name):
    number = getattr(signal, name)
    signal.signal(number, signal.SIG_IGN)
    notices = Notices()
    signal.raise_signal(number)
    assert notices.take_signal() is None


def test_a_used_up_limit_which_is_told_every_second_is_told_once(notices, clock):
    for _ in range(20):
        signal.raise_signal(signal.SIGXCPU)
        clock.now += 1
    assert notices.take_signal() == "SIGXCPU"
    assert not notices.ended


def test_signals_that_a_test_leaves_ignored_are_heard_by_the_next():
    before = {number: signal.getsignal(number) for number in NOTICES}
    around = conftest.pytest_runtest_protocol(None)
    next(around)
    Notices().ignore()
    next(around, None)
    assert {number: signal.getsignal(number) for number in NOTICES} == before
