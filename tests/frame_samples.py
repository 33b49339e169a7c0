"""Tables of networks of their own, and a folder of them as it is downloaded."""

from dataclasses import replace
from pathlib import Path

from table_samples import SPEC, TABLE

from nnlc.networks import KNOWN_IMAGE_SETS
from nnlc.tables import Row, Table

PLAIN = Table(SPEC, tuple(Row(4.25 / i, 0.1 + 0.2 * i, 100 * i / 9996) for i in range(1, 7)))
CURVE = ["train_loss", "val_loss", "val_accuracy_percent"]


def id_of(number: int) -> str:
    return f"2021_02_15_13_55_26_{number:06d}"


def write(folder: Path, number: int, table: Table = PLAIN, **changes: object) -> Path:
    """Write a table of a network of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = replace(table.spec, id=id_of(number), **changes)
    path = folder / f"{spec.id}.txt"
    path.write_bytes(Table(spec, table.rows).to_bytes())
    return path


def write_download(root: Path) -> Path:
    """Write six networks of three image sets."""
    for number, name in enumerate(["CIFAR-100", "F-MNIST", "SVHN"] * 2):
        dataset = KNOWN_IMAGE_SETS[name].table_name
        write(root / f"{name}_models", number, PLAIN if number < 3 else TABLE, dataset=dataset)
    return root
