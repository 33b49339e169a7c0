"""The cache of tables: it is never believed, and costs nothing but time where it is damaged."""

import math
import os
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frame_samples import (
    _own_cache,  # noqa: F401
    id_of,
    write,
    write_download,
)
from limits import let_pass
from test_damaged_tables import mutated

import nnlc.tables.table_reading
from nnlc import load_tables
from nnlc.errors import TableError


@pytest.fixture
def download(tmp_path):
    return write_download(tmp_path / "download")


@pytest.fixture
def settled(monkeypatch):
    """Every file counts as old enough, and every folder as large enough."""
    monkeypatch.setattr("nnlc.tables.cache._SETTLED_NANOSECONDS", -(10**18))
    monkeypatch.setattr("nnlc.tables.cache.FEWEST_TABLES", 1)


@pytest.fixture
def from_files(monkeypatch):
    """The names of tables that are read from their files, as it happens."""
    names: list[str] = []

    def take_note(path, **keywords):
        names.append(Path(path).name)
        return read_file(path, **keywords)

    read_file = nnlc.tables.table_reading._read_file
    monkeypatch.setattr("nnlc.tables.table_reading._read_file", take_note)
    return names


def same(one, other):
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    pd.testing.assert_frame_equal(one.networks, other.networks, check_exact=True)
    return True


def cache_files(tmp_path):
    return sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_unchanged_tables_come_from_the_cache_and_say_the_same(download, settled, from_files):
    before = sorted(download.rglob("*"))
    first = load_tables(download, cache=False)
    assert same(load_tables(download), first)
    assert len(from_files) == 12
    assert same(load_tables(download), first)
    link = download.with_name("link")
    link.symlink_to(download)
    assert len(load_tables(link)) == 6
    assert len(from_files) == 12
    assert sorted(download.rglob("*")) == before


def test_only_changed_and_new_tables_are_read_again(tmp_path, download, settled, from_files):
    load_tables(download)
    assert len(cache_files(tmp_path)) == 3
    from_files.clear()
    new = write(download / "SVHN_models", 8, dataset="SVHN")
    assert len(load_tables(download)) == 7
    assert from_files == [new.name]
    new.unlink()
    assert len(load_tables(download)) == 6
    assert from_files == [new.name]


def rewrite_in_place(path, content):
    path.write_bytes(content)


def replace_by_rename(path, content):
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite_in_place, replace_by_rename])
def test_a_change_shows_even_with_the_old_size_and_time(download, settled, change):
    path = next((download / "SVHN_models").iterdir())
    load_tables(download)
    status, content = path.stat(), path.read_bytes()
    change(path, content.replace(b" 2.125 ", b" 2.375 "))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    again = load_tables(download)
    assert same(again, load_tables(download, cache=False))
    change(path, content[:-1])
    with pytest.raises(TableError, match="no newline"):
        load_tables(download)


def test_a_table_that_may_still_change_unseen_is_not_kept(tmp_path, download, monkeypatch):
    monkeypatch.setattr("nnlc.tables.cache.FEWEST_TABLES", 1)
    load_tables(download)
    assert cache_files(tmp_path) == []
    seconds = time.time() + 2.5
    monkeypatch.setattr("time.time_ns", lambda: int(seconds * 1e9))
    load_tables(download)
    assert cache_files(tmp_path) == []
    seconds += 2
    load_tables(download)
    assert len(cache_files(tmp_path)) == 3


def test_a_folder_may_have_any_name_that_the_file_system_lets_it_have(tmp_path, download):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n_models"))
    (download / "CIFAR-100_models").rename(odd)
    tables = load_tables(odd)
    assert {Path(path).parent for path in tables.networks["path"]} == {odd}


def test_small_folders_and_single_files_are_not_kept(tmp_path, download, settled, monkeypatch):
    load_tables(list(download.glob("*/*.txt")))
    assert cache_files(tmp_path) == []
    load_tables(download, cache=False)
    assert cache_files(tmp_path) == []
    monkeypatch.setattr("nnlc.tables.cache.FEWEST_TABLES", 3)
    load_tables(download)
    assert cache_files(tmp_path) == []


def test_a_network_with_infinity_survives_the_cache(tmp_path, settled):
    write(tmp_path / "models", 1, learning_rate=math.inf)
    load_tables(tmp_path / "models")
    write(tmp_path / "models", 2)
    for _ in range(2):
        assert load_tables(tmp_path / "models").networks["learning_rate"][0] == math.inf


def test_a_damaged_cache_costs_time_and_nothing_else(tmp_path, download, settled):
    folder = download / "SVHN_models"
    expected = load_tables(folder)
    (file,) = cache_files(tmp_path)
    content = file.read_bytes()
    generator = random.Random(11)
    for number in range(40):
        file.write_bytes(mutated(content, generator) if number else b"")
        assert same(load_tables(folder), expected)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the cache was executed')",))


def test_nothing_in_the_cache_is_ever_executed(tmp_path, download, settled):
    folder = download / "SVHN_models"
    expected = load_tables(folder)
    (file,) = cache_files(tmp_path)
    bomb = np.array([Bomb()], dtype=object)
    with file.open("wb") as opened:
        np.savez(opened, texts=bomb, curves=bomb)
    with pytest.raises(SystemExit), np.load(file, allow_pickle=True) as arrays:
        _ = arrays["texts"]
    assert same(load_tables(folder), expected)


def test_what_another_version_kept_is_read_anew(download, settled, from_files, monkeypatch):
    load_tables(download)
    monkeypatch.setattr("nnlc.tables.cache.FORMAT", "2, another")
    load_tables(download)
    assert len(from_files) == 12


def test_the_cache_is_private_to_its_user_and_only_where_they_keep_caches(
    tmp_path, download, settled, monkeypatch
):
    load_tables(download)
    assert {path.parent for path in cache_files(tmp_path)} == {tmp_path / "cache/nnlc/tables"}
    assert (tmp_path / "cache/nnlc/tables").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says its specification
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    load_tables(download)
    assert len(list((tmp_path / "home/.cache/nnlc/tables").iterdir())) == 3
    assert not (tmp_path / "relative").exists()


def test_where_no_cache_can_be_the_tables_are_read(tmp_path, download, settled, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    for place in (tmp_path / "file", Path("/proc/nowhere")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        assert len(load_tables(download)) == 6
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    assert len(load_tables(download)) == 6


def homeless():
    raise RuntimeError("Could not determine home directory.")


def test_the_cache_forgets_the_folder_that_was_longest_unread(
    tmp_path, settled, from_files, monkeypatch
):
    monkeypatch.setattr("nnlc.tables.cache.MOST_FOLDERS", 2)
    folders = [tmp_path / f"{number}_models" for number in range(3)]
    for number, folder in enumerate(folders):
        write(folder, number)
    for folder in (folders[0], folders[1], folders[0], folders[2]):
        load_tables(folder)
        let_pass(0.02)  # beyond the grain of the files' times
    assert len(cache_files(tmp_path)) == 2
    from_files.clear()
    for folder in (folders[0], folders[2], folders[1]):
        load_tables(folder)
    assert from_files == [f"{id_of(1)}.txt"]
