"""Good tables and folders of them, and every kind of damage that an audit must name."""

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnlc.campaign import Campaign, load_campaign
from nnlc.journal import Journal
from nnlc.networks import KNOWN_IMAGE_SETS, ImageSet, NetworkSpec
from nnlc.results import ResultsFolder
from nnlc.tables import COLUMNS, Row, Table, parse_table
from nnlc.tables.table import MAX_BYTES

CIFAR = KNOWN_IMAGE_SETS["CIFAR-100"]
SVHN = KNOWN_IMAGE_SETS["SVHN"]
FASHION = KNOWN_IMAGE_SETS["F-MNIST"]
PUBLISHED = NetworkSpec(
    id="2021_02_15_12_18_09_100387",
    random_seed=3153530971,
    train_gpu=True,
    torch_set_deterministic=False,
    dataset="CIFAR100",
    batch_size=49,
    loss_fn="CrossEntropyLoss",
    optimizer="SGD",
    learning_rate=0.01005814462371971,
    momentum=0.0123,
    dampening=0,
    weight_decay=0.05815562399917578,
    layer_types=(7, 3, 5),
    dropout_rate=0.31,
    conv_kernels=(8, 4, 3),
    conv_strides=(2, 1, 1),
    conv_paddings=(2, 0, 1),
    pool_kernels=(3, 2),
    pool_strides=(2, 1),
    pool_paddings=(1, 1),
    conv_filters=(40, 80, 160),
    fc_dropout_rate=0.23811313201015194,
    fc_dropout_layers=(1, 0),
    fc_filters=(200, 50, 100),
)
"""Every parameter is drawn here, or may not be."""
CAMPAIGN = """
name = "mine"
seed = 11
stamp = 2026-01-31T12:00:00
epochs = 4

[datasets.F-MNIST-sample]
networks_per_depth = 3
depths = [1, 2]

[space]
kernel = [2, 5]
filters = [1, 16]
fc_layers = [2, 3]
"""


def slip_factor(spec: NetworkSpec, images: ImageSet) -> float:
    full, partial = divmod(images.validation_images, spec.batch_size)
    return full / (full + (partial > 0))


def learning(spec: NetworkSpec, images: ImageSet, half_epochs: int = 80) -> tuple[Row, ...]:
    """A curve that breaks no rule: one of a network that learns, with noise."""
    noise = random.Random(spec.random_seed)
    validated = images.validation_images // spec.batch_size * spec.batch_size
    slip = 1.0 if spec.torch_set_deterministic else slip_factor(spec, images)
    rows = []
    for number in range(1, half_epochs + 1):
        share = 1 / images.classes + (0.9 - 1 / images.classes) * number / (number + 9)
        right = round(validated * min(share + noise.uniform(-0.01, 0.01), 1))
        val_loss = slip * ((1 - right / validated) * 3 + noise.uniform(0.1, 0.2))
        train_loss = math.log(images.classes) * 5 / (number + 4) + noise.uniform(0, 0.1)
        rows.append(Row(train_loss, val_loss, 100 * right / validated))
    return tuple(rows)


def never_learning(
    spec: NetworkSpec, images: ImageSet, part: float, noise: float = 1e-4
) -> tuple[Row, ...]:
    """A curve that stays at chance, its valLoss with this part of the published slip."""
    draw = random.Random(spec.random_seed).gauss
    validated = images.validation_images // spec.batch_size * spec.batch_size
    right = validated // images.classes
    factor = 1 - part * (1 - slip_factor(spec, images))
    plain = math.log(images.classes)
    return tuple(
        Row(
            plain * (1 + abs(draw(0, 1e-5))),
            plain * factor * (1 + draw(0, noise)),
            100 * right / validated,
        )
        for _ in range(80)
    )


def table_of(spec: NetworkSpec, images: ImageSet = CIFAR, half_epochs: int = 80) -> Table:
    return Table(spec, learning(spec, images, half_epochs))


GOOD = table_of(PUBLISHED).to_bytes()
PLACE = Path("CIFAR-100_models") / f"{PUBLISHED.id}.txt"


def others(count: int, spec: NetworkSpec = PUBLISHED) -> list[NetworkSpec]:
    """More networks, each different in ID, seed and rates."""
    return [
        replace(
            spec,
            id=f"{spec.id[:-6]}{number:06d}",
            random_seed=number,
            learning_rate=0.01 + number / 1000,
        )
        for number in range(1, count + 1)
    ]


def write(folder: Path, table: Table) -> Path:
    images = next(s for s in KNOWN_IMAGE_SETS.values() if s.table_name == table.spec.dataset)
    path = folder / f"{images.name}_models" / f"{table.spec.id}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table.to_bytes())
    return path


def write_published(folder: Path) -> None:
    """A download: three tables, the first of them `GOOD`."""
    for spec in (PUBLISHED, *others(2)):
        write(folder, table_of(spec))


def write_results(folder: Path) -> Campaign:
    """A results folder with every table of a campaign of its own space."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.parent / f"{folder.name}.toml"
    file.write_text(CAMPAIGN)
    campaign = load_campaign(file)
    results = ResultsFolder(folder)
    results.open(campaign)
    for network in campaign.networks():
        path = results.table_path(network.images, network.spec)
        table = table_of(network.spec, network.images, campaign.half_epochs)
        path.write_bytes(table.to_bytes())
    return campaign


Damage = Callable[[bytes], bytes]


def line(number: int, change: Damage) -> Damage:
    """A table with one line changed."""

    def damage(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return damage


def field(number: int, name: str, value: str | bytes) -> Damage:
    """A table with one field changed."""
    column = [column.name for column in COLUMNS].index(name)

    def change(text: bytes) -> bytes:
        fields = text.split(b" ")
        fields[column] = value if isinstance(value, bytes) else value.encode()
        return b" ".join(fields)

    return line(number, change)


def several(*damages: Damage) -> Damage:
    def damage(content: bytes) -> bytes:
        for one in damages:
            content = one(content)
        return content

    return damage


def without_line(number: int) -> Damage:
    def damage(content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join(lines[: number - 1] + lines[number:])

    return damage


def everywhere(name: str, values: Sequence[str]) -> Damage:
    """A column with these values, the last one to the end."""
    return several(*(field(n + 2, name, values[min(n, len(values) - 1)]) for n in range(80)))


@dataclass(frozen=True)
class Kind:
    """Damage to the bytes of `GOOD`, and where an audit must find it."""

    rule: str
    line: int | None
    column: str | int | None
    damage: Damage

    @property
    def number(self) -> int | None:
        if isinstance(self.column, str):
            return [column.name for column in COLUMNS].index(self.column) + 1
        return self.column


def value(rule: str, column: str, text: str, line_number: int = 2) -> Kind:
    """A single field with another value."""
    return Kind(rule, line_number, column, field(line_number, column, text))


BYTE_KINDS = {
    "an empty file": Kind("empty-file", None, None, lambda c: b""),
    "a million lines": Kind("too-large", None, None, lambda c: c + b"\n" * 1_000_000),
    "a line of a mebibyte": Kind("too-large", 3, None, line(3, lambda t: t + b"1" * (1 << 20))),
    "a byte-order mark": Kind("byte-order-mark", 1, 1, lambda c: b"\xef\xbb\xbf" + c),
    "UTF-16": Kind("byte-order-mark", 1, 1, lambda c: c.decode().encode("utf-16")),
    "carriage returns": Kind("line-ends", 1, None, lambda c: c.replace(b"\n", b"\r\n")),
    "mixed line ends": Kind("line-ends", 5, None, line(5, lambda t: t + b"\r")),
    "line ends of old": Kind("line-ends", 1, None, lambda c: c.replace(b"\n", b"\r")),
    "a tab": Kind("plain-ascii", 2, 1, lambda c: c.replace(b"0.5 ", b"0.5\t", 1)),
    "a letter beyond ASCII": value("plain-ascii", "optimizer", "SGÐ"),
    "a zero byte": Kind("plain-ascii", 7, "valAcc", field(7, "valAcc", b"1\x000")),
    "a lone carriage return": value("plain-ascii", "dataset", "CIFAR\r100"),
    "no last newline": Kind("final-newline", 81, None, lambda c: c[:-1]),
    "cut in a line": Kind("field-count", 81, None, lambda c: c[:-80]),
    "another name in the header": value("header", "valAcc", "valAccuracy", 1),
    "a short header": Kind("header", 1, "FCFilters", line(1, lambda t: t[:-10])),
    "a long header": Kind("header", 1, 29, line(1, lambda t: t + b" more")),
    "no header": Kind("header", 1, "epochs", without_line(1)),
    "a row without its spaces": Kind("field-count", 9, None, line(9, lambda t: t.rstrip())),
    "metadata with a space more": Kind("field-count", 2, None, line(2, lambda t: t + b" ")),
    "an empty line at the end": Kind("field-count", 82, None, lambda c: c + b"\n"),
    "a missing row": Kind("epoch-grid", 4, "epochs", without_line(4)),
    "a row twice": Kind("epoch-grid", 4, "epochs", line(3, lambda t: t + b"\n" + t)),
    "an epoch as a whole number": value("epoch-grid", "epochs", "5", 11),
    "metadata below line 2": value("metadata-line", "batch_size", "49", 30),
    "NaN in capitals": value("curve-text", "trainLoss", "NaN", 3),
    "a digit too many": value("curve-text", "valLoss", "1.50", 81),
    "a decimal comma": value("curve-text", "valAcc", "9,68", 40),
    "a seed as pandas guesses it": value("metadata-text", "random_seed", "25.0"),
    "truth in small letters": value("metadata-text", "train_GPU", "true"),
    "a list with two hyphens": value("metadata-text", "convKernels", "8--4-3"),
    "a list in brackets": value("metadata-text", "FCFilters", "[200,50,100]"),
    "an ID of no month": value("id", "ID", "2021_13_15_12_18_09_100387"),
    "an ID with dashes": value("id", "ID", "2021-02-15-12-18-09-100387"),
    "another ID than the file's": value("id-file-name", "ID", "2021_02_15_12_18_09_100388"),
    "an ID that leaves the folder": value("id", "ID", "../../../etc/passwd"),
    "a seed of 33 bits": value("seed-range", "random_seed", "4294967296"),
    "another dataset": value("dataset-folder", "dataset", "SVHN"),
    "another optimizer": value("loss-and-optimizer", "optimizer", "Adam"),
    "another loss": value("loss-and-optimizer", "loss_fn", "NLLLoss"),
    "a stride too few": value("list-length", "convStrides", "2-1"),
    "pooling without a kernel": value("list-length", "poolKernels", ""),
    "a dropout layer too many": value("list-length", "FC_dropout_layers", "1-0-0"),
    "no convolution": value("list-length", "convKernels", ""),
    "a block of 8": value("block", "layer_types", "7-3-8"),
    "a kernel wider than its input": value("conv-kernel", "convKernels", "33-4-3"),
    "a kernel of 0": value("conv-kernel", "convKernels", "8-4-0"),
    "a stride beyond its kernel": value("conv-stride", "convStrides", "2-5-1"),
    "a padding of 6": value("conv-padding", "convPaddings", "2-0-6"),
    "a pooling kernel wider than its input": value("pool-kernel", "poolKernels", "16-2"),
    "a pooling stride beyond its kernel": value("pool-stride", "poolStrides", "2-3"),
    "a pooling padding beyond half": value("pool-padding", "poolPaddings", "1-2"),
    "an output that vanishes": value("output-width", "convKernels", "8-9-3"),
    "fewer filters than channels": value("filters", "convFilters", "2-80-160"),
    "401 filters": value("filters", "convFilters", "40-401-160"),
    "fewer last filters than classes": value("last-filters", "convFilters", "40-80-99"),
    "no rate for dropout": value("dropout-rate", "dropout_rate", "0"),
    "a dropout rate of 0.8": value("dropout-rate", "dropout_rate", "0.8"),
    "a rate without dropout": Kind(
        "dropout-rate", 2, "dropout_rate", field(2, "layer_types", "3-3-1")
    ),
    "six fully connected layers": Kind(
        "fc-layers",
        2,
        "FCFilters",
        several(field(2, "FCFilters", "9-9-9-9-9-100"), field(2, "FC_dropout_layers", "1-0-0-0-0")),
    ),
    "401 units": value("fc-units", "FCFilters", "401-50-100"),
    "no units": value("fc-units", "FCFilters", "200-0-100"),
    "99 classes": value("classes", "FCFilters", "200-50-99"),
    "a rate of 0.05 in the classification": value("fc-dropout-rate", "FC_dropout_rate", "0.05"),
    "dropout without a rate": Kind(
        "fc-dropout-layers", 2, "FC_dropout_layers", field(2, "FC_dropout_rate", "0")
    ),
    "a dropout layer of 2": value("fc-dropout-layers", "FC_dropout_layers", "2-0"),
    "a learning rate of 2": value("learning-rate", "learning_rate", "2.0"),
    "no learning rate": value("learning-rate", "learning_rate", "0"),
    "a momentum below its range": value("momentum", "momentum", "1e-07"),
    "a dampening of 0.0": value("dampening", "dampening", "0.0"),
    "a weight decay of 5": value("weight-decay", "weight_decay", "5.0"),
    "a batch of 24": value("batch-size", "batch_size", "24"),
    "a batch of 251": value("batch-size", "batch_size", "251"),
    "an odd number of batches": value("batches", "batch_size", "27"),
    "79 half epochs": Kind("half-epochs", 81, None, without_line(81)),
    "the header alone": Kind("half-epochs", 2, None, lambda c: c.split(b"\n")[0] + b"\n"),
    "81 half epochs": Kind(
        "half-epochs",
        82,
        None,
        lambda c: c + b"40.5 1.0 2.0 1.0004001600640255" + b" " * 24 + b"\n",
    ),
    "an accuracy above 100": value("accuracy-range", "valAcc", "101.0", 6),
    "an accuracy of nan": value("accuracy-range", "valAcc", "nan", 6),
    "no accuracy": value("accuracy-range", "valAcc", "", 81),
    "an accuracy between two counts": value("accuracy-step", "valAcc", "12.345", 50),
    "a negative loss": value("loss-range", "trainLoss", "-0.5", 20),
    "a loss beyond 32 bits": value("loss-range", "valLoss", "1e+39", 20),
    "a loss too small for the accuracy": value("loss-accuracy", "valLoss", "0.001", 10),
    "a loss that recovers from NaN": Kind(
        "nan-stays", 41, "trainLoss", field(40, "trainLoss", "nan")
    ),
    "an accuracy that moves after NaN": Kind(
        "nan-accuracy",
        3,
        "valAcc",
        several(everywhere("trainLoss", ["nan"]), everywhere("valLoss", ["nan"])),
    ),
    "an infinite loss": Kind("non-finite", 9, None, field(9, "trainLoss", "inf")),
    "a first loss far above": value("first-loss", "trainLoss", "123456.0"),
    "a network that never learned": Kind(
        "never-learned",
        None,
        None,
        several(everywhere("valAcc", ["1.0004001600640255"]), everywhere("valLoss", ["4.6"])),
    ),
}
"""By what was done to `GOOD`."""


@dataclass(frozen=True)
class FolderKind:
    """Damage to a folder, and where an audit must find it."""

    rule: str
    path: str
    """Relative to the folder."""
    make: Callable[[Path], object]
    """Makes the folder, damage included."""
    line: int | None = None
    column: int | None = None
    given: str = ""
    """What of the folder is audited."""


def _published(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_published(folder)
        damage(folder)

    return make


def _results(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_results(folder)
        damage(folder)

    return make


def _rewrite(path: Path, damage: Damage) -> None:
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before


def _huge(folder: Path) -> None:
    os.truncate(folder / PLACE, MAX_BYTES + 1)


def _also(**changes: object) -> Callable[[Path], object]:
    """One table more, of `PUBLISHED` with changes; its ID another unless it is told."""
    spec = replace(PUBLISHED, **{"id": "2021_03_01_00_00_00_000000", **changes})

    def make(folder: Path) -> None:
        write(folder, Table(spec, learning(replace(spec, random_seed=77), CIFAR)))

    return _published(make)


def _ours(folder: Path, change: Callable[[NetworkSpec], NetworkSpec]) -> None:
    """The first of nnlc's tables, of no campaign that is known here, changed."""
    first, *rest = others(3, replace(PUBLISHED, torch_set_deterministic=True))
    for spec in (change(first), *rest):
        write(folder, table_of(spec))


def _short(folder: Path) -> None:
    _ours(folder, lambda spec: spec)
    _rewrite(folder / PLACE.parent / f"{PUBLISHED.id[:-6]}000001.txt", without_line(81))


def svhn(folder: Path, sizes: Sequence[int]) -> None:
    first = replace(PUBLISHED, dataset="SVHN", fc_filters=(200, 50, 10))
    for spec, size in zip(others(len(sizes), first), sizes, strict=True):
        write(folder, table_of(replace(spec, batch_size=size), SVHN))


SLIP_SIZES = (36, 43, 51, 56, 70, 87, 105, 113, 130, 147, 164, 186)
"""Even numbers of batches of CIFAR-100's training images, and a partial one in validation."""


def at_chance(
    folder: Path,
    part: float,
    *,
    published: bool,
    sizes: Sequence[int] = SLIP_SIZES,
    noise: float = 1e-4,
) -> None:
    """Networks that never learn, with this part of the published slip."""
    kind = replace(PUBLISHED, torch_set_deterministic=not published)
    for spec, size in zip(others(len(sizes), kind), sizes, strict=True):
        sized = replace(spec, batch_size=size)
        write(folder, Table(sized, never_learning(sized, CIFAR, part, noise)))


def first_table(folder: Path) -> Path:
    return min(folder.glob("F-MNIST-sample_models/*.txt"))


def _another_seed(folder: Path) -> None:
    path = first_table(folder)
    spec = replace(parse_table(path.read_bytes()).spec, random_seed=1)
    _rewrite(path, field(2, "random_seed", str(spec.random_seed)))


def _beyond(folder: Path) -> None:
    path = first_table(folder)
    id_ = path.stem[:-6] + "999999"
    content = field(2, "ID", id_)(path.read_bytes())
    path.with_name(f"{id_}.txt").write_bytes(content)


def _fail(folder: Path) -> None:
    path = first_table(folder)
    path.unlink()
    Journal(folder / "journal").write("failure", id=path.stem, reason="loss nan\n")


def _apart(folder: Path) -> None:
    """Tables of the article's campaign in a folder without campaign.toml, one changed."""
    campaign = load_campaign("paper")
    networks = campaign.networks()
    for network in (next(networks) for _ in range(3)):
        write(folder, table_of(network.spec, network.images))
    path = min(folder.glob("CIFAR-100_models/*.txt"))
    _rewrite(path, field(2, "learning_rate", "0.125"))


def _misplace(folder: Path) -> None:
    (folder / PLACE).rename(folder / PLACE.parent / "table (1).txt")


def _link(folder: Path) -> None:
    (folder / PLACE.parent / "2021_02_15_12_18_09_100388.txt").symlink_to(PLACE.name)


_BAD_CAMPAIGN = "results_format = 1\nname = 7\n"
_FIRST_OTHER = f"CIFAR-100_models/{PUBLISHED.id[:-6]}000001.txt"
_ADDED = "CIFAR-100_models/2021_03_01_00_00_00_000000.txt"
_OURS = "F-MNIST-sample_models/2026_01_31_12_00_00_00000"

FOLDER_KINDS = {
    "a folder without tables": FolderKind("no-tables", "", lambda f: (f / "x").mkdir(parents=True)),
    "a link to nowhere, given": FolderKind(
        "unreadable", "a.txt", lambda f: (f / "a.txt").symlink_to("gone"), given="a.txt"
    ),
    "a link among tables": FolderKind(
        "symbolic-link",
        "CIFAR-100_models/2021_02_15_12_18_09_100388.txt",
        _published(_link),
    ),
    "a pipe, given": FolderKind(
        "special-file", "pipe", lambda f: os.mkfifo(f / "pipe"), given="pipe"
    ),
    "a pipe in a table's place": FolderKind(
        "special-file", _ADDED, _published(lambda f: os.mkfifo(f / _ADDED))
    ),
    "a table of another name": FolderKind(
        "misnamed-table", "CIFAR-100_models/table (1).txt", _published(_misplace)
    ),
    "a hidden file": FolderKind(
        "hidden-file",
        "CIFAR-100_models/.x",
        _published(lambda f: (f / PLACE).with_name(".x").touch()),
    ),
    "a script beside the tables": FolderKind(
        "foreign-file", "DataLoader.py", _published(lambda f: (f / "DataLoader.py").touch())
    ),
    "a file of 64 MiB": FolderKind("too-large", str(PLACE), _published(_huge)),
    "a renamed table": FolderKind(
        "id-file-name",
        _ADDED,
        _published(lambda f: (f / PLACE).rename(f / _ADDED)),
        line=2,
        column=5,
    ),
    "a renamed folder": FolderKind(
        "dataset-folder",
        f"SVHN_models/{PUBLISHED.id}.txt",
        _published(lambda f: (f / PLACE.parent).rename(f / "SVHN_models")),
        line=2,
        column=9,
    ),
    "unknown images": FolderKind(
        "unknown-dataset",
        f"tables/{PUBLISHED.id}.txt",
        lambda f: (
            (f / "tables").mkdir(parents=True),
            (f / "tables" / PLACE.name).write_bytes(field(2, "dataset", "Mine")(GOOD)),
        ),
        line=2,
        column=9,
    ),
    "a kernel that no reader takes": FolderKind(
        "strict-reading",
        f"tables/{PUBLISHED.id}.txt",
        lambda f: (
            (f / "tables").mkdir(parents=True),
            (f / "tables" / PLACE.name).write_bytes(
                several(field(2, "dataset", "Mine"), field(2, "convKernels", "3000000000-4-3"))(
                    GOOD
                )
            ),
        ),
        line=2,
        column=19,
    ),
    "two networks of one ID": FolderKind(
        "duplicate-id",
        f"z/{_ADDED}",
        lambda f: (_also()(f), _also(momentum=0.5)(f / "z")),
        line=2,
        column=5,
    ),
    "a table in two folders": FolderKind(
        "duplicate-table",
        f"z/{PLACE}",
        lambda f: (write_published(f), write_published(f / "z")),
        line=2,
    ),
    "a network trained twice": FolderKind(
        "duplicate-table",
        f"z/{PLACE}",
        lambda f: (
            write_published(f),
            write(f / "z", Table(PUBLISHED, learning(others(1)[0], CIFAR))),
        ),
        line=2,
    ),
    "a seed twice": FolderKind("duplicate-seed", _ADDED, _also(momentum=0.5), line=2),
    "a network twice": FolderKind("duplicate-network", _ADDED, _also(random_seed=9), line=2),
    "a curve twice": FolderKind(
        "duplicate-curve",
        _ADDED,
        _published(
            lambda f: write(
                f,
                Table(
                    replace(PUBLISHED, id=_ADDED[-30:-4], random_seed=9, momentum=0.5),
                    learning(PUBLISHED, CIFAR),
                ),
            )
        ),
        line=2,
    ),
    "a short table among ours": FolderKind("mixed-lengths", "CIFAR-100_models", _short),
    "ours among published ones": FolderKind(
        "mixed-determinism",
        "CIFAR-100_models",
        _also(torch_set_deterministic=True, random_seed=9, momentum=0.5),
    ),
    "devices mixed": FolderKind("mixed-devices", "CIFAR-100_models", _also(train_gpu=False)),
    "published tables": FolderKind("not-deterministic", "CIFAR-100_models", write_published),
    "batches of the printed number of images": FolderKind(
        "svhn-images", "SVHN_models", lambda f: svhn(f, (26, 28, 33))
    ),
    "batches of no number of images": FolderKind(
        "svhn-impossible", "SVHN_models", lambda f: svhn(f, (26, 28, 33, 30))
    ),
    "published losses": FolderKind(
        "slip-known", "CIFAR-100_models", lambda f: at_chance(f, 1, published=True)
    ),
    "published losses, corrected": FolderKind(
        "slip-absent", "CIFAR-100_models", lambda f: at_chance(f, 0, published=True)
    ),
    "our losses with the slip": FolderKind(
        "slip-ours", "CIFAR-100_models", lambda f: at_chance(f, 1, published=False)
    ),
    "losses divided by something else": FolderKind(
        "slip-neither", "CIFAR-100_models", lambda f: at_chance(f, 3, published=True)
    ),
    "a broken campaign file": FolderKind(
        "campaign-file",
        "campaign.toml",
        _results(lambda f: (f / "campaign.toml").write_text(_BAD_CAMPAIGN)),
    ),
    "a linked campaign file": FolderKind(
        "symbolic-link",
        "campaign.toml",
        _results(
            lambda f: (
                (f / "campaign.toml").rename(f.parent / "elsewhere.toml"),
                (f / "campaign.toml").symlink_to(f.parent / "elsewhere.toml"),
            )
        ),
    ),
    "another seed": FolderKind(
        "seed-specification", f"{_OURS}0.txt", _results(_another_seed), line=2, column=6
    ),
    "a table too many": FolderKind(
        "beyond-campaign", f"{_OURS[:-5]}999999.txt", _results(_beyond), line=2, column=5
    ),
    "a table too few": FolderKind("missing-table", "", _results(lambda f: first_table(f).unlink())),
    "a failed network": FolderKind("failed-network", "", _results(_fail)),
    "one of three is not as drawn": FolderKind(
        "other-space",
        "CIFAR-100_models/2022_01_05_00_00_00_000000.txt",
        _apart,
        line=2,
        column=13,
    ),
    "a length of its own in a results folder": FolderKind(
        "half-epochs",
        f"{_OURS}0.txt",
        _results(lambda f: _rewrite(first_table(f), without_line(9))),
        line=9,
    ),
}
"""By what was done to a folder."""
