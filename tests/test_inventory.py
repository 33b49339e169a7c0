"""Whatever stands in a table's place: one judgement for all that ask for it."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from gatherer_jobs import Job
from typer.testing import CliRunner

import nnlc.tables.record
from nnlc.cli import app
from nnlc.errors import ExitStatus, ResultsError
from nnlc.reporting.campaign_folder import CampaignFolder
from nnlc.reporting.network_state import State as Shown
from nnlc.results.inventory import State, inventory
from nnlc.results.retry import retry
from nnlc.results.status import read_status
from nnlc.system.files import read_regular
from nnlc.tables import parse_table, read_table, write_table
from nnlc.verification.tables_to_verify import Refused, TableToVerify, read_tables_to_verify


@pytest.fixture(scope="module", autouse=True)
def _no_syncs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert Job(folder).begin().train_all() == ExitStatus.DONE
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


def of_another_seed(path):
    table = read_table(path)
    write_table(replace(table, spec=replace(table.spec, random_seed=7)), path)


def other(path):
    return next(one for one in sorted(path.parent.glob("*.txt")) if one != path)


def instead(make):
    def do(path):
        content = path.read_bytes()
        path.unlink()
        make(path, content)

    return do


def link_to_the_table(path, content):
    (path.parent / "elsewhere").write_bytes(content)
    path.symlink_to("elsewhere")


def socket_at(path, content):
    here = os.open(path.parent, os.O_RDONLY)  # a socket's path may not be long
    try:
        socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


NOT_WHOLE = {
    "cut off": (lambda p: edit(p, lambda b: b[:-40]), ", line 3: the last line has no newline"),
    "empty": (lambda p: p.write_bytes(b""), ": the file is empty"),
    "zeros": (lambda p: edit(p, lambda b: bytes(len(b))), ", line 1, column 1: byte 0x00"),
    "a row short": (
        lambda p: edit(p, lambda b: b.rsplit(b"\n", 2)[0] + b"\n"),
        ", line 3: the table ends after 1 of 2 half epochs",
    ),
    "a row long": (
        lambda p: edit(p, lambda b: b + b"1.5 1.0 1.0 1.0" + b" " * 24 + b"\n"),
        ", line 4: the table has 3 half epochs where 2 are expected",
    ),
    "with a byte-order mark": (
        lambda p: edit(p, lambda b: b"\xef\xbb\xbf" + b),
        ", line 1, column 1: the file begins with a byte-order mark",
    ),
    "with line ends of Windows": (
        lambda p: edit(p, lambda b: b.replace(b"\n", b"\r\n")),
        ", line 1, column 28: the line ends in carriage return and newline, as on Windows",
    ),
    "of another network": (
        lambda p: p.write_bytes(other(p).read_bytes()),
        ", line 2, column 5 (ID): is of another network than the campaign's",
    ),
    "of another campaign": (
        of_another_seed,
        ", line 2, column 6 (random_seed): is of another network than the campaign's",
    ),
    "a pipe": (instead(lambda p, _: os.mkfifo(p)), ": is a named pipe where a file is expected"),
    "a socket": (instead(socket_at), ": is a socket where a file is expected"),
    "a folder": (instead(lambda p, _: p.mkdir()), ": is a folder where a file is expected"),
    "a dangling link": (
        instead(lambda p, _: p.symlink_to("nowhere")),
        ": is a symbolic link where a file is expected",
    ),
    "a link to itself": (
        instead(lambda p, _: p.symlink_to(p.name)),
        ": is a symbolic link where a file is expected",
    ),
    "a link to the table": (
        instead(link_to_the_table),
        ": is a symbolic link where a file is expected",
    ),
}


@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_what_is_no_table_is_named_alike_by_all_and_set_aside_by_retry(folder, whole, kind):
    damage, words = NOT_WHOLE[kind]
    job = Job(folder)
    path, id_ = job.path(3), job.id(3)
    damage(path)
    about = path.lstat()

    job = Job(folder)
    assert job.status == ExitStatus.DONE_WITH_FAILURES
    assert job.work.done == 5
    [wrong] = job.work.not_whole.values()
    assert wrong.reason.startswith(f"{path}{words}")
    assert wrong.state is (State.FOREIGN if kind.startswith("of another") else State.DAMAGED)
    found = read_status(job.results)
    assert {i: one.reason for i, one in found.not_whole.items()} == {id_: wrong.reason}
    [counts] = found.datasets.values()
    assert (counts.done, counts.unusable, counts.waiting) == (5, 1, 0)
    told = CliRunner().invoke(app, ["status", str(job.results.path)]).output
    assert f"1 table can't be used (1 {wrong.state.value}); 'nnlc retry" in told
    assert wrong.reason in told
    shown = CampaignFolder(job.results).look().states[3]
    assert (shown.state, shown.reason) == (Shown.DAMAGED, wrong.reason)
    errors = [one for one in nnlc.audit(job.results.path).findings if one.severity.word == "error"]
    assert (path, wrong.problem.line) in [(one.path, one.line) for one in errors]
    tables, skipped = read_tables_to_verify([job.results.path], None)
    [told] = [one for one in (*tables, *skipped) if one.path == path]
    if isinstance(told, TableToVerify):
        assert f"{path}, {told.foreign}" == wrong.reason
    elif isinstance(told, Refused):
        assert wrong.reason.endswith(told.reason)

    said = list(retry(job.results, [id_]))
    aside = job.results.aside_folder / "1" / path.name
    assert said == [
        wrong.reason,
        f"  moved to {aside}",
        "the next start of the campaign trains them again",
    ]
    now = aside.lstat()
    assert (now.st_mode, now.st_size, now.st_ino) == (about.st_mode, about.st_size, about.st_ino)
    assert not os.path.lexists(path)
    assert aside not in [one.path for one in nnlc.audit(job.results.path).findings]
    assert Job(folder).begin().train_all() == ExitStatus.DONE
    assert read_regular(path) == read_regular(whole / path.relative_to(folder))
    assert os.path.lexists(aside)


def test_a_second_file_set_aside_under_the_same_name_replaces_none(folder):
    job = Job(folder)
    for content in (b"first", b"second"):
        job.path(0).write_bytes(content)
        list(retry(job.results))
    kept = sorted(job.results.aside_folder.rglob("*.txt"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]


def test_retry_without_ids_clears_failures_and_sets_all_aside_but_what_it_can_not_read(
    folder, monkeypatch
):
    job = Job(folder)
    job.path(1).write_bytes(b"")
    job.path(4).unlink()
    line = f'{{"time": "2999-01-01", "event": "failure", "id": "{job.id(4)}", "reason": "why"}}\n'
    (job.results.journal_folder / "~.jsonl").write_text(line)

    def refuse(path, **options):
        if str(path) == str(job.path(2)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opens(path, **options)

    opens = nnlc.tables.record.open_regular
    monkeypatch.setattr("nnlc.tables.record.open_regular", refuse)
    said = list(retry(job.results))
    assert said[:2] == [
        f"{job.path(1)}: the file is empty",
        f"  moved to {job.results.aside_folder / '1' / job.path(1).name}",
    ]
    assert f"{job.id(4)} is no longer failed" in said
    assert said[-1].startswith(f"{job.path(2)}: can't be read: Permission denied; it stays there")
    assert job.path(2).exists()
    assert list(retry(job.results, [job.id(2)]))[1].startswith("  moved to ")
    assert not job.path(2).exists()


def test_a_whole_table_is_never_set_aside(folder):
    job = Job(folder)
    with pytest.raises(ResultsError, match=f"neither failed nor .*: {job.id(0)}; none has failed"):
        list(retry(job.results, [job.id(0)]))
    assert list(retry(job.results)) == [
        f"{job.results.path}: no network has failed, and no table is damaged or foreign"
    ]
    assert not job.results.aside_folder.exists()


def test_a_file_is_set_aside_from_tables_that_lie_on_another_disk(folder, monkeypatch):
    job = Job(folder)
    job.path(0).write_bytes(b"damaged")
    job.path(1).unlink()
    job.path(1).symlink_to("nowhere")

    def refuse(self, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))

    monkeypatch.setattr(os, "rename", refuse)
    list(retry(job.results))
    kept = [job.results.aside_folder / "1" / job.path(i).name for i in (0, 1)]
    assert kept[0].read_bytes() == b"damaged"
    assert str(kept[1].readlink()) == "nowhere"
    assert not any(os.path.lexists(job.path(i)) for i in (0, 1))


def test_where_nothing_can_be_moved_the_file_stays_and_the_message_says_so(folder, monkeypatch):
    job = Job(folder)
    job.path(0).write_bytes(b"")
    job.results.aside_folder.write_text("in the way")
    with pytest.raises(ResultsError, match=r"aside.*: can't be moved aside: .*; move it away"):
        list(retry(job.results))
    assert job.path(0).exists()


def test_the_rest_is_trained_beside_damaged_tables_and_an_element_names_only_its_own(folder):
    job = Job(folder)
    job.path(1).write_bytes(b"")
    job.path(5).unlink()
    again = Job(folder).begin()
    assert again.train_all() == ExitStatus.DONE_WITH_FAILURES
    assert [index for _, index in again.handed_out] == [5]
    assert again.progress.messages[-1].startswith("5 tables are in ")
    assert inventory(job.results, job.campaign, job.networks[2:]).not_whole == {}
    assert parse_table(job.path(5).read_bytes()).spec.id == job.id(5)


def test_a_folder_without_tables_loads_no_numpy(tmp_path):
    job = Job(tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nnlc.results.folder import ResultsFolder\n"
        "from nnlc.results.inventory import entry_of, inventory\n"
        f"results = ResultsFolder(Path({str(job.results.path)!r}))\n"
        "campaign = results.campaign()\n"
        "networks = list(campaign.networks())\n"
        "inventory(results, campaign, networks)\n"
        "entry_of(results, campaign, networks[0])\n"
        "sys.exit('numpy' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
