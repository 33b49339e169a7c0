"""Every kind of damage to a folder of tables, and where an audit must find it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import own_family
from audit_samples import (
    CIFAR,
    GOOD,
    PLACE,
    PUBLISHED,
    at_chance,
    learning,
    others,
    svhn,
    table_of,
    write,
    write_published,
    write_results,
)
from damaged_tables import Damage, field, several, without_line

from nnlc.campaign.campaign import load_campaign
from nnlc.families.article import NetworkSpec
from nnlc.results.journal import Journal
from nnlc.tables import Table, parse_table
from nnlc.tables.table import MAX_BYTES


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


def _two_arithmetics(folder: Path) -> None:
    journal = Journal(folder / "journal")
    for path, arithmetic in zip(sorted(folder.glob(f"{_OURS}*.txt")), ("1", "7"), strict=False):
        versions = {"arithmetic": arithmetic}
        journal.write("finish", id=path.stem, versions=versions)


def _newer_journal(folder: Path) -> None:
    first_table(folder).unlink()
    Journal(folder / "journal").write("end", format=99, nnlc="9.0.0")


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


def _too_wide(folder: Path) -> None:
    own_family.write_results(folder)
    path = own_family.tables_of(folder)[0]
    table = parse_table(path.read_bytes())
    path.write_bytes(replace(table, spec=own_family.changed(table.spec, widths=(7,))).to_bytes())


def _without_code(folder: Path) -> None:
    own_family.write_results(folder)
    own_family.without_code(folder)


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
    "a value that its family refuses": FolderKind(
        "family-rule",
        "F-MNIST-sample_models/2026_01_31_12_00_00_000000.txt",
        _too_wide,
        line=2,
        column=18,
    ),
    "a family whose code is gone": FolderKind("family-code", "", _without_code),
    "a journal of a newer nnlc": FolderKind("newer-journal", "", _results(_newer_journal)),
    "tables of two arithmetics": FolderKind("mixed-arithmetic", "", _results(_two_arithmetics)),
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
