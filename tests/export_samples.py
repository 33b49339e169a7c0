"""Any tables that can be, for the tests of exports, and what these do with them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from hypothesis import strategies as st
from table_samples import ROWS, SPEC, tree

from nnlc import export_tables
from nnlc.exporting.contents import Contents
from nnlc.exporting.manifest import Manifest, read_manifest
from nnlc.families.article import NetworkSpec
from nnlc.tables import Row, Table

WRITTEN = ("parquet", "csv")
FORMATS = (*WRITTEN, "hdf5")
"""All that can be read."""
FILES = {
    "parquet": ("networks.parquet", "curves.parquet"),
    "csv": ("networks.csv", "curves.csv"),
    "hdf5": ("tables.h5", "tables.h5"),
}
"""By format: where records of networks and of half epochs stand."""
READERS = {"parquet": "parquet_export", "csv": "csv_export", "hdf5": "hdf5_import"}
MOST = 2**31 - 1
words = st.one_of(
    st.sampled_from(["CIFAR100", "=1+1", "'quoted'", '"a,b"', "-inf", "nan", "5", "@x", "<b>&"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6),
)
folders = st.sampled_from(["CIFAR-100_models", "a b,c", "=cmd", "'x", "über", "1-2-3"])
values = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1e16, 1e-5]))
rates = st.one_of(st.just(0), st.sampled_from([0.0, -0.0, 1.0, 5e-324]), st.floats(0, 1))
numbers = st.one_of(rates, st.floats(0, allow_nan=False))


@st.composite
def specs(draw, id_: str = SPEC.id) -> NetworkSpec:
    blocks = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    pools, layers = sum(1 for block in blocks if block & 2), draw(st.integers(1, 3))

    def integers(count: int, low: int, high: int = MOST) -> tuple[int, ...]:
        some = st.one_of(st.integers(low, high), st.sampled_from([low, high]))
        return tuple(draw(st.lists(some, min_size=count, max_size=count)))

    return NetworkSpec(
        id=id_,
        random_seed=draw(st.integers(0, 2**32 - 1)),
        train_gpu=draw(st.booleans()),
        torch_set_deterministic=draw(st.booleans()),
        dataset=draw(words),
        batch_size=draw(st.integers(1, MOST)),
        loss_fn=draw(words),
        optimizer=draw(words),
        learning_rate=draw(numbers),
        momentum=draw(numbers),
        dampening=draw(numbers),
        weight_decay=draw(numbers),
        layer_types=tuple(blocks),
        dropout_rate=draw(rates),
        conv_kernels=integers(len(blocks), 1),
        conv_strides=integers(len(blocks), 1),
        conv_paddings=integers(len(blocks), 0),
        pool_kernels=integers(pools, 1),
        pool_strides=integers(pools, 1),
        pool_paddings=integers(pools, 0),
        conv_filters=integers(len(blocks), 1),
        fc_dropout_rate=draw(rates),
        fc_dropout_layers=integers(layers - 1, 0, 1),
        fc_filters=integers(layers, 1),
    )


@st.composite
def many_tables(draw) -> dict[str, bytes]:
    """Up to four tables, by their place below a folder."""
    tables = {}
    for number in range(draw(st.integers(1, 4))):
        spec = draw(specs(id_of(number)))
        rows = draw(st.lists(st.builds(Row, values, values, values), min_size=1, max_size=4))
        tables[f"{draw(folders)}/{spec.id}.txt"] = Table(spec, tuple(rows)).to_bytes()
    return tables


def id_of(number: int) -> str:
    return f"2026_01_01_00_00_00_{number:06d}"


def sample(number: int = 0, rows: tuple[Row, ...] = ROWS, **changes: object) -> Table:
    """One table, ours unless told otherwise."""
    changes = {"id": id_of(number), "torch_set_deterministic": True} | changes
    return Table(replace(SPEC, **changes), rows)


def write_tables(folder: Path, tables: dict[str, bytes]) -> Path:
    for name, content in tables.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


read_tables = tree


def three_tables(folder: Path) -> Path:
    """A folder with tables of two datasets, one of them the article's."""
    tables = {
        "CIFAR-100_models/a": sample(0),
        "CIFAR-100_models/b": sample(1, ROWS[:1] * 3),
        "SVHN_models/c": sample(2, ROWS[:2], torch_set_deterministic=False, dataset="SVHN"),
    }
    return write_tables(
        folder,
        {f"{Path(name).parent}/{t.spec.id}.txt": t.to_bytes() for name, t in tables.items()},
    )


def three_exported(folder: Path, format: str) -> Path:
    """An export of these; as HDF5 what nnlc 0.1.0 made of them, the last that wrote it."""
    tables, export = three_tables(folder / "tables"), folder / "export"
    if format == "hdf5":
        shutil.copytree(Path(__file__).parent / "golden" / "hdf5_export", export)
    else:
        export_tables(tables, export, format=format)
    return export


def reader(format: str) -> Callable[[Path, Manifest], Contents]:
    """The function that reads exports of a format, whose library a light installation may lack."""
    return import_module(f"nnlc.exporting.{READERS[format]}").read


def read_here(folder: Path, manifest: Manifest) -> Contents:
    """What `read_in_process` does, in this process."""
    return reader(manifest.format)(folder, manifest)


def sign(export: Path, *, digest: bool = False) -> None:
    """Have an export's manifest tell of its files as they are, as a forger would.

    Args:
        export: its folder.
        digest: whether the digest of all tables is changed too.
    """
    path = export / "export.json"
    manifest = json.loads(path.read_bytes())
    for name in manifest["files"]:
        content = (export / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256}
    path.write_text(json.dumps(manifest))
    if digest:
        contents = reader(manifest["format"])(export, read_manifest(export))
        path.write_text(json.dumps(manifest | {"tables_sha256": contents.digest}))
