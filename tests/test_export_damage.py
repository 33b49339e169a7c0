"""Exports that were damaged, edited or forged: one message with file and column, and no tables."""

import csv
import json
import os

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_samples import FILES, FORMATS, id_of, read_here, read_tables, sign, three_exported
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import HANG_SECONDS

from nnlc import NnlcError, import_tables
from nnlc.cli import main
from nnlc.exporting import importing, reader_process

TABLE = "CIFAR-100_models/2026_01_01_00_00_00_000000.txt"


def refused(export, words, *, read=read_here):
    """An import gives one message, of one line, and leaves nothing."""
    out = export.parent / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "read_in_process", read)  # a process each would take long
        with pytest.raises(NnlcError, match=words) as problem:
            import_tables(export, out)
    assert "\n" not in str(problem.value)
    assert not out.exists()
    assert not list(export.parent.glob(".*"))


def edit_csv(path, edit):
    """Change a CSV file's rows, which are dictionaries."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = edit(rows) or rows
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def edit_parquet(export, name, edit):
    """Change a Parquet file's table, and sign it."""
    changed = edit(pq.read_table(export / name))
    pq.write_table(changed, export / name)
    sign(export)


def edit_hdf5(export, edit):
    """Change an HDF5 file, and sign it."""
    with h5py.File(export / "tables.h5", "r+") as file:
        edit(file)
    sign(export)


def replace_column(table, name, values, kind=None):
    at = table.column_names.index(name)
    kind = kind or table.field(at).type
    return table.set_column(at, pa.field(name, kind), [pa.array(values, kind)])


@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_value_is_told_by_its_table(tmp_path, format):
    export = three_exported(tmp_path, format)
    words = f"table '{TABLE}' is no longer the one that was exported"
    if format == "csv":
        edit_csv(export / "curves.csv", lambda rows: rows[0].update(train_loss="4.25"))
    elif format == "parquet":
        edit_parquet(
            export, "curves.parquet", lambda t: replace_column(t, "train_loss", [4.25] * 9)
        )
    else:
        edit_hdf5(export, lambda file: file["curves/train_loss"].write_direct(np.full(9, 4.25)))
    refused(export, words)


@pytest.mark.parametrize("format", ["parquet", "hdf5"])
def test_a_damaged_file_never_reaches_its_library(tmp_path, format, monkeypatch):
    export = three_exported(tmp_path, format)
    path = export / FILES[format][1]
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" + whole[101:])
    refused(export, f"{path}: is not the file that was exported .its sha256 is not")
    path.write_bytes(whole[:-1])
    words = f"{path}: is not the file that was exported: it has {len(whole) - 1} bytes"
    refused(export, words, read=reader_process.read_in_process)


@settings(max_examples=25)
@given(st.data())
def test_damaged_text_is_refused_or_still_says_the_same(tmp_path_factory, data):
    export = three_exported(tmp_path_factory.mktemp("text"), "csv")
    path = export / data.draw(st.sampled_from(FILES["csv"]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([None, len(content) // 2]))])
    problem = ""
    try:
        import_tables(export, export.parent / "out")
    except NnlcError as found:
        problem = str(found)
    if problem:
        assert "\n" not in problem
        assert str(export) in problem
        assert not (export.parent / "out").exists()
    else:
        assert read_tables(export.parent / "out") == read_tables(export.parent / "tables")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("records", ["networks", "curves"])
def test_a_missing_column_is_named_with_its_file(tmp_path, format, records):
    export = three_exported(tmp_path, format)
    name = {"networks": "momentum", "curves": "val_loss"}[records]
    if format == "csv":
        edit_csv(export / f"{records}.csv", lambda rows: [row.pop(name) for row in rows] and None)
        refused(export, rf"{records}\.csv: line 1 has no columns {name} instead")
    elif format == "parquet":
        edit_parquet(export, f"{records}.parquet", lambda table: table.drop_columns(name))
        refused(export, rf"{records}\.parquet: has no column {name}, or several")
    else:
        edit_hdf5(export, lambda file: file[records].__delitem__(name))
        refused(
            export, rf"tables\.h5, {records}/{name}: can.t be read as HDF5: there is no such column"
        )


@pytest.mark.parametrize("format", FORMATS)
def test_a_column_of_another_type_is_named(tmp_path, format):
    export = three_exported(tmp_path, format)
    if format == "csv":
        edit_csv(export / "networks.csv", lambda rows: rows[1].update(conv_kernels="3-x"))
        refused(export, r"networks\.csv, line 3, column conv_kernels: 'x' is not a whole number")
    elif format == "parquet":
        edit_parquet(
            export,
            "networks.parquet",
            lambda t: replace_column(t, "conv_kernels", ["3-5"] * 3, pa.string()),
        )
        refused(export, r"networks\.parquet, column conv_kernels: is of type string")
    else:

        def edit(file):
            del file["networks/conv_kernels"]
            file["networks/conv_kernels"] = [3, 5, 7]

        edit_hdf5(export, edit)
        refused(
            export, r"tables\.h5, networks/conv_kernels: can.t be read as HDF5: it is of type int64"
        )


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("column", ["folder", "id"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, format, column):
    export = three_exported(tmp_path, format)
    name = "../../escaped"
    rows = 4 if column == "id" else 0  # of the first table
    if format == "csv":
        edit_csv(export / "networks.csv", lambda found: found[0].update({column: name}))
        edit_csv(export / "curves.csv", lambda found: [r.update(id=name) for r in found[:rows]][:0])
    elif format == "parquet":
        for file, at, count in (("networks", column, 1), ("curves", "id", rows)):
            edit_parquet(
                export,
                f"{file}.parquet",
                lambda t, at=at, n=count: replace_column(t, at, [name] * n + t[at].to_pylist()[n:]),
            )
    else:

        def edit(file):
            file[f"networks/{column}"][0] = name
            file["curves/id"][:rows] = name.encode()

        edit_hdf5(export, edit)
    refused(export, "other tables than those that were exported")
    sign(export, digest=True)
    refused(
        export,
        "column folder: '../../escaped' can't be the name"
        if column == "folder"
        else "ID '../../escaped' does not have the form",
    )
    assert not list(tmp_path.parent.rglob("escaped*"))


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "journal", ".hidden", "x" * 256, "a\nb"])
def test_only_plain_names_are_folders_of_tables(name):
    from nnlc.exporting.contents import is_folder_name

    assert not is_folder_name(name)
    assert is_folder_name("CIFAR-100_models")
    assert is_folder_name("über 1-2")


def test_a_table_that_was_taken_out_is_missed(tmp_path):
    export = three_exported(tmp_path, "csv")
    edit_csv(export / "networks.csv", lambda rows: rows[:2])
    edit_csv(export / "curves.csv", lambda rows: rows[:7])
    refused(export, "has 2 of the 3 tables that were exported")


def test_rows_that_are_missing_added_or_in_another_order_are_told(tmp_path):
    export = three_exported(tmp_path, "csv")
    whole = (export / "curves.csv").read_bytes()
    edit_csv(export / "curves.csv", lambda rows: rows[:-1])
    refused(export, r"curves\.csv: ends after 8 of 9 rows")
    (export / "curves.csv").write_bytes(whole)
    edit_csv(export / "curves.csv", lambda rows: [*rows, rows[-1]])
    refused(export, r"curves\.csv: there are more rows than the 9 half epochs")
    (export / "curves.csv").write_bytes(whole)
    edit_csv(export / "curves.csv", lambda rows: [rows[1], rows[0], *rows[2:]])
    refused(export, r"curves\.csv, row 1, column half_epoch: '2' instead of '1'")


def test_huge_sizes_in_text_are_refused_before_there_is_memory_for_them(tmp_path):
    export = three_exported(tmp_path, "csv")
    whole = (export / "networks.csv").read_bytes()
    edit_csv(export / "networks.csv", lambda rows: rows[0].update(half_epochs=str(10**17)))
    refused(export, "column half_epochs: each must be at least 1, and their sum at most")
    edit_csv(export / "networks.csv", lambda rows: rows[0].update(half_epochs=str(10**18 * 9)))
    refused(export, "column half_epochs")
    (export / "networks.csv").write_bytes(whole)
    edit_csv(export / "networks.csv", lambda rows: rows[0].update(fc_filters="1-" * 20_000 + "1"))
    refused(export, "column fc_filters: the list has more than 10000 entries")
    with (export / "networks.csv").open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    refused(export, r"networks\.csv")


def test_huge_sizes_in_hdf5_are_refused_before_there_is_memory_for_them(tmp_path):
    export = three_exported(tmp_path, "hdf5")

    def edit(file):
        del file["networks/random_seed"]
        file["networks"].create_dataset("random_seed", (10**12,), "i8", chunks=(4096,))

    edit_hdf5(export, edit)
    refused(export, r"tables\.h5, networks/random_seed: .*it has 1000000000000 values")


def test_huge_sizes_in_parquet_are_refused_before_there_is_memory_for_them(tmp_path):
    export = three_exported(tmp_path, "parquet")
    many = pa.table({"id": pa.DictionaryArray.from_arrays(np.zeros(2_000_000, "i4"), [id_of(0)])})
    pq.write_table(many, export / "curves.parquet")
    sign(export)
    refused(export, r"curves\.parquet: has 2000000 rows instead of at most 9")
    entries = [np.zeros(1_000_000, "i4")] * 3
    edit_parquet(export, "networks.parquet", lambda t: replace_column(t, "conv_filters", entries))
    refused(export, r"networks\.parquet, column conv_filters: a value is longer than 10000")


def test_data_from_elsewhere_is_not_fetched_into_an_hdf5_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(24))

    def external(file):
        del file["networks/batch_size"]
        file["networks"].create_dataset("batch_size", (3,), "i8", external=[(str(secret), 0, 24)])

    def link(file):
        del file["networks/batch_size"]
        file["networks/batch_size"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")

    def soft(file):
        del file["curves"]
        file["curves"] = h5py.SoftLink("/networks")

    for edit, words in (
        (external, "networks/batch_size: .*it is stored in a way that nnlc never uses"),
        (link, "networks/batch_size: .*there is no such column"),
        (soft, "h5, curves/id: .*there is no such column"),
    ):
        folder = tmp_path / edit.__name__
        folder.mkdir()
        export = three_exported(folder, "hdf5")
        edit_hdf5(export, edit)
        refused(export, words)


def test_links_and_pipes_in_an_export_are_not_followed(tmp_path):
    export = three_exported(tmp_path, "csv")
    moved = tmp_path / "curves.csv"
    (export / "curves.csv").rename(moved)
    (export / "curves.csv").symlink_to(moved)
    refused(export, r"curves\.csv: is a symbolic link where a file is expected")
    (export / "curves.csv").unlink()
    os.mkfifo(export / "curves.csv")
    refused(export, r"curves\.csv: is a named pipe where a file is expected")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b"null", b'{"nnlc_export": 1}', b"[" * 100_000, b" " * 2_000_000],
)
def test_a_manifest_that_is_none_is_told(tmp_path, content):
    export = three_exported(tmp_path, "csv")
    (export / "export.json").write_bytes(content)
    refused(export, r"export\.json: is damaged, or nnlc did not write it")


def test_a_manifest_of_another_version_or_with_strange_numbers_is_told(tmp_path):
    export = three_exported(tmp_path, "parquet")
    values = json.loads((export / "export.json").read_text())
    (export / "export.json").write_text(json.dumps(values | {"nnlc_export": 3}))
    refused(export, "has format 3, but this nnlc knows formats up to 2")
    (export / "export.json").write_text(json.dumps(values | {"nnlc_export": 0}))
    refused(export, "an export of version 0; this nnlc reads versions 1 and 2")
    for strange in (-1, 1.5, "3", True, None):
        (export / "export.json").write_text(json.dumps(values | {"tables": strange}))
        refused(export, "is damaged, or nnlc did not write it")
    (export / "export.json").write_text(json.dumps(values | {"half_epochs": 10**30}))
    import_tables(export, tmp_path / "out")  # only what it needs is taken
    (export / "export.json").unlink()
    with pytest.raises(NnlcError, match=r"is no export: there is no export\.json"):
        import_tables(export, tmp_path / "again")


def test_a_library_that_breaks_down_costs_one_message(tmp_path, monkeypatch):
    export = three_exported(tmp_path, "parquet")
    monkeypatch.setattr(reader_process, "__name__", "breaks_down")
    (tmp_path / "breaks_down.py").write_text("import os; os.abort()")
    monkeypatch.setattr(reader_process, "_PACKAGES", tmp_path)
    words = "the library that reads parquet crashed on it .signal 6."
    refused(export, words, read=reader_process.read_in_process)
    (tmp_path / "breaks_down.py").write_text("import os; os.kill(os.getpid(), 24)")
    refused(export, "it took too long", read=reader_process.read_in_process)


def test_no_module_is_taken_from_where_the_user_is(tmp_path, monkeypatch):
    export = three_exported(tmp_path, "hdf5")
    (export / "numpy.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(export)
    import_tables(export, tmp_path / "out")


def test_the_reader_apart_takes_no_more_memory_than_its_export_needs(tmp_path):
    import resource
    import subprocess
    import sys

    code = (
        "from nnlc.exporting import reader_process\nreader_process._limit(3, 9)\n"
        "try:\n    x = bytearray(3 << 30)\nexcept MemoryError:\n    print('limited')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.stdout == "limited\n"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2 << 30


def test_the_command_says_it_in_one_line(tmp_path, monkeypatch, capsys):
    export = three_exported(tmp_path, "parquet")
    (export / "curves.parquet").write_bytes(b"torn")
    monkeypatch.setattr("sys.argv", ["nnlc", "import", str(export), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err.startswith(f"error: {export / 'curves.parquet'}: is not the file that was")
    assert words.err.count("\n") == 1
