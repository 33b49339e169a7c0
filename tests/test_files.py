"""Files are written whole or not at all, whatever ends the writer and whatever the disk says."""

import contextlib
import errno
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nnlc.system.files
from nnlc.system.files import (
    NotAFileError,
    open_regular,
    read_regular,
    write_atomically,
    write_once,
)

BOTH = pytest.mark.parametrize("write", [write_atomically, write_once])
NO_HARD_LINKS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fails_with(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture(params=["hard links", *NO_HARD_LINKS])
def links(request, monkeypatch):
    """A file system with hard links, and each way to say that it has none."""
    if request.param != "hard links":
        monkeypatch.setattr(os, "link", fails_with(request.param))


@BOTH
def test_a_file_is_written_with_the_rights_that_the_umask_leaves(tmp_path, write):
    umask = os.umask(0o027)
    try:
        write(tmp_path / "a.txt", b"content")
    finally:
        os.umask(umask)
    assert (tmp_path / "a.txt").read_bytes() == b"content"
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.txt"]


def test_writing_atomically_replaces_what_stands(tmp_path):
    write_atomically(tmp_path / "a", b"old")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.usefixtures("links")
def test_writing_once_writes_the_first_and_leaves_it_to_stand(tmp_path):
    path = tmp_path / "a"
    assert write_once(path, b"first") is True
    before = path.stat()
    assert write_once(path, b"second") is False
    after = path.stat()
    assert path.read_bytes() == b"first"
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["a"]


def test_writing_once_refuses_a_file_that_came_while_it_wrote(tmp_path, monkeypatch):
    path, link = tmp_path / "a", os.link

    def late(source, target):
        path.write_bytes(b"another's")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert write_once(path, b"ours") is False
    assert path.read_bytes() == b"another's"


@pytest.mark.usefixtures("links")
def test_writing_once_leaves_a_link_to_nowhere_alone(tmp_path):
    path = tmp_path / "a"
    path.symlink_to(tmp_path / "nowhere")
    assert write_once(path, b"content") is False
    assert path.is_symlink()


def test_writing_once_passes_up_what_is_no_lack_of_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", fails_with(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_once(tmp_path / "a", b"content")
    assert names(tmp_path) == []


@BOTH
@pytest.mark.parametrize("standing", [None, b"old"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_leaves_everything_as_it_was(
    tmp_path, monkeypatch, write, standing, number
):
    path = tmp_path / "a"
    if standing is not None:
        path.write_bytes(standing)
    before = names(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails_with(number))
        with pytest.raises(OSError, match=os.strerror(number)):
            write(path, b"new")
    assert names(tmp_path) == before
    assert standing is None or path.read_bytes() == standing


@BOTH
def test_content_is_synced_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch, write):
    path, fsync, seen = tmp_path / "a", os.fsync, []

    def noting(handle):
        seen.append((Path(f"/proc/self/fd/{handle}").is_dir(), path.exists()))
        fsync(handle)

    monkeypatch.setattr(nnlc.system.files.os, "fsync", noting)
    write(path, b"content")
    assert seen == [(False, False), (True, True)]


WRITER = """
import itertools, sys
from pathlib import Path
from nnlc.system.files import write_atomically, write_once
folder = Path(sys.argv[1])
for i in itertools.count():
    content = f"{i:06}".encode() * (200_000 + i)
    write_atomically(folder / "one", content)
    assert write_once(folder / str(i), content)
"""


def test_no_reader_ever_sees_half_a_file_though_the_writer_is_killed(tmp_path):
    def stands(path):
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            assert content == content[:6] * (200_000 + int(content[:6])), path
            return True
        return False

    chance = random.Random(3)
    for _ in range(6):
        for path in tmp_path.iterdir():
            path.unlink()
        writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path])
        number, end = 0, float("inf")
        try:
            while time.monotonic() < end:
                stands(tmp_path / "one")
                for _ in range(200):  # the name that is next to come
                    number += stands(tmp_path / str(number))
                if number >= 2 and end == float("inf"):
                    end = time.monotonic() + chance.uniform(0, 0.1)
                assert writer.poll() is None
        finally:
            writer.kill()
            writer.wait()
        assert all(stands(path) for path in tmp_path.glob("[!.]*"))


def pipe(path):
    os.mkfifo(path)


def socket_file(path):
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(path.parent):
        one.bind(path.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (pipe, "is a named pipe"),
        (socket_file, "is a socket"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (lambda path: path.symlink_to("nowhere"), "is a symbolic link that leads nowhere"),
    ],
)
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path, make, words):
    make(tmp_path / "a")
    with pytest.raises(NotAFileError) as caught:
        read_regular(tmp_path / "a")
    assert caught.value.strerror.startswith(words)
    assert caught.value.filename == str(tmp_path / "a")


def test_a_link_is_followed_only_where_it_may_be(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"content"
    with pytest.raises(NotAFileError, match="is a symbolic link"):
        open_regular(tmp_path / "b", follow_link=False)


def test_no_handle_is_left_open_by_a_refusal(tmp_path):
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(10):
        with pytest.raises(NotAFileError):
            open_regular(tmp_path)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_what_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "a")
