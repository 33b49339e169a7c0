"""What a job says of the time that is left."""

import re
from io import StringIO
from types import SimpleNamespace

import pytest

from nnlc.ranks import progress
from nnlc.ranks.progress import DISPLAY_SECONDS, LOG_SECONDS, Progress
from nnlc.tables import Row

HALF_EPOCHS = 10
ROW = Row(1.0, 1.0, 50.0)


class Shown:
    """A display on a clock that stands still until it is told."""

    def __init__(self, monkeypatch, expected, kept=None):
        self._now, self._out = 0.0, StringIO()
        monkeypatch.setattr(progress.time, "monotonic", lambda: self._now)
        self.display = Progress("tiny", HALF_EPOCHS, self._out, kept)
        self.display.begin(expected, 0, 2)

    def network(self, index):
        return SimpleNamespace(
            index=index, spec=SimpleNamespace(id=str(index)), images=SimpleNamespace(name="x")
        )

    def row(self, index, half_epoch):
        self.display.row(self.network(index), half_epoch, ROW)

    def finish(self, index):
        self.display.finished(self.network(index), [ROW], 1.0)

    def line(self, *, at: float) -> str:
        self._now = at + LOG_SECONDS
        self.display.tick()
        return self._out.getvalue().split("\n")[-2]

    def seconds_left(self, *, at: float) -> float | None:
        found = re.findall(r"about (\d+):(\d+):(\d+) left", self.line(at=at))
        return 3600 * int(found[0][0]) + 60 * int(found[0][1]) + int(found[0][2]) if found else None


@pytest.fixture
def shown(monkeypatch):
    return lambda expected, kept=None: Shown(monkeypatch, expected, kept)


def test_nothing_is_said_of_the_time_left_before_any_work_is_done(shown):
    assert shown({0: 100.0, 1: 100.0}).seconds_left(at=100) is None


def test_the_time_left_is_that_of_the_expected_work_at_the_pace_so_far(shown):
    job = shown({0: 100.0, 1: 300.0, 2: 600.0})
    job.finish(0)
    job.row(1, 5)
    assert job.seconds_left(at=500 - LOG_SECONDS) == 500 * (1000 - 250) / 250


def test_what_is_learned_of_networks_counts_for_those_that_are_done_too(shown):
    expected = {0: 100.0, 1: 300.0, 2: 600.0}
    job = shown(expected)
    job.finish(0)
    expected[0] = 200.0
    assert job.seconds_left(at=400 - LOG_SECONDS) == 400 * 900 / 200


def test_what_a_network_had_from_an_earlier_job_is_no_pace_of_this_one(shown):
    job = shown({0: 1000.0, 1: 1000.0})
    job.display.resumed(job.network(0), [ROW] * 5)
    job.row(0, 6)
    assert job.seconds_left(at=100 - LOG_SECONDS) == 100 * 1400 / 100


def test_what_a_network_had_from_this_job_is_of_this_one_also_when_it_goes_on(shown):
    job = shown({0: 1000.0, 1: 1000.0})
    job.row(0, 1)
    job.row(0, 2)
    job.display.failed(job.network(0), "killed", final=False)
    job.display.resumed(job.network(0), [ROW, ROW])
    assert job.seconds_left(at=100 - LOG_SECONDS) == 100 * 1800 / 200


def test_lost_work_of_failed_attempts_is_a_pace_and_networks_given_up_are_not_left(shown):
    job = shown({0: 100.0, 1: 100.0, 2: 100.0})
    for final in (False, True):
        job.row(0, 10)
        job.display.failed(job.network(0), "ValueError: x", final=final)
    job.row(1, 1)
    assert job.seconds_left(at=210 - LOG_SECONDS) == 190


def test_half_epochs_that_kept_weights_save_are_neither_done_here_nor_left(shown):
    job = shown({0: 60.0, 1: 300.0}, {0: 4})  # the six half epochs that are left take 60 s
    job.display.resumed(job.network(0), [ROW] * 4)
    job.row(0, 7)
    assert job.seconds_left(at=200 - LOG_SECONDS) == 200 * 330 / 30


def test_the_log_counts_no_network_whose_first_half_epoch_it_does_not_know(shown):
    job = shown(dict.fromkeys(range(6), 1.0))
    assert job.line(at=10).endswith("0 of 6 networks done")
    for index in range(5):
        job.row(index, 5 - index)
    named = "; ".join(f"{i} epoch {(5 - i) / 2} accuracy 50.0 %" for i in (4, 3, 2))
    assert f"under way: {named}; and 2 more" in job.line(at=100)


def test_a_live_display_shows_the_counts_at_once_and_no_message_holds_them_back(monkeypatch):
    now, out = 0.0, StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as for a terminal
    display = Progress("tiny", HALF_EPOCHS, StringIO(), live=True)
    display.begin({0: 1.0, 1: 1.0}, 0, 1)
    assert "0 of 2 networks done" in out.getvalue()
    display.finished(Shown.network(display, 0), [ROW], 1.0)
    for _ in range(10):
        now += DISPLAY_SECONDS / 2
        display.message("a line")
        display.tick()
    assert "1 of 2 networks done" in out.getvalue()
    display.end()
