"""What all jobs of a results folder add up to: attempts, failures, and what made the tables."""

import errno
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_jobs import write_campaign

import nnlc.results.journal
from nnlc import load_campaign
from nnlc.errors import ResultsError
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import Finish, History, read_history
from nnlc.results.journal import Journal, read_events
from nnlc.results.makers import makers
from nnlc.results.retry import retry

A100 = {"name": "NVIDIA A100-SXM4-40GB", "uuid": "1", "multiprocessors": 108}
VERSIONS = {"torch": "2.14.1", "cuda": "13.0", "cudnn": 91002, "driver": "580", "nnlc": "0.1.0"}
A100_WORDS = (
    "NVIDIA A100-SXM4-40GB (108 multiprocessors), torch 2.14.1, CUDA 13.0, cuDNN 9.10.2, nnlc 0.1.0"
)


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "r")
    folder.open(load_campaign(write_campaign(tmp_path)))
    return folder


def history_of(folder, *events) -> History:
    journal = Journal(folder)
    for kind, facts in events:
        journal.write(kind, **facts)
    return read_history(folder)


A, B = {"id": "a", "reason": "why a"}, {"id": "b", "reason": "why b"}


@pytest.mark.parametrize(
    ("events", "attempts", "failures"),
    [
        ([], {}, {}),
        ([("attempt", A), ("attempt", A), ("attempt", B)], {"a": 2, "b": 1}, {}),
        ([("attempt", A), ("failure", A)], {"a": 2}, {"a": "why a"}),
        ([("failure", A), ("start", A), ("resume", A)], {"a": 1}, {"a": "why a"}),
        ([("failure", A), ("finish", A)], {}, {}),
        ([("finish", A), ("failure", A)], {"a": 1}, {"a": "why a"}),
        ([("failure", A), ("failure", B), ("retry", {"ids": ["a"]})], {"b": 1}, {"b": "why b"}),
        ([("retry", {"ids": ["a"]}), ("failure", A)], {"a": 1}, {"a": "why a"}),
        ([("attempt", A)] * 2 + [("retire", {"ids": ["a", "b"]})], {"a": 1}, {}),
        ([("retire", {"ids": ["a"]}), ("attempt", A)], {"a": 1}, {}),
        ([("failure", A), ("retire", {"ids": ["a"]})], {}, {}),
        ([("attempt", A)] * 3 + [("retire", {"ids": ["a", "a"]})], {"a": 1}, {}),
        ([("failure", {"id": "a"})], {"a": 1}, {"a": "for no recorded reason"}),
        ([("failure", {"id": "\ud800"}), ("failure", {"id": "a\nb"})], {}, {}),
        ([("failure", {}), ("attempt", {"id": 1}), ("retry", {}), ("retire", {"ids": 1})], {}, {}),
    ],
)
def test_bad_ends_count_until_a_finish_a_retry_or_a_retired_rank(
    tmp_path, events, attempts, failures
):
    found = history_of(tmp_path, *events)
    assert (found.attempts, found.failures) == (attempts, failures)


def test_attempts_add_up_over_jobs(tmp_path):
    for _ in range(3):
        found = history_of(tmp_path, ("job", {}), ("attempt", A), ("end", {}))
    assert found.attempts == {"a": 3}


@given(st.lists(st.tuples(st.sampled_from("afrtc"), st.sampled_from("xyz")), max_size=30))
def test_a_network_that_has_failed_stays_so_until_it_is_cleared_or_its_rank_retired(
    tmp_path_factory, steps
):
    folder = tmp_path_factory.mktemp("journal")
    kinds = {"a": "attempt", "f": "failure", "r": "retire", "t": "start", "c": "retry"}
    journal = Journal(folder)
    failed: set[str] = set()
    for step, id_ in steps:
        about = {"ids": [id_]} if step in "rc" else {"id": id_, "reason": "r"}
        journal.write(kinds[step], **about)
        failed = failed | {id_} if step == "f" else failed - {id_} if step in "rc" else failed
    found = read_history(folder)
    assert found.failures.keys() == failed
    assert all(count > 0 for count in found.attempts.values())


def test_trouble_is_over_when_a_job_begins_or_ends(tmp_path):
    found = history_of(tmp_path, ("job", {}), ("trouble", {"reason": "disk\nfull", "id": "a"}))
    assert found.trouble.endswith(": disk full")
    assert found.attempts == {}
    assert history_of(tmp_path, ("end", {"status": "DONE"})).trouble is None


def test_a_finish_tells_what_it_has_and_one_of_an_older_journal_little(tmp_path):
    full = {"id": "a", "seconds": 2, "attempts": 1, "sha256": "ff", "device": A100}
    full |= {"versions": VERSIONS, "settings": {"threads": 1, "deterministic": True}}
    old = {"id": "b", "seconds": 1.5, "rank": 0}
    odd = {"id": "c", "seconds": "x", "attempts": True, "device": 1, "versions": {"torch": []}}
    found = history_of(tmp_path, ("finish", full), ("finish", old), ("finish", odd)).finishes
    assert found == {
        "a": Finish(
            seconds=2.0,
            attempts=1,
            sha256="ff",
            device=A100["name"],
            multiprocessors=108,
            versions={**VERSIONS, "cudnn": "91002"},
            settings={"threads": "1", "deterministic": "true"},
        ),
        "b": Finish(seconds=1.5),
        "c": Finish(),
    }


def finishes_of(folder, *facts):
    events = [("finish", {"id": str(i), **each}) for i, each in enumerate(facts)]
    return history_of(folder, *events).finishes.values()


def test_tables_are_grouped_by_all_that_can_change_their_bits_and_by_nothing_else(tmp_path):
    one = {"device": A100, "versions": VERSIONS, "settings": {"threads": 1, "tf32": False}}
    same = [one, {**one, "seconds": 9, "device": {**A100, "uuid": "2"}}]
    same += [{**one, "versions": {**VERSIONS, "driver": "999"}}]
    assert makers(finishes_of(tmp_path, *same)) == [(A100_WORDS, 3)]

    others = [
        {**one, "device": {**A100, "name": "NVIDIA H100"}},
        {**one, "device": {**A100, "multiprocessors": 98}},
        *({**one, "versions": {**VERSIONS, key: "9.9"}} for key in ("torch", "cuda")),
        {**one, "versions": {**VERSIONS, "cudnn": 8907}},
        {"device": {"name": "CPU", "instructions": "AVX2"}, "versions": {"torch": "2.14.1"}},
        {},
    ]
    found = makers(finishes_of(tmp_path, *same, *others))
    assert found[0] == (A100_WORDS, 3)
    assert len(found) == 7
    assert ("CPU (AVX2), torch 2.14.1", 1) in found
    assert (A100_WORDS.replace("9.10.2", "8.9.7"), 1) in found


def test_all_versions_of_nnlc_are_named_and_none_makes_a_group_of_its_own(tmp_path):
    """What they do to bits, the arithmetic says."""
    one, other = ({"device": A100, "versions": {"nnlc": v}} for v in ("0.9.0", "0.10.0"))
    device = "NVIDIA A100-SXM4-40GB (108 multiprocessors)"
    assert makers(finishes_of(tmp_path, other, one)) == [(f"{device}, nnlc 0.9.0 and 0.10.0", 2)]


@pytest.mark.parametrize(
    ("versions", "arithmetic"),
    [
        ({"nnlc": "0.1.0"}, "1"),
        ({"nnlc": "0.4.0", "arithmetic": "4 without 3"}, "4 without 3"),
        ({}, None),
        ({"torch": "2.14.1"}, None),
    ],
)
def test_an_event_of_0_1_0_is_of_arithmetic_1_and_one_that_says_no_nnlc_of_none(
    tmp_path, versions, arithmetic
):
    [found] = finishes_of(tmp_path, {"versions": versions})
    assert found.arithmetic == arithmetic


def test_settings_are_named_where_they_differ(tmp_path):
    one = {"device": A100, "settings": {"threads": 1, "tf32": False}}
    other = {"device": A100, "settings": {"threads": 1, "tf32": True}}
    device = "NVIDIA A100-SXM4-40GB (108 multiprocessors), tf32"
    found = makers(finishes_of(tmp_path, one, other, other))
    assert found == [(f"{device} true", 2), (f"{device} false", 1)]


def test_events_that_say_nothing_of_a_device_make_no_group(tmp_path):
    assert makers([]) == []
    assert makers(finishes_of(tmp_path, {}, {"settings": {"threads": 1}})) == []


def cleared(results, ids=()):
    """IDs of the failures that are cleared."""
    return [line.split()[0] for line in retry(results, ids) if line.endswith("no longer failed")]


def test_clearing_some_failures_leaves_the_others_and_their_attempts(results):
    history_of(results.journal_folder, ("attempt", A), ("failure", A), ("failure", B))
    assert cleared(results, ["a", "a"]) == ["a"]
    found = read_history(results.journal_folder)
    assert (found.attempts, found.failures) == ({"b": 1}, {"b": "why b"})
    assert cleared(results) == ["b"]
    assert cleared(results) == []


def test_an_id_that_has_not_failed_is_named_and_nothing_is_changed(results):
    names = [f"n{i}" for i in range(9)]
    failures = [("failure", {"id": name, "reason": "x"}) for name in names]
    history_of(results.journal_folder, *failures)
    before = list(read_events(results.journal_folder))
    with pytest.raises(ResultsError, match=r"nope; those that failed are n0, .*n4 and 4 more$"):
        cleared(results, ["n1", "nope"])
    assert list(read_events(results.journal_folder)) == before


def test_an_id_where_nothing_has_failed_is_an_error_that_says_so(results):
    with pytest.raises(ResultsError, match="nope; none has failed"):
        cleared(results, ["nope"])


def test_a_failure_is_cleared_though_the_clock_of_its_job_was_fast(results):
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    text = f'{{"time": "{soon}", "event": "failure", "id": "a"}}\n'
    (results.journal_folder / "~later.jsonl").write_text(text)
    assert cleared(results) == ["a"]
    assert read_history(results.journal_folder).failures == {}


def test_a_journal_that_cannot_be_written_is_an_error_and_clears_nothing(results, monkeypatch):
    def full(handle, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    history_of(results.journal_folder, ("failure", A))
    with monkeypatch.context() as patch:
        patch.setattr(nnlc.results.journal.os, "write", full)
        with pytest.raises(ResultsError, match="jsonl: No space left on device; no failure"):
            cleared(results)
    assert read_history(results.journal_folder).failures == {"a": "why a"}
