"""The journal: no event is lost, torn, doubled or reordered, and garbage stops no reader."""

import errno
import json
import os
import resource
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlc.results.journal
from nnlc.results.history import read_history
from nnlc.results.journal import Journal, read_events, read_progress, unread_files
from nnlc.system.files import ignored_lines


def numbers(folder) -> list[int]:
    return [event["i"] for event in read_events(folder)]


def line(when: str, i: int, **facts) -> str:
    return json.dumps({"time": when, "event": "x", "i": i, **facts}) + "\n"


@contextmanager
def room_for(path, more: int):
    """The kernel itself lets the file grow by so many bytes and then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("more", [0, 1, 20, -1])
def test_lines_that_the_kernel_tears_are_written_again_whole_and_in_order(tmp_path, more):
    journal = Journal(tmp_path)
    journal.write("x", i=0)
    size = journal.path.stat().st_size
    with room_for(journal.path, size + more if more < 0 else more):  # -1: but for its line end
        journal.write("x", i=1)
        journal.write("x", i=2)
        assert journal.trouble == f"{journal.path}: {os.strerror(errno.EFBIG)}"
        assert numbers(tmp_path) == ([0, 1] if more < 0 else [0])
    journal.write("x", i=3)
    assert journal.trouble is None
    assert numbers(tmp_path) == [0, 1, 2, 3]


def test_a_folder_that_is_away_for_a_while_loses_no_event(tmp_path, monkeypatch):
    folder, away = tmp_path / "journal", tmp_path / "away"
    folder.mkdir()
    journal = Journal(folder)
    folder.rename(away)
    journal.write("x", i=0)
    journal.progress({"a": {"half_epochs": 1}})
    assert "No such file" in journal.trouble
    away.rename(folder)
    journal._last_try -= 2
    journal.try_again()
    folder.rename(away)
    journal.write("x", i=1)
    away.rename(folder)
    journal.end()
    assert journal.trouble is None
    assert numbers(folder) == [0, 1]


def test_a_disk_that_takes_not_one_byte_is_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda handle, content: 0)
    journal = Journal(tmp_path)
    journal.write("x", i=0)
    assert journal.trouble == f"{journal.path}: {os.strerror(errno.EIO)}"


def test_trying_again_does_nothing_more_often_than_every_second(tmp_path, monkeypatch):
    calls = []
    clock = [100.0]

    def full(handle, content):
        calls.append(content)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nnlc.results.journal.time, "monotonic", lambda: clock[0])
    journal = Journal(tmp_path)
    journal.try_again()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        journal.write("x", i=0)
        for _ in range(50):
            clock[0] += 0.1
            journal.try_again()
    assert 4 <= len(calls) <= 6
    clock[0] += 2
    journal.try_again()
    assert numbers(tmp_path) == [0]
    size = journal.path.stat().st_size
    clock[0] += 2
    journal.try_again()
    assert journal.path.stat().st_size == size


def test_a_snapshot_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(nnlc.results.journal, "write_atomically", full)
        journal.progress({"a": {"half_epochs": 1}})
    assert not journal.progress_is_due()
    assert read_progress(tmp_path) == {}
    journal.progress({"a": {"half_epochs": 1}})
    assert read_progress(tmp_path) == {"a": {"half_epochs": 1}}
    journal.end()
    assert read_progress(tmp_path) == {}


def test_two_journals_of_one_second_and_process_number_keep_files_of_their_own(tmp_path):
    journals = [Journal(tmp_path) for _ in range(3)]
    journals[2]._stem, journals[2].path = journals[0]._stem, journals[0].path
    journals[1]._stem, journals[1].path = journals[0]._stem, journals[0].path
    journals[0].progress({"a": {"half_epochs": 1}})
    for i, journal in enumerate(journals):
        journal.write("x", i=i)
        journal.progress({str(i): {"half_epochs": 1}})
    assert len({journal.path for journal in journals}) == 3
    assert all(len(journal.path.read_text().splitlines()) == 1 for journal in journals)
    assert sorted(read_progress(tmp_path)) == ["0", "1", "2"]


def test_what_json_does_not_know_is_written_in_words(tmp_path):
    Journal(tmp_path).write("x", path=tmp_path, text="\ud800…")
    [event] = read_events(tmp_path)
    assert (event["path"], event["text"]) == (str(tmp_path), "\ud800…")


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["open", "write", "close"]),
        st.integers(0, 200),  # bytes that go through before
        st.booleans(),  # whether the file system owns up to it
    )
    | st.none(),
    max_size=40,
)


@settings(max_examples=150)
@given(faults=FAULTS, lengths=st.lists(st.integers(0, 90), min_size=1, max_size=12))
def test_whatever_fails_in_between_every_event_is_read_back_once_and_in_order(
    tmp_path_factory, faults, lengths
):
    folder = tmp_path_factory.mktemp("journal")
    queue = list(faults)
    here = {name: getattr(os, name) for name in ("open", "write", "close")}

    def next_fault(name: str):
        return queue.pop(0) if queue and (queue[0] is None or queue[0][0] == name) else None

    def fake_open(*arguments):
        if next_fault("open"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return here["open"](*arguments)

    def fake_write(handle, content):
        if fault := next_fault("write"):
            _, part, honest = fault
            written = here["write"](handle, content[:part])
            if not honest:
                raise OSError(errno.EIO, "Input/output error")
            return written
        return here["write"](handle, content)

    def fake_close(handle):
        here["close"](handle)
        if next_fault("close"):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.MonkeyPatch.context() as patch:
        for name, fake in {"open": fake_open, "write": fake_write, "close": fake_close}.items():
            patch.setattr(os, name, fake)
        journal = Journal(folder)
        for i, length in enumerate(lengths):
            journal.write("x", i=i, filling="." * length)
            assert (journal.trouble is None) == (not journal._waiting)
    written = numbers(folder)
    assert written == list(range(len(written)))
    journal.end()
    assert journal.trouble is None
    assert numbers(folder) == list(range(len(lengths)))


PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"9" * 5000,
            b'{"time": 1, "event": ["failure"], "id": 3}',
            b'{"time": null, "event": "failure", "id": {}}',
            b'{"time": "2026-01-01", "event": "finish", "id": "a", "device": [], "seconds": 1e999}',
            b'{"time": "0001-01-01T00:00:00+14:00", "event": "retire", "ids": [[], null, "a"]}',
            b'{"time": "9999-12-31T23:59:59-14:00", "event": "attempt", "id": "a", "after": []}',
            b'{"time": "\\ud800", "event": "failure", "id": "\\ud800", "reason": "\\ud800\\u0000"}',
            b'{"time": "2026-01-01T00:00:00", "event": "retry", "ids": {"a": 1}, "after": "x"}',
            b'{"time": {}, "event": "trouble", "reason": NaN, "id": -Infinity}',
            b'{"time": 1, "event": "finish", "id": "a", "seconds": ' + b"9" * 4000 + b"}",
        ]
    ),
)


@settings(max_examples=150)
@given(files=st.lists(st.lists(PIECES, max_size=6), min_size=1, max_size=3))
def test_no_bytes_whatever_stop_a_reader_or_hide_an_event_on_another_line(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("journal")
    total = 0
    for f, pieces in enumerate(files):
        content = b""
        for piece in pieces:
            content += piece + b"\n" + line("2026-01-01T00:00:00", total, mark="ours").encode()
            total += 1
        (folder / f"{f}.jsonl").write_bytes(content + b"\xff{")
        (folder / f"{f}.progress.json").write_bytes(pieces[0] if pieces else b"")
    found = [event["i"] for event in read_events(folder) if event.get("mark") == "ours"]
    assert sorted(found) == list(range(total))
    read_history(folder)
    read_progress(folder)


def test_a_line_that_was_cut_off_a_folder_and_a_file_that_vanished_are_passed_over(tmp_path):
    journal = Journal(tmp_path)
    journal.write("start", id="a")
    with journal.path.open("ab") as file:
        file.write(b'\xff\x00 garbage\n[1]\n{"time": "x"}\n{"time": "2026", "ev')
    (tmp_path / "0.jsonl").mkdir()
    (tmp_path / "1.jsonl").symlink_to(tmp_path / "gone")
    assert [event["id"] for event in read_events(tmp_path)] == ["a"]
    assert list(read_events(tmp_path / "no folder")) == []


def test_events_of_one_file_keep_their_order_when_its_clock_is_set_back(tmp_path):
    fast = line("2026-01-01T15:00:00+00:00", 1) + line("2026-01-01T15:01:00+00:00", 2)
    (tmp_path / "a.jsonl").write_text(fast + line("2026-01-01T12:00:00+00:00", 3))
    (tmp_path / "b.jsonl").write_text(
        line("2026-01-01T11:00:00", 0) + "{}\n" + line("2026-01-01T14:00:00+02:00", 4)
    )
    (tmp_path / "c.jsonl").write_text(line("2026-01-01T13:00:00Z", 5) + line("no time", 6))
    assert numbers(tmp_path) == [0, 1, 2, 3, 4, 5, 6]


def test_a_time_without_a_zone_is_utc_wherever_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text(line("2026-01-01T12:00:00", 0))
    (tmp_path / "b.jsonl").write_text(line("2026-01-01T12:01:00+00:00", 1))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC+9")
        time.tzset()
        found = numbers(tmp_path)
    time.tzset()
    assert found == [0, 1]


def test_of_two_files_with_one_time_the_later_begun_counts_later(tmp_path):
    for i, stem in enumerate(["job", "job-2", "job-3"]):
        (tmp_path / f"{stem}.jsonl").write_text(line("2026-01-01T12:00:00", i))
    assert numbers(tmp_path) == [0, 1, 2]


def test_events_of_some_kinds_are_those_of_all_kinds_in_the_same_order(tmp_path):
    for _ in range(2):
        journal = Journal(tmp_path)
        for i, kind in enumerate("abcab"):
            journal.write(kind, i=i)
    some = [event for event in read_events(tmp_path) if event["event"] in "ab"]
    assert list(read_events(tmp_path, {"a", "b"})) == some


def test_a_job_that_went_silent_is_no_longer_under_way(tmp_path):
    old = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    snapshot = {"time": old, "under_way": {"a": {"half_epochs": 3, "accuracy": 1.0}}}
    (tmp_path / "x.progress.json").write_text(json.dumps(snapshot))
    (tmp_path / "y.progress.json").write_text("{")
    now = datetime.now(UTC).isoformat()
    garbage = [[1], {"a": 3}, {"a": {}}, *({"a": {"half_epochs": n}} for n in ("many", 1e999))]
    for i, under_way in enumerate(garbage):
        text = json.dumps({"time": now, "under_way": under_way})
        (tmp_path / f"z{i}.progress.json").write_text(text)
    assert read_progress(tmp_path) == {}


@pytest.mark.parametrize("stands", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_stands_in_the_place_of_a_journal_s_folder_is_told(tmp_path, stands):
    assert ignored_lines(unread_files(tmp_path / "journal")) == []
    stands(tmp_path / "journal")
    [line] = ignored_lines(unread_files(tmp_path / "journal"))
    assert line.startswith(f"{tmp_path / 'journal'}: ")
    assert line.endswith("; it is ignored")
