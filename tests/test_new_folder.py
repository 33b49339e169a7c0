"""Folders that are there whole or not at all: what a killed process leaves, and what replaces."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from export_samples import read_tables, three_exported, three_tables
from limits import HANG_SECONDS

from nnlc import export_tables, import_tables, merge_tables, subset_tables
from nnlc.system import new_folder

FILL = """
import sys, time
from pathlib import Path
from nnlc.system.new_folder import new_folder
with new_folder(Path(sys.argv[1]), lambda: None) as folder:
    (folder / "half").write_text("of it")
    print("filling", flush=True)
    time.sleep(600)
"""


def fill(place):
    """Start a process that fills a folder and never ends by itself."""
    job = subprocess.Popen([sys.executable, "-c", FILL, str(place)], stdout=subprocess.PIPE)
    assert job.stdout.readline() == b"filling\n"
    return job


def kill(job):
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()


def hidden(place):
    return sorted(place.parent.glob(".*"))


def make(place, text="whole", **how):
    with new_folder.new_folder(place, lambda: None, **how) as folder:
        (folder / "file").write_text(text)


@pytest.mark.parametrize("verb", ["export", "import", "merge", "subset"])
def test_what_a_killed_process_left_goes_with_the_next_and_what_another_fills_stays(tmp_path, verb):
    tables, place = three_tables(tmp_path / "tables"), tmp_path / "out[1]"
    export = three_exported(tmp_path / "before", "csv")
    killed, running, elsewhere = fill(place), fill(place), fill(tmp_path / "other")
    kill(killed)
    left = hidden(place)
    match verb:
        case "export":
            export_tables(tables, place)
        case "import":
            import_tables(export, place)
        case "merge":
            merge_tables([tables], place)
        case "subset":
            subset_tables([tables], place, lambda found: found.networks["id"][:1])
    kept = hidden(place)
    kill(running)
    kill(elsewhere)
    assert (len(left), len(kept)) == (3, 2)
    assert place.is_dir()


@pytest.mark.parametrize("lock", [b"", b"another machine's\n", None])
def test_a_folder_whose_lock_says_nothing_goes_when_nobody_has_changed_it_for_a_day(tmp_path, lock):
    old = tmp_path / ".place.0123456789abcdef.tmp"
    (old / "new").mkdir(parents=True)
    if lock is not None:
        (old / "lock").write_bytes(lock)
    make(tmp_path / "place")
    assert old.is_dir()
    for path in (*old.rglob("*"), old):
        os.utime(path, times=(0, time.time() - 2 * 86_400))
    make(tmp_path / "other")
    assert old.is_dir()  # another place's
    make(tmp_path / "place", replaces="file")
    assert not old.exists()


def test_only_folders_of_our_own_names_are_swept(tmp_path):
    names = [
        ".place.tmp",
        ".place.0123.tmp",
        ".place.0123456789abcdef",
        "place.0123456789abcdef.tmp",
    ]
    for name in names:
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, times=(0, 0))
    (tmp_path / ".place.0123456789abcdef.tmp").symlink_to(tmp_path / names[0])
    make(tmp_path / "place")
    assert len(list(tmp_path.iterdir())) == len(names) + 2


def test_a_replaced_folder_is_never_absent(tmp_path, monkeypatch):
    make(tmp_path / "place", "first")
    seen = []
    rename = Path.rename

    def watched(self, target):
        seen.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    make(tmp_path / "place", "second", replaces="file")
    assert (tmp_path / "place" / "file").read_text() == "second"
    assert seen == []  # exchanged at once
    assert not hidden(tmp_path / "place")


def test_what_is_replaced_is_found_and_put_back_when_its_process_is_killed_between_two_renames(
    tmp_path,
):
    export = three_exported(tmp_path, "csv")
    before = read_tables(export)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom nnlc import export_tables\n"
        "from nnlc.system import new_folder\nnew_folder._exchange = lambda one, other: False\n"
        "rename = Path.rename\n"
        "def once(self, target):\n    rename(self, target)\n    os.kill(os.getpid(), 9)\n"
        "Path.rename = once\nexport_tables(sys.argv[1], sys.argv[2])"
    )
    job = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "tables", export], timeout=HANG_SECONDS
    )
    assert job.returncode == -signal.SIGKILL
    assert not export.exists()
    assert import_tables(export, tmp_path / "out") == 3
    new_folder._sweep(export)  # as the next export does first of all
    assert read_tables(export) == before
    export_tables(tmp_path / "tables", export)
    assert not hidden(export)


def test_files_are_synced_where_no_more_threads_may_be_started(tmp_path, monkeypatch):
    synced = []

    def no_threads(count):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(new_folder, "ThreadPoolExecutor", no_threads)
    monkeypatch.setattr(new_folder, "_sync_file", synced.append)
    make(tmp_path / "place")
    assert [path.name for path in synced] == ["file"]


@pytest.mark.parametrize("lock", [b"", None])
def test_what_was_killed_before_it_held_anything_goes_at_once(tmp_path, lock):
    old = tmp_path / ".place.0123456789abcdef.tmp"
    old.mkdir()
    if lock is not None:
        (old / "lock").write_bytes(lock)
    make(tmp_path / "place")
    assert not old.exists()


def test_a_folder_that_is_swept_before_its_lock_is_held_is_made_again(tmp_path, monkeypatch):
    locks = []

    def swept(handle, kind, lock=new_folder.fcntl.flock):
        locks.append(kind)
        if len(locks) == 1:
            new_folder.shutil.rmtree(hidden(tmp_path / "place")[0])
        return lock(handle, kind)

    monkeypatch.setattr(new_folder.fcntl, "flock", swept)
    make(tmp_path / "place")
    assert (tmp_path / "place" / "file").read_text() == "whole"
    assert len(locks) == 2
