"""Rules on the tables of one folder together, and of all folders."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.divisor import Divisor
from nnlc.auditing.findings import Findings, shown
from nnlc.networks.image_sets import makes_even_batches
from nnlc.wording import counted

_NOT_DRAWN = {"id", "random_seed", "train_gpu", "torch_set_deterministic"}


@dataclass(frozen=True, slots=True)
class SvhnImages:
    """Numbers of SVHN's training images that the batch sizes of a folder allow."""

    path: Path
    tables: int
    against: dict[int, int]
    """Number of tables with an odd number of batches, by number of training images."""

    @property
    def possible(self) -> list[int]:
        """Return the numbers of training images that all tables allow."""
        return [images for images, count in self.against.items() if not count]

    def to_json(self) -> dict[str, Any]:
        """Return the values by name; the keys of `against` become text."""
        against = {str(images): count for images, count in self.against.items()}
        return {
            "path": shown(self.path),
            "tables": self.tables,
            "possible": self.possible,
            "against": against,
        }


def check_mixture(folder: Path, tables: Sequence[AuditedTable]) -> Findings:
    """Check that a folder's tables agree in length, determinism and device."""
    findings = Findings(folder)
    free = [table for table in tables if table.is_whole and table.standard.half_epochs is None]
    if lengths := _mixed(table.half_epochs for table in free):
        findings.add("mixed-lengths", f"tables have {lengths} rows", "one number")
    flags = [table.values.get("torch_set_deterministic") for table in tables]
    if mixture := _mixed(flags):
        findings.add("mixed-determinism", f"torch_set_deterministic is {mixture}", "one of them")
    elif flags[:1] == [False]:
        findings.add(
            "not-deterministic",
            "torch_set_deterministic is False, as in published tables, in "
            f"{counted(len(tables), 'table')}: no curve can be made again bit by bit",
        )
    if mixture := _mixed(table.values.get("train_gpu") for table in tables):
        findings.add("mixed-devices", f"train_GPU is {mixture}")
    return findings


def _mixed(values: Iterable[Any]) -> str:
    """Return how often each value occurs, if there are several; None is not counted."""
    counts = Counter(value for value in values if value is not None)
    if len(counts) < 2:
        return ""
    return " and ".join(
        f"{value} ({counted(count, 'table')})" for value, count in counts.most_common()
    )


def count_svhn_images(folder: Path, tables: Sequence[AuditedTable]) -> SvhnImages | None:
    """Return which numbers of training images the batch sizes allow; None without SVHN."""
    chosen = [t for t in tables if t.dataset == "SVHN" and t.standard.check]
    readings = next((t.standard.images("SVHN") for t in chosen), ())
    sizes = [t.values["batch_size"] for t in chosen if t.is_whole]
    if len(readings) < 2 or not sizes:
        return None
    against = {
        images.train_images: sum(not makes_even_batches(b, images.train_images) for b in sizes)
        for images in readings
    }
    return SvhnImages(folder, len(sizes), against)


def tell_svhn_images(svhn: SvhnImages, findings: Findings) -> None:
    """Add a finding on the numbers of training images that the batch sizes allow."""
    counts = ", ".join(f"{count} exclude {images}" for images, count in svhn.against.items())
    found = f"training images by the batch sizes of {counted(svhn.tables, 'table')}: {counts}"
    possible = " or ".join(map(str, svhn.possible))
    if possible:
        findings.add("svhn-images", f"{found}: possible is {possible}")
    else:
        findings.add("svhn-impossible", found, "one number that no table excludes")


def tell_divisor(divisor: Divisor, findings: Findings) -> None:
    """Add a finding on an estimated divisor, if its verdict needs one."""
    estimate, error = divisor.estimate, divisor.standard_error
    if estimate is None or error is None:
        return
    kind = "published" if divisor.published else "nnlc's"
    found = (
        f"{counted(divisor.networks, 'never-learning network')} of {kind} tables: valLoss is too "
        f"small by {estimate:.3f} ± {error:.3f} times the published slip"
    )
    match divisor.verdict, divisor.published:
        case "slip", True:
            findings.add("slip-known", f"{found}; val_loss='corrected' undoes it")
        case "true mean", True:
            right = "1, or leave val_loss as published for these tables"
            findings.add("slip-absent", found, right)
        case "slip", False:
            findings.add("slip-ours", found, "0")
        case "neither", _:
            findings.add("slip-neither", found, "0 or 1")


def check_duplicates(tables: Sequence[AuditedTable]) -> None:
    """Check for duplicates: network, seed in a dataset, specification, curve."""
    singles = _check_ids(tables)
    for rule, key, found in (
        ("duplicate-seed", _seed, "the same dataset and random_seed as"),
        ("duplicate-network", _network, "the same specification, but for ID and seed, as"),
        ("duplicate-curve", _curve, "the same curve as"),
    ):
        for first, others in _groups(singles, key):
            for table in others:
                table.findings.add(rule, f"{found} {shown(first.path)}", line=2)


def _check_ids(tables: Sequence[AuditedTable]) -> list[AuditedTable]:
    """Check for duplicate IDs, and return the first table of each ID."""
    repeated: set[int] = set()
    for first, others in _groups(tables, lambda table: table.id):
        repeated.update(map(id, others))
        for table in others:
            place = shown(first.path)
            if table.values != first.values:
                found = f"another network of this ID is in {place}"
                table.findings.add("duplicate-id", found, "one network per ID", line=2, column=5)
                continue
            is_same = _bits(table) == _bits(first)
            found = "the same table as" if is_same else "the same network, another curve than"
            table.findings.add("duplicate-table", f"{found} {place}", "one of the two", line=2)
    return [table for table in tables if id(table) not in repeated]


def _groups(
    tables: Iterable[AuditedTable], key: Callable[[AuditedTable], Hashable | None]
) -> list[tuple[AuditedTable, list[AuditedTable]]]:
    """Return the first of the tables that share a key, and the others."""
    found: defaultdict[Hashable, list[AuditedTable]] = defaultdict(list)
    for table in tables:
        value = key(table)
        if value is not None:
            found[value].append(table)
    return [(group[0], group[1:]) for group in found.values() if group[1:]]


def _seed(table: AuditedTable) -> Hashable | None:
    seed = table.values.get("random_seed")
    return None if seed is None else (table.dataset, seed)


def _network(table: AuditedTable) -> Hashable | None:
    """Return the layout and all values that were drawn; None for a damaged table."""
    if not table.is_whole:
        return None
    drawn = (value for field, value in table.values.items() if field not in _NOT_DRAWN)
    return table.layout, *drawn


def _curve(table: AuditedTable) -> Hashable | None:
    """Return a curve's bits; None for a curve of NaN, which several networks may have."""
    if table.curve is None or not np.isfinite(table.curve[:, 0]).any():
        return None
    return _bits(table)


def _bits(table: AuditedTable) -> bytes | None:
    return None if table.curve is None else table.curve.tobytes()
