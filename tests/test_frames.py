"""Many tables become two frames, as strictly as one by one."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from article_columns import METADATA_COLUMNS
from frame_samples import CURVE, id_of, write, write_download

import nnlc
from nnlc import load_tables, read_table
from nnlc.campaign.campaign import load_campaign
from nnlc.errors import NnlcError, TableError
from nnlc.results.folder import ResultsFolder
from nnlc.tables.record import read_records
from nnlc.tables.table_folders import TableFiles


@pytest.fixture
def download(tmp_path):
    return write_download(tmp_path / "download")


def test_a_file_too_large_for_a_table_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path, 1)
    monkeypatch.setattr("nnlc.tables.table.MAX_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr("nnlc.tables.record.MAX_BYTES", path.stat().st_size - 1)
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
    (problem,) = read_records(found_before)
    assert isinstance(problem, TableError)


def test_the_frames_say_what_read_table_says_with_types(download):
    tables = load_tables(download)
    assert len(tables) == 6
    known = ["id", "dataset", "half_epoch", "epoch", *CURVE]
    assert list(tables.curves) == [*known, "train_accuracy_percent", "seconds"]
    added = ["depth", "half_epochs", "published", "path", "parameters", "multiply_adds", "seconds"]
    assert list(tables.networks)[-7:] == added
    metadata = [column.field for column in METADATA_COLUMNS]
    assert list(tables.networks)[:-7] == [*metadata[:12], "family", *metadata[12:]]
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
    assert {tables.curves.dtypes[n] for n in ("epoch", *CURVE, "seconds")} == {np.dtype("float64")}
    assert tables.curves.dtypes["half_epoch"] == np.dtype("int64")
    assert dtypes["seconds"] == np.dtype("float64")
    assert dtypes["parameters"] == dtypes["multiply_adds"] == pd.Int64Dtype()
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


@pytest.mark.parametrize("whole", [True, False], ids=["the folder", "its tables"])
def test_a_folder_in_which_all_is_a_link_says_so(tmp_path, download, whole):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".cache").touch()
    folder = download / "SVHN_models"
    for path in [folder] if whole else folder.iterdir():
        (tmp_path / "linked" / path.name).symlink_to(path)
    with pytest.raises(TableError, match=r"no table is in this folder.*: a symbolic link$"):
        load_tables(tmp_path / "linked")


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
    with pytest.raises(TableError, match=r"column 5 \(ID\): .*CIFAR-100_models; load only"):
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


def test_every_part_of_a_results_folder_is_known_and_nothing_of_it_is_named_as_skipped(download):
    results = ResultsFolder(download)
    parts = {part for part in vars(results).values() if isinstance(part, Path)}
    for part in (part for part in parts if part.parent == download):
        part.write_text("not a table")
    (skipped,) = load_tables(download).skipped
    assert str(skipped).endswith("journal: the journal was not read: Not a directory")


def all_frames(folder):
    tables = load_tables(folder)
    given = {"id": ["a"], "epoch": [1], "val_accuracy_percent": [9.5]}
    own = nnlc.Tables.from_frames(pd.DataFrame(given), pd.DataFrame({"id": ["a"], "mine": ["x"]}))
    compared = nnlc.compare(tables, ["last1"], cutoffs=[1], target=2).drop(columns="milliseconds")
    yield from (tables.curves, tables.networks, own.curves, own.networks, compared)
    yield from (nnlc.metrics(tables), nnlc.savings(compared, 50), nnlc.importance(tables))
    yield nnlc.predict(tables, method="last1", cutoff=1, target=2)


def test_frames_are_the_same_whether_pandas_stores_texts_by_pyarrow_or_not(download):
    made = []
    for storage in ("pyarrow", "python"):
        with pd.option_context("mode.string_storage", storage):
            made.append(list(all_frames(download)))
    for with_pyarrow, without in zip(*made, strict=True):
        assert with_pyarrow.dtypes.map(str).to_dict() == without.dtypes.map(str).to_dict()
        assert with_pyarrow.to_csv() == without.to_csv()
