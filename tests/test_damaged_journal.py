"""JSON in a results folder, however damaged: readers pass over it, and never end in a traceback."""

import json
import os
import shutil

import pytest
from gatherer_jobs import Job
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nnlc.cli import app
from nnlc.errors import ExitStatus, NnlcError

TIMES = ["2026-01-02T03:04:05+00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
ODD = ["\ud800", "\x1b[31m", "[b]x[/b]", "a\nb", "", "cpu", "slurm", "lsf", "../../x"]
WORDS = st.sampled_from([*TIMES, *ODD])
PLAIN = st.none() | st.booleans() | st.integers(-2, 90) | st.just(10**400) | st.floats() | WORDS
VALUE = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.just("name"), inner),
    max_leaves=6,
)
KINDS = [
    *("job", "end", "lost", "trouble", "start", "attempt", "failure", "finish", "retire"),
    "retry",
]
FIELDS = [
    *("ids", "reason", "attempts", "seconds", "half_epoch_seconds", "peak_memory_bytes"),
    *("peak_reserved_bytes", "after"),
]
FIELDS += ["device", "versions", "settings", "stop", "sha256", "process", "ranks", "rank", "n"]


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()  # NaN, huge numbers and lone surrogates included


DEEP = b'{"time": ' + b"[" * 3000
LINES = st.one_of(
    st.builds(encoded, VALUE),
    st.binary(max_size=30),
    st.just(DEEP),
    st.just(b'{"time": "2026-01-02T03:04:05", "event": "failure", "id": ' + b"9" * 5000 + b"}"),
)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder with three tables of six."""
    job = Job(tmp_path_factory.mktemp("damaged")).begin()
    for _ in range(3):
        job.finish(*job.handed_out[-1])
    job.gatherer = None
    for lease in job.results.leases_folder.iterdir():
        if lease.is_dir():
            shutil.rmtree(lease)
    job.results.jobs_folder.mkdir()
    return job


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_asked_or_waited_for():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        patch.setenv("PATH", "/nowhere")
        yield


def run(verb: str, results):
    more = ["-o", str(results.path.parent / "x.html")] if verb == "report" else []
    return CliRunner().invoke(app, [verb, str(results.path), *more])


def assert_words(results, *verbs: str) -> dict[str, str]:
    """Each verb ends in words, whatever stands in the folder; return them."""
    told = {}
    for verb in verbs:
        done = run(verb, results)
        assert done.exception is None or isinstance(done.exception, SystemExit | NnlcError), verb
        if verb == "status":
            assert done.exit_code == 0
            assert "campaign tiny" in done.output
        told[verb] = done.output + str(done.exception)
    return told


SETTINGS = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SETTINGS
@given(data=st.data())
def test_a_journal_of_anything_is_read_by_all_and_a_job_begins(job, data):
    ids = st.sampled_from([n.spec.id for n in job.networks])
    events = st.fixed_dictionaries(
        {"time": VALUE | WORDS, "event": st.sampled_from(KINDS), "id": ids | VALUE},
        optional=dict.fromkeys(FIELDS, VALUE),
    )
    lines = data.draw(st.lists(LINES | st.builds(encoded, events), min_size=1, max_size=12))
    path = job.results.journal_folder / "damaged.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        assert_words(job.results, "status", "calibrate", "audit", "report")
        again = Job(job.results.path.parent)
        if again.status is None:
            again.begin()
            again.gatherer._job.leases.end()
            again.gatherer._job.journal.path.unlink(missing_ok=True)
        assert_words(job.results, "retry")
    finally:
        for file in job.results.journal_folder.glob("*"):
            file.unlink()


@SETTINGS
@example(content=DEEP)
@given(
    content=LINES
    | st.builds(
        lambda time, under_way: encoded({"time": time, "under_way": under_way}),
        st.just("2999-01-01T00:00:00+00:00") | VALUE,
        st.dictionaries(WORDS, st.dictionaries(st.sampled_from(["half_epochs", "accuracy"]), VALUE))
        | VALUE,
    )
)
def test_so_is_a_snapshot_of_progress(job, content):
    path = job.results.journal_folder / "x.progress.json"
    path.write_bytes(content)
    assert_words(job.results, "status", "report", "retry")
    path.unlink()


RECORD = ["mark", "script", "scheduler", "site", "time", "id", "cluster", "more"]


@SETTINGS
@example(content=DEEP)
@given(
    content=LINES
    | st.builds(encoded, st.dictionaries(st.sampled_from(RECORD), VALUE))
    | st.builds(encoded, st.fixed_dictionaries(dict.fromkeys(RECORD[:6], VALUE)))
)
def test_so_is_a_record_of_a_job(job, content):
    path, other = (job.results.jobs_folder / name for name in ("a.json", "b.json"))
    path.write_bytes(content)
    record = dict.fromkeys(RECORD[:6], "x") | {"scheduler": "slurm", "id": "7"}
    other.write_bytes(encoded(record))
    assert_words(job.results, "status", "cancel")
    path.unlink(missing_ok=True)


SPECIAL = {
    "a pipe": os.mkfifo,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to what never ends": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a file without rights": lambda path: path.touch(mode=0),
}


@pytest.mark.parametrize("kind", [kind for kind in SPECIAL if "rights" not in kind])
def test_a_campaign_file_that_is_none_is_named_by_all(tmp_path, kind):
    job = Job(tmp_path).begin()
    job.train_all()
    path = job.results.campaign_file
    path.unlink()
    SPECIAL[kind](path)
    for verb in ("status", "retry", "calibrate", "cancel", "report", "audit"):
        told = run(verb, job.results)
        assert told.exit_code, verb
        assert f"{path}: " in told.output + str(told.exception), verb


PLACES = ["journal/x.jsonl", "journal/x.progress.json", "jobs/x.json", "jobs/x.sh.jobs"]
PLACES += ["machines.toml", "leases/x.job", "leases/x.lease"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_holds_up_nobody(job, kind, place):
    path = job.results.path / place
    SPECIAL[kind](path)
    try:
        told = assert_words(
            job.results, "status", "retry", "calibrate", "audit", "report", "cancel"
        )
        promised = place.endswith(".lease") and kind == "a folder"
        if place.startswith(("journal", "leases")) and "rights" not in kind and not promised:
            for verb in ("status", "retry", "calibrate", "audit"):
                assert f"{path}: is " in told[verb], verb
        again = Job(job.results.path.parent)
        assert again.begin().leased
        again.gatherer._job.leases.end()
        assert again.status in (None, ExitStatus.DONE)
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
