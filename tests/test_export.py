"""Exports: tables as Parquet or CSV, and back, byte for byte; back from HDF5 too."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from export_samples import (
    FILES,
    FORMATS,
    WRITTEN,
    id_of,
    many_tables,
    read_here,
    read_tables,
    sample,
    three_exported,
    three_tables,
    write_tables,
)
from hypothesis import given, settings
from limits import HANG_SECONDS
from typer.testing import CliRunner

from nnlc import NnlcError, export_tables, import_tables, load_tables
from nnlc.cli import app
from nnlc.errors import TableError
from nnlc.exporting import importing
from nnlc.system import new_folder
from nnlc.tables import Row
from nnlc.tables.frames import RECORDED_COLUMNS

PUBLISHED = Path(__file__).resolve().parent.parent.parent / "shared" / "published"


@pytest.mark.parametrize("format", WRITTEN)
@settings(max_examples=12)
@given(tables=many_tables())
def test_any_tables_come_back_byte_for_byte(tmp_path_factory, format, tables):
    folder = tmp_path_factory.mktemp("any")
    write_tables(folder / "in", tables)
    done = export_tables(folder / "in", folder / "export", format=format)
    assert done.tables == len(tables)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "read_in_process", read_here)  # a process each would take long
        assert import_tables(folder / "export", folder / "out") == len(tables)
    assert read_tables(folder / "out") == tables


@pytest.mark.parametrize("format", WRITTEN)
def test_blank_and_nan_and_both_zeros_come_back_as_they_were(tmp_path, format):
    rows = (Row(None, float("nan"), 0.0), Row(-0.0, float("-inf"), None))
    zeros = sample(0, rows, momentum=0, dampening=0.0, weight_decay=-0.0, pool_kernels=(1,))
    content = zeros.to_bytes()
    assert b"0.5  nan 0.0 " in content
    assert b" 0 0.0 -0.0 " in content
    write_tables(tmp_path / "in", {"x/any.txt": content})
    export_tables(tmp_path / "in" / "x" / "any.txt", tmp_path / "export", format=format)
    import_tables(tmp_path / "export", tmp_path / "out")
    assert read_tables(tmp_path / "out") == {f"x/{id_of(0)}.txt": content}


@pytest.mark.needs("published tables")
@pytest.mark.parametrize("format", WRITTEN)
def test_the_published_table_comes_back_byte_for_byte(tmp_path, format):
    done = export_tables(PUBLISHED, tmp_path / "export", format=format)
    assert [one.path.name for one in done.skipped] == ["README.md"]
    import_tables(tmp_path / "export", tmp_path / "out")
    [(name, content)] = read_tables(tmp_path / "out").items()
    assert name == f"published/{next(PUBLISHED.glob('*.txt')).name}"
    assert content == next(PUBLISHED.glob("*.txt")).read_bytes()


def test_the_same_tables_give_the_same_bytes_in_any_process_and_order(tmp_path):
    tables = three_tables(tmp_path / "tables")
    code = (
        "import sys, nnlc\n"
        "for format in sys.argv[3:]:\n"
        "    nnlc.export_tables(sys.argv[1], f'{sys.argv[2]}/{format}', format=format)"
    )
    (tmp_path / "there").mkdir()
    subprocess.run(
        [sys.executable, "-c", code, tables, tmp_path / "there", *WRITTEN],
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        check=True,
        timeout=HANG_SECONDS,
    )
    for one in WRITTEN:
        export_tables(sorted(tables.iterdir(), reverse=True), tmp_path / one, format=one)
        here = read_tables(tmp_path / one)
        assert len(here) == len({*FILES[one]}) + 3
        assert read_tables(tmp_path / "there" / one) == here


def test_parquet_has_the_values_of_load_tables_lists_units_and_null_for_blank(tmp_path):
    tables = load_tables(three_tables(tmp_path / "tables"))
    export_tables(tmp_path / "tables", tmp_path / "export")
    curves = pq.read_table(tmp_path / "export" / "curves.parquet")
    assert curves.schema.field("train_loss").metadata[b"unit"] == b"nats"
    assert curves.schema.field("train_loss").metadata[b"table_column"] == b"trainLoss"
    assert curves.column("val_loss").null_count == 1  # the blank one, and not the nan
    networks = pq.read_table(tmp_path / "export" / "networks.parquet")
    assert networks.column("pool_kernels").to_pylist() == [[1], [1], [1]]
    assert networks.column("fc_dropout_layers").to_pylist() == [[], [], []]
    group = pq.ParquetFile(tmp_path / "export" / "curves.parquet").metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}
    frame = pd.read_parquet(tmp_path / "export" / "curves.parquet")
    for name in tables.curves.drop(columns=[*RECORDED_COLUMNS]):
        assert np.array_equal(frame[name], tables.curves[name]) or name.endswith(
            ("_loss", "_percent")
        )
        if frame[name].dtype == float:
            assert np.array_equal(frame[name], tables.curves[name], equal_nan=True)


def test_csv_is_plain_text_with_shortest_numbers_and_guards_against_formulas(tmp_path):
    write_tables(tmp_path / "in", {"=f/x.txt": sample(0, dataset="=1+1,'\"").to_bytes()})
    export_tables(tmp_path / "in" / "=f" / "x.txt", tmp_path / "export", format="csv")
    text = (tmp_path / "export" / "curves.csv").read_text()
    name = id_of(0)
    guarded = '"\'=1+1,\'"""'
    assert text.splitlines()[1:] == [
        f"{name},{guarded},1,0.5,4.253769808530808,3.8971090102730845,9.68",
        f"{name},{guarded},2,1.0,nan,inf,10.0",
        f"{name},{guarded},3,1.5,1e-07,,1e+16",
        f"{name},{guarded},4,2.0,-inf,-0.0,0.0",
    ]
    with (tmp_path / "export" / "networks.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["layer_types"] == "3-5"
    assert row["pool_kernels"] == "1"
    assert row["fc_dropout_layers"] == ""
    assert row["folder"] == "'=f"
    assert row["dampening"] == "0"
    import_tables(tmp_path / "export", tmp_path / "out")
    assert list(read_tables(tmp_path / "out")) == [f"=f/{name}.txt"]


def test_an_earlier_export_in_hdf5_is_read_to_the_byte_and_replaced_and_none_is_written(tmp_path):
    export = three_exported(tmp_path, "hdf5")
    assert import_tables(export, tmp_path / "out") == 3
    assert read_tables(tmp_path / "out") == read_tables(tmp_path / "tables")
    with pytest.raises(NnlcError, match=r"no longer written.* choose 'parquet'.* or 'csv'"):
        export_tables(tmp_path / "tables", export, format="hdf5")
    assert (export / "tables.h5").is_file()
    export_tables(tmp_path / "tables", export, format="csv")
    assert not (export / "tables.h5").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_the_digest_of_all_tables_is_that_of_sha256sum(tmp_path, format):
    export = three_exported(tmp_path, format)
    import_tables(export, tmp_path / "out")
    listing = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(read_tables(tmp_path / "out").items())
    )
    digest = hashlib.sha256(listing.encode()).hexdigest()
    assert f'"tables_sha256": "{digest}"' in (export / "export.json").read_text()
    assert digest in (export / "datasheet.html").read_text()


def test_an_earlier_export_is_replaced_whole_and_nothing_else_is(tmp_path):
    export = three_exported(tmp_path, "parquet")
    export_tables(tmp_path / "tables", export, format="csv")
    assert sorted(read_tables(export)) == [
        *("croissant.json", "curves.csv", "datasheet.html", "export.json", "networks.csv"),
    ]
    (export / "notes.txt").write_text("mine")
    before = read_tables(export)
    with pytest.raises(NnlcError, match=r"contains 'notes.txt' besides an earlier export"):
        export_tables(tmp_path / "tables", export)
    assert read_tables(export) == before
    (export / "notes.txt").unlink()
    manifest = json.loads((export / "export.json").read_text())
    manifest["files"]["thesis.txt"] = manifest["files"]["curves.csv"]
    write_tables(export, {"export.json": json.dumps(manifest).encode(), "thesis.txt": b"mine"})
    with pytest.raises(NnlcError, match=r"contains 'thesis.txt' besides an earlier export"):
        export_tables(tmp_path / "tables", export)
    other = write_tables(tmp_path / "other", {"thesis.txt": b"mine", "deep/er.txt": b"mine"})
    with pytest.raises(NnlcError, match="is in use"):
        export_tables(tmp_path / "tables", other)
    write_tables(other, {"export.json": b"{}"})
    with pytest.raises(NnlcError, match="damaged, or nnlc did not write it"):
        export_tables(tmp_path / "tables", other)
    (tmp_path / "link").symlink_to(export)
    with pytest.raises(NnlcError, match="something else stands there"):
        export_tables(tmp_path / "tables", tmp_path / "link")
    assert sorted(read_tables(other)) == ["deep/er.txt", "export.json", "thesis.txt"]
    assert not list(tmp_path.glob(".*"))


def test_an_export_that_fails_leaves_the_earlier_one_and_no_trace(tmp_path, monkeypatch):
    export = three_exported(tmp_path, "parquet")
    before = read_tables(export)

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NnlcError, match="can't be written: No space left on device"):
        export_tables(tmp_path / "tables", export, format="csv")
    assert read_tables(export) == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("problem", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_export_whose_last_rename_fails_puts_the_earlier_one_back(
    tmp_path, monkeypatch, problem
):
    export = three_exported(tmp_path, "csv")
    before = read_tables(export)
    rename = Path.rename
    moved = []

    def fail_second(self, target):
        moved.append(target)
        if len(moved) == 2:
            raise problem
        return rename(self, target)

    monkeypatch.setattr(new_folder, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises((NnlcError, KeyboardInterrupt)):
        export_tables(tmp_path / "tables", export)
    assert len(moved) == 3
    assert read_tables(export) == before
    assert not list(tmp_path.glob(".*"))


def test_two_tables_of_one_id_and_damaged_ones_are_refused_or_left_out(tmp_path):
    tables = three_tables(tmp_path / "tables")
    write_tables(tables, {f"Z_models/{id_of(0)}.txt": sample(0).to_bytes()})
    with pytest.raises(TableError, match=r"also has a table in .*CIFAR-100_models"):
        export_tables(tables, tmp_path / "export")
    write_tables(tables, {f"Z_models/{id_of(7)}.txt": b"torn"})
    assert not (tmp_path / "export").exists()
    done = export_tables(tables, tmp_path / "export", damaged="skip")
    assert (done.tables, len(done.skipped)) == (3, 2)


def test_the_command_exports_and_imports_and_says_so(tmp_path):
    tables = three_tables(tmp_path / "tables")
    run = CliRunner().invoke(
        app, ["export", str(tables), "-o", str(tmp_path / "e"), "--format", "csv"]
    )
    assert run.exit_code == 0, run.output
    assert "3 tables, 9 half epochs, 0.0 MB" in run.output
    assert "lack license, creators, url, published" in run.output
    run = CliRunner().invoke(app, ["import", str(tmp_path / "e"), "-o", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    assert run.output == f"3 tables: {tmp_path / 'out'}\n"
    assert read_tables(tmp_path / "out") == read_tables(tables)


def test_an_import_goes_into_a_new_folder_only(tmp_path):
    export = three_exported(tmp_path, "csv")
    out = write_tables(tmp_path / "out", {"SVHN_models/mine.txt": b"mine"})
    with pytest.raises(NnlcError, match="is in use, and is not overwritten"):
        import_tables(export, out)
    with pytest.raises(NnlcError, match=r"lies in .* which is read"):
        import_tables(export, export / "inside")
    assert list(read_tables(out)) == ["SVHN_models/mine.txt"]
