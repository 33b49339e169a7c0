"""Many tables become two frames, as strictly as one by one, and the cache is never believed."""

import math
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from limits import let_pass
from table_samples import EXPECTED, ROWS, SPEC, TABLE
from test_damaged_tables import DAMAGE, mutated
from test_tables import rows, specs

import nnlc.tables.reading
from nnlc import load_tables, read_table
from nnlc.campaign import load_campaign
from nnlc.errors import NnlcError, TableError
from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.results import ResultsFolder
from nnlc.tables import METADATA_COLUMNS, Row, Table, parse_table
from nnlc.tables.bulk import parse_arrays
from nnlc.tables.folders import TableFiles
from nnlc.tables.reading import read_files

PLAIN = Table(SPEC, tuple(Row(4.25 / i, 0.1 + 0.2 * i, 100 * i / 9996) for i in range(1, 7)))
CURVE = ["train_loss", "val_loss", "val_accuracy_percent"]


def id_of(number):
    return f"2021_02_15_13_55_26_{number:06d}"


def write(folder, number, table=PLAIN, **changes):
    """A table of a network of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = replace(table.spec, id=id_of(number), **changes)
    path = folder / f"{spec.id}.txt"
    path.write_bytes(Table(spec, table.rows).to_bytes())
    return path


def arrays_of(table):
    values = [[getattr(row, name) for name in CURVE] for row in table.rows]
    return repr((tuple(getattr(table.spec, c.field) for c in METADATA_COLUMNS), values))


def outcome(parse, content):
    """What a parser says: the values with every bit and type, or the refusal."""
    try:
        found = parse(content, path=Path("some/table.txt"))
    except TableError as problem:
        return str(problem), problem.path, problem.line, problem.column
    if isinstance(found, Table):
        return arrays_of(found).replace("None", "nan")
    metadata, curve = found
    assert curve.dtype == np.float64
    return repr((metadata, curve.tolist()))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def download(tmp_path):
    """Six networks of three image sets."""
    root = tmp_path / "download"
    for number, name in enumerate(["CIFAR-100", "F-MNIST", "SVHN"] * 2):
        dataset = KNOWN_IMAGE_SETS[name].table_name
        write(root / f"{name}_models", number, PLAIN if number < 3 else TABLE, dataset=dataset)
    return root


# ---- one table at a glance


@settings(deadline=None, max_examples=60)
@given(specs(), rows)
def test_a_table_at_a_glance_says_what_parse_table_says(spec, rows):
    content = Table(spec, rows).to_bytes()
    assert outcome(parse_arrays, content) == outcome(parse_table, content)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_table_gets_the_very_error_of_parse_table(kind):
    content = DAMAGE[kind][0](EXPECTED)
    assert outcome(parse_arrays, content) == outcome(parse_table, content)
    assert isinstance(outcome(parse_arrays, content), tuple)


@pytest.mark.parametrize("table", [TABLE, PLAIN], ids=["odd values", "plain values"])
def test_mutated_bytes_are_judged_as_parse_table_judges_them(table):
    generator = random.Random(7)
    refused = 0
    for _ in range(2_000):
        content = mutated(table.to_bytes(), generator)
        found = outcome(parse_arrays, content)
        assert found == outcome(parse_table, content)
        refused += isinstance(found, tuple)
    assert 500 < refused < 2_000


TRICKS = {
    "two rows in one line": lambda c: c.replace(b" " * 24 + b"\n2.0", b" 2.0", 1),
    "line ends in another place": lambda c: c.replace(
        b" " * 24 + b"\n2.0 ", b" 2.0" + b" " * 24 + b"\n"
    ),
    "a value in quotes": lambda c: c.replace(b" 4.25 ", b' "4.25" '),
    "two values in one field": lambda c: c.replace(b" 4.25 ", b" 4.25,1.5 "),
    "a list": lambda c: c.replace(b" 4.25 ", b" [4.25] "),
    "a list of two fields": lambda c: c.replace(b"1.0 2.125 0.5 ", b"1.0 [2.125 0.5] "),
    "null": lambda c: c.replace(b"2.125", b"null"),
    "true": lambda c: c.replace(b"2.125", b"true"),
    "a whole number": lambda c: c.replace(b" 2.125 ", b" 2 "),
    "a long whole number": lambda c: c.replace(b" 2.125 ", b" 2" + b"0" * 30 + b" "),
    "a digit too many": lambda c: c.replace(b"2.125", b"2.1250"),
    "a tab for a space": lambda c: c.replace(b" 2.125 ", b"\t2.125 "),
    "a carriage return": lambda c: c.replace(b"2.125 ", b"2.125\r "),
    "a form feed": lambda c: c.replace(b"2.125 ", b"2.125\x0c "),
    "a number beyond doubles": lambda c: c.replace(b"2.125", b"2.125e999"),
    "a number in JSON's way": lambda c: c.replace(b"2.125", b"0.00001"),
    "an exponent in JSON's way": lambda c: c.replace(b"2.125", b"1e-7"),
    "a capital exponent": lambda c: c.replace(b"2.125", b"1E-07"),
    "a percent sign": lambda c: c.replace(b"2.125", b"%s"),
}


@pytest.mark.parametrize("kind", TRICKS)
def test_what_other_formats_would_take_is_refused_here_too(kind):
    content = TRICKS[kind](PLAIN.to_bytes())
    assert content != PLAIN.to_bytes()
    assert isinstance(outcome(parse_arrays, content), tuple)
    assert outcome(parse_arrays, content) == outcome(parse_table, content)


def test_only_what_is_not_seen_at_a_glance_is_left_to_parse_table(monkeypatch):
    left: list[bytes] = []

    def take_note(content, **keywords):
        left.append(content)
        return parse_table(content, **keywords)

    monkeypatch.setattr("nnlc.tables.table.parse_table", take_note)
    for table in (PLAIN, TABLE, Table(SPEC, ROWS[:1]), Table(SPEC, ROWS * 40)):
        parse_arrays(table.to_bytes())
    assert not left
    with pytest.raises(TableError):
        parse_arrays(PLAIN.to_bytes()[:-1])
    assert len(left) == 1


def test_a_file_too_large_for_a_table_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path, 1)
    monkeypatch.setattr("nnlc.tables.table.MAX_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr("nnlc.tables.reading.MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(TableError, match="larger"):
        load_tables(path)


def test_a_pipe_does_not_hold_up_the_reader_nor_a_new_link_lead_it_astray(tmp_path):
    pipe, link = tmp_path / f"{id_of(1)}.txt", tmp_path / f"{id_of(2)}.txt"
    os.mkfifo(pipe)
    with pytest.raises(TableError, match="is a named pipe where a file is expected"):
        load_tables(pipe)
    link.symlink_to(write(tmp_path / "outside", 2))
    assert len(load_tables(link)) == 1
    found_before = TableFiles(tmp_path, (link.name,), whole=True)
    (problem,) = read_files(found_before, cache=False)
    assert isinstance(problem, TableError)


# ---- the frames


def test_the_frames_say_what_read_table_says_with_types(download):
    tables = load_tables(download)
    assert len(tables) == 6
    assert list(tables.curves) == ["id", "dataset", "half_epoch", "epoch", *CURVE]
    assert list(tables.networks)[-4:] == ["depth", "half_epochs", "published", "path"]
    assert list(tables.networks)[:-4] == [column.field for column in METADATA_COLUMNS]
    assert list(tables.networks["id"]) == [id_of(n) for n in (0, 3, 1, 4, 2, 5)]
    for _, network in tables.networks.iterrows():
        table = read_table(network["path"])
        assert Path(network["path"]).parent.parent == download
        for column in METADATA_COLUMNS:
            value = getattr(table.spec, column.field)
            assert network[column.field] == value
            assert type(value) is not tuple or type(network[column.field]) is tuple
        assert (network["depth"], network["half_epochs"]) == (table.spec.depth, len(table.rows))
        curve = tables.curves[tables.curves["id"] == table.spec.id]
        assert set(curve["dataset"]) == {table.spec.dataset}
        assert list(curve["half_epoch"]) == list(range(1, len(table.rows) + 1))
        assert list(curve["epoch"]) == [number / 2 for number in curve["half_epoch"]]
        expected = [[getattr(row, name) for name in CURVE] for row in table.rows]
        assert np.array_equal(curve[CURVE], np.array(expected, dtype=float), equal_nan=True)
    assert_types(tables)


def assert_types(tables):
    dtypes = tables.networks.dtypes
    assert {dtypes[n] for n in ("random_seed", "batch_size", "half_epochs")} == {np.dtype("int64")}
    assert {dtypes[n] for n in ("momentum", "dampening", "dropout_rate")} == {np.dtype("float64")}
    assert {dtypes[n] for n in ("train_gpu", "published")} == {np.dtype(bool)}
    assert {tables.curves.dtypes[n] for n in ("epoch", *CURVE)} == {np.dtype("float64")}
    assert tables.curves.dtypes["half_epoch"] == np.dtype("int64")
    for frame in (tables.curves, tables.networks):
        assert frame["id"].dtype == pd.Series([], dtype=str).dtype


def paths_of(tables):
    return [Path(path) for path in tables.networks["path"]]


def test_files_folders_downloads_and_results_are_read_alike_and_each_table_once(tmp_path, download):
    file = next((download / "SVHN_models").iterdir())
    results = ResultsFolder(tmp_path / "results" / "ours")
    campaign = load_campaign("smoke")
    results.open(campaign)
    folder = results.models_folder(next(iter(campaign.image_sets().values())))
    ours = write(folder, 77, torch_set_deterministic=True, dataset="FashionMNIST-sample")
    assert paths_of(load_tables(str(file))) == [file]
    assert len(load_tables(download / "SVHN_models")) == 2
    assert paths_of(load_tables(results.path)) == [ours]
    assert load_tables(results.path).skipped == ()
    assert paths_of(load_tables(tmp_path / "results")) == [ours]
    link = tmp_path / "link"
    link.symlink_to(download)
    several = load_tables(iter([file, download, results.path, link, download / "SVHN_models"]))
    assert len(several) == 7
    assert several.skipped == ()
    assert paths_of(several)[0] == file
    assert list(several.networks["published"]) == [True] * 6 + [False]


def test_what_is_no_table_is_named_and_never_followed(tmp_path, download):
    folder = download / "SVHN_models"
    outside = write(tmp_path / "outside", 50)
    (folder / f"{id_of(50)}.txt").symlink_to(outside)
    (download / "linked_models").symlink_to(outside.parent)
    (folder / f".{id_of(51)}.txt.abc.tmp").write_text("half")
    (folder / "README.md").write_text("hello")
    (folder / f"{id_of(52)}.txt~").write_text("old")
    os.mkfifo(folder / f"{id_of(53)}.txt")
    (folder / f"{id_of(54)}.txt").mkdir()
    (download / "scripts").mkdir()
    (download / "scripts" / "load.py").write_text("")
    (download / ".hidden_models").mkdir()
    tables = load_tables(download)
    assert len(tables) == 6
    assert {str(s.path.relative_to(download)): s.reason for s in tables.skipped} == {
        f"SVHN_models/{id_of(50)}.txt": "a symbolic link",
        "linked_models": "a symbolic link",
        f"SVHN_models/.{id_of(51)}.txt.abc.tmp": "hidden",
        "SVHN_models/README.md": "its name is not <ID>.txt",
        f"SVHN_models/{id_of(52)}.txt~": "its name is not <ID>.txt",
        f"SVHN_models/{id_of(53)}.txt": "no regular file",
        f"SVHN_models/{id_of(54)}.txt": "a folder without tables",
        "scripts": "a folder without tables",
        ".hidden_models": "hidden",
    }


def test_a_damaged_table_is_refused_or_skipped_with_its_reason(download):
    path = write(download / "F-MNIST_models", 9)
    path.write_bytes(path.read_bytes().replace(b"2.125", b"2,125"))
    with pytest.raises(TableError) as alone:
        read_table(path)
    with pytest.raises(TableError) as among:
        load_tables(download)
    assert str(among.value) == str(alone.value)
    assert (among.value.path, among.value.line, among.value.column) == (path, 3, 2)
    tables = load_tables(download, damaged="skip")
    assert len(tables) == 6
    assert [(s.path, s.reason) for s in tables.skipped] == [(path, str(alone.value))]
    assert len(load_tables(path, damaged="skip").curves) == 0
    assert_types(load_tables(path, damaged="skip"))


def test_two_tables_of_one_network_are_not_taken_for_one(tmp_path, download):
    again = write(tmp_path / "again", 0)
    with pytest.raises(TableError, match=r"column 5 \(ID\): .*CIFAR-100_models already"):
        load_tables([download, tmp_path / "again"])
    tables = load_tables([download, tmp_path / "again"], damaged="skip")
    assert [s.path for s in tables.skipped] == [again]
    assert len(tables) == 6


def test_a_path_with_nothing_to_read_is_an_error(tmp_path, download):
    (tmp_path / "empty" / "a" / "b" / "c").mkdir(parents=True)
    write(tmp_path / "empty" / "a" / "b" / "c", 1)  # too deep
    for damaged in ("refuse", "skip"):
        with pytest.raises(TableError, match="empty: no table is in this folder"):
            load_tables([download, tmp_path / "empty"], damaged=damaged)
    with pytest.raises(TableError, match=r"gone: can't be read: No such file"):
        load_tables(tmp_path / "gone")
    for mistake in ({"val_loss": "right"}, {"damaged": "ignore"}):
        with pytest.raises(NnlcError, match=f"{next(iter(mistake))} is '.*' or '"):
            load_tables(download, **mistake)


# ---- the cache


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

    read_file = nnlc.tables.reading._read_file
    monkeypatch.setattr("nnlc.tables.reading._read_file", take_note)
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


def test_every_part_of_a_results_folder_is_known_and_nothing_of_it_is_named_as_skipped(download):
    results = ResultsFolder(download)
    parts = {part for part in vars(results).values() if isinstance(part, Path)}
    for part in parts - {download}:
        part.write_text("not a table")
    assert load_tables(download).skipped == ()
