"""Jobs that were ended without a chance to say so: found in what they had written before."""

import json

import pytest

from nnlc.history import read_history
from nnlc.journal import SILENT_SECONDS, Journal
from nnlc.openjobs import unsaid_ends
from nnlc.process import this_process

GONE = {**this_process(), "started": "1"}
"""A process with this number has lived here before."""
FAR = {**this_process(), "host": "node7", "boot": "another"}
FAR_OFF = "2026-01-02T03:04:05+00:00"


def unsaid(folder):
    return unsaid_ends(folder, read_history(folder).open_jobs)


def age(journal, seconds):
    """Have all that a journal holds be written so long ago."""
    from datetime import UTC, datetime, timedelta

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
    [job] = unsaid(tmp_path)
    assert job.under_way == {"a", "c"}
    assert job.how_it_ended({"a", "c", "d"}).endswith("2 networks go on from their checkpoints")
    assert job.how_it_ended({"a"}).endswith("; 1 network goes on from its checkpoint")
    assert job.how_it_ended(()).endswith("(killed, or its node was lost)")
    assert process["host"] in job.how_it_ended(())


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
    [job] = unsaid(tmp_path)
    Journal(tmp_path).write("lost", ids=[job.name])
    assert unsaid(tmp_path) == []
