"""Jobs that were ended without a chance to say so: found in what they had written before."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from gatherer_jobs import Clock
from gatherer_jobs import Job as GathererJob

from nnlc.results.history import read_history
from nnlc.results.journal import SILENT_SECONDS, Journal
from nnlc.results.open_jobs import unsaid_ends
from nnlc.system.process import this_process

GONE = {**this_process(), "started": "1"}
"""A process with this number has lived here before."""
FAR = {**this_process(), "host": "node7", "boot": "another"}


def unsaid(folder):
    return unsaid_ends(folder, read_history(folder).open_jobs)


def age(journal, seconds):
    """Have all that a journal holds be written so long ago."""
    moment = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    journal.path.write_text("".join(json.dumps({**e, "time": moment}) + "\n" for e in lines))


@pytest.mark.parametrize("process", [GONE, FAR], ids=["here", "elsewhere"])
def test_a_job_that_is_gone_and_wrote_no_end_is_found_with_what_it_trained(tmp_path, process):
    journal = Journal(tmp_path)
    journal.write("job", process=process)
    for name in "abc":
        journal.write("start", id=name)
    journal.write("finish", id="b")
    age(journal, SILENT_SECONDS)
    for missing, words in (
        ("acd", "; 2 networks continue from their checkpoints, if they have usable ones"),
        ("ab", "; 1 network continues from its checkpoint, if it has a usable one"),
        ("", "(killed, or its node was lost)"),
    ):
        [job] = read_history(tmp_path).open_jobs
        assert job.how_it_ended(missing).endswith(words)
    [told] = unsaid(tmp_path)
    assert told == job.how_it_ended()
    assert process["host"] in told


@pytest.mark.parametrize(
    ("process", "events", "seconds"),
    [
        (GONE, ["end"], SILENT_SECONDS),
        (this_process(), [], SILENT_SECONDS),  # this one: it lives, however silent
        (FAR, [], SILENT_SECONDS / 2),
        (None, [], SILENT_SECONDS),  # of an older nnlc
        ("odd", [], SILENT_SECONDS),
    ],
)
def test_no_news_of_a_job_that_lives_has_ended_or_tells_too_little(
    tmp_path, process, events, seconds
):
    journal = Journal(tmp_path)
    journal.write("job", **({} if process is None else {"process": process}))
    for kind in events:
        journal.write(kind)
    age(journal, seconds)
    assert unsaid(tmp_path) == []


def test_progress_that_goes_on_elsewhere_is_a_sign_of_life(tmp_path):
    journal = Journal(tmp_path)
    journal.write("job", process=FAR)
    age(journal, SILENT_SECONDS)
    journal.progress({})
    assert unsaid(tmp_path) == []


def test_what_a_later_start_has_told_is_no_news(tmp_path):
    journal = Journal(tmp_path)
    journal.write("job", process=GONE)
    assert len(unsaid(tmp_path)) == 1
    Journal(tmp_path).write("lost", ids=[journal.path.stem])
    assert unsaid(tmp_path) == []


@pytest.fixture
def two(tmp_path):
    """A job on the folder of another, which trains two networks elsewhere."""
    clock = Clock()
    other = GathererJob(tmp_path, clock=clock)
    journal = other.gatherer._job.journal
    journal.write("job", process=FAR)
    for index in range(2):
        journal.write("start", id=other.id(index))
    journal.progress({})
    for lease in other.results.leases_folder.iterdir():
        lease.unlink()
    return journal, GathererJob(tmp_path, clock=clock).begin()


def told(job):
    return [text for text in job.progress.messages if "without a word" in text]


def test_a_job_on_another_machine_is_told_of_after_a_minute_of_silence_and_once(two):
    journal, job = two
    job.tick(SILENT_SECONDS - 1)
    assert not told(job)
    journal.progress({"a": {"half_epochs": 3, "accuracy": 1.0}})
    job.tick(SILENT_SECONDS - 1)
    job.tick(SILENT_SECONDS - 1)
    assert not told(job)
    for _ in range(3):
        job.tick(SILENT_SECONDS)
    [words] = told(job)
    assert words.endswith("2 networks continue from their checkpoints, if they have usable ones")
    [event] = job.events("lost")
    assert event["ids"] == [journal.path.stem]
    assert words.startswith(f"{event['reason']} ended without a word")


def test_a_job_that_ends_in_words_meanwhile_is_no_news(two):
    journal, job = two
    job.tick(10)
    journal.write("end", status="DONE")
    journal.end()
    for _ in range(3):
        job.tick(SILENT_SECONDS)
    assert not told(job)
    assert job.events("lost") == []


def test_every_ordinary_end_is_in_the_journal_with_its_reason(tmp_path):
    job = GathererJob(tmp_path).begin()
    job.say(0, kind="notice", signal="SIGTERM")
    job.part()
    again = GathererJob(tmp_path).begin()
    again.train_all()
    ends = {event["status"]: event["reason"] for event in job.events("end")}
    assert ends.keys() == {"UNFINISHED", "DONE"}
    assert ends["UNFINISHED"].startswith("SIGTERM came on rank 0")
    assert ends["DONE"].startswith("all 6 tables are in")
