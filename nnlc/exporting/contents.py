"""What an export holds, between the tables that it came from and the files that it is in."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnlc.errors import NnlcError, TableError
from nnlc.exporting.schema import NETWORKS, NUMBERS, SPECIFICATION, VALUES
from nnlc.networks import NetworkSpec
from nnlc.tables import Row, Table
from nnlc.tables.table_folders import PART_NAMES

if TYPE_CHECKING:
    from nnlc.collection.sources import Source

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = dict[str, list[Any]]
"""By the name of a part: a value for each network; lists are tuples of whole numbers."""

MOST_TABLES = 1_000_000
MOST_HALF_EPOCHS = 20_000_000
"""Over all tables, 40 times as many as the article's: they need 1 GB of memory."""
MOST_ENTRIES = 10_000
"""Of a list."""
LONGEST_TEXT = 100_000
_LONGEST_NAME_BYTES = 255
"""That a file system takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Many tables."""

    networks: Records
    """All but the derived parts of `NETWORKS`."""
    values: Floats
    """Half epochs × `VALUES`, network after network."""
    blanks: Flags
    """Of the same shape: which fields are blank; their values are NaN."""

    def __len__(self) -> int:
        return len(self.networks["id"])

    @property
    def layout(self) -> "Layout":
        """Which row belongs to which network."""
        return Layout(self.networks["id"], self.networks["half_epochs"])

    def column(self, name: str) -> list[Any]:
        """The values of a part of `NETWORKS`, a derived one too."""
        if name == "depth":
            return [len(kernels) for kernels in self.networks["conv_kernels"]]
        if name == "published":
            return [not flag for flag in self.networks["torch_set_deterministic"]]
        return self.networks[name]

    def paths(self) -> list[str]:
        """Where each table belongs, below a folder."""
        pairs = zip(self.networks["folder"], self.networks["id"], strict=True)
        return [f"{folder}/{id_}.txt" for folder, id_ in pairs]

    @property
    def digest(self) -> str:
        """The sha256 of what `sha256sum` prints of the tables, sorted: the same in each format."""
        lines = sorted(zip(self.paths(), self.networks["sha256"], strict=True))
        return hashlib.sha256("".join(f"{s}  {p}\n" for p, s in lines).encode()).hexdigest()


class Layout:
    """Which rows the curves have: network after network, half epoch after half epoch."""

    def __init__(self, ids: Sequence[str], half_epochs: Sequence[int]) -> None:
        self._ids = np.array(ids, dtype=object)
        lengths = np.array(half_epochs, dtype=np.int64)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self.rows = int(lengths.sum())

    def owners(self, start: int, end: int) -> NDArray[np.int64]:
        """The position among the networks that each of these rows belongs to."""
        return np.searchsorted(self._ends, np.arange(start, end), side="right")

    def ids(self, start: int, end: int) -> NDArray[np.object_]:
        """The network of each of these rows."""
        found: NDArray[np.object_] = self._ids[self.owners(start, end)]
        return found

    def half_epochs(self, start: int, end: int) -> NDArray[np.int64]:
        """The number of the half epoch of each of these rows."""
        found: NDArray[np.int64] = np.arange(start, end) - self._starts[self.owners(start, end)] + 1
        return found

    def check(self, where: Path, name: str, start: int, found: Sequence[Any]) -> None:
        """See that rows of a file are those that follow.

        Args:
            where: the file.
            name: "id" or "half_epoch".
            start: the number of rows before these.
            found: what they say.

        Raises:
            NnlcError: there are too many, or one is another.
        """
        end = start + len(found)
        if end > self.rows:
            raise NnlcError(
                f"{where}: there are more rows than the {self.rows} half epochs of the networks"
            )
        expected = (self.ids if name == "id" else self.half_epochs)(start, end)
        differing = np.flatnonzero(np.asarray(found, dtype=expected.dtype) != expected)
        if len(differing):
            at = int(differing[0])
            raise NnlcError(
                f"{where}, row {start + at + 1}, column {name}: {str(found[at])[:80]!r} where "
                f"{str(expected[at])!r} follows; leave rows and their order as they were exported"
            )

    def check_end(self, where: Path, rows: int) -> None:
        """See that no row is missing.

        Raises:
            NnlcError: the file ends too early.
        """
        if rows != self.rows:
            raise NnlcError(
                f"{where}: ends after {rows} of {self.rows} rows, the half epochs of the networks"
            )


def contents_of(sources: Sequence["Source"]) -> Contents:
    """What tables say, in an order that depends on nothing but them.

    Raises:
        TableError: one is too large, or has changed since it was read.
        NnlcError: they are too many.
    """
    sources = sorted(sources, key=lambda one: (one.folder, one.id))
    rows = sum(len(one.curve) for one in sources)
    if rows > MOST_HALF_EPOCHS or len(sources) > MOST_TABLES:
        raise NnlcError(
            f"{len(sources)} tables with {rows} half epochs are more than one export holds "
            f"({MOST_TABLES} and {MOST_HALF_EPOCHS}); export each dataset by itself"
        )
    for one in sources:
        _check_size(one)
    networks: Records = {
        part.name: [one.metadata[i] for one in sources] for i, part in enumerate(SPECIFICATION)
    }
    networks["half_epochs"] = [len(one.curve) for one in sources]
    networks["folder"] = [one.folder for one in sources]
    networks["sha256"] = [one.sha256 for one in sources]
    parameters = [networks[name] for name in NUMBERS]
    networks["float_zeros"] = [_float_zeros(values) for values in zip(*parameters, strict=True)]
    empty = np.empty((0, len(VALUES)))
    values = np.concatenate([empty, *(one.curve for one in sources)])
    blanks = np.concatenate([empty.astype(bool), *map(_blanks, sources)])
    return Contents(networks, values, blanks)


def _check_size(source: "Source") -> None:
    for part, value in zip(SPECIFICATION, source.metadata, strict=True):
        most = {"text": LONGEST_TEXT, "integers": MOST_ENTRIES}.get(part.kind)
        if most is not None and len(value) > most:
            raise TableError(f"{part.table_column} is too long for an export", path=source.path)


def _float_zeros(values: Sequence[float]) -> str:
    zeros = zip(NUMBERS, values, strict=True)
    return "-".join(name for name, value in zeros if isinstance(value, float) and _is_zero(value))


def _is_zero(value: float) -> bool:
    """Whether it is 0 and not -0.0, which only a float can be."""
    return value == 0 and math.copysign(1, value) > 0


def _blanks(source: "Source") -> Flags:
    """Which fields of a curve are blank: a reading has NaN for these too."""
    curve = source.curve
    if not np.isnan(curve).any():
        return np.zeros(curve.shape, dtype=bool)
    lines = source.content().decode("ascii").split("\n")[1 : len(curve) + 1]
    return np.array([[not text for text in line.split(" ")[1:4]] for line in lines])


def tables_of(contents: Contents, where: Path) -> Iterator[tuple[str, bytes]]:
    """Each table's place below a folder, and its bytes, which have the recorded sha256.

    Args:
        contents: as they were read; nothing of them is trusted.
        where: what errors name.

    Raises:
        NnlcError: a name that is none, a network that can't be, or a table that is not the one
            that was exported.
    """
    ends = np.cumsum(contents.networks["half_epochs"]).tolist()
    _check_names(contents, where)
    for i, (path, digest) in enumerate(
        zip(contents.paths(), contents.networks["sha256"], strict=True)
    ):
        start, end = ends[i] - contents.networks["half_epochs"][i], ends[i]
        try:
            table = Table(_specification(contents, i), _rows(contents, start, end))
            content = table.to_bytes()
        except (NnlcError, ValueError) as problem:
            raise NnlcError(f"{where}: table {path!r}: {str(problem)[:200]}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise NnlcError(
                f"{where}: table {path!r} is no longer the one that was exported (its sha256 "
                "differs): the export was damaged or edited; export the tables again"
            )
        yield path, content


def _check_names(contents: Contents, where: Path) -> None:
    seen: set[str] = set()
    for folder, id_ in zip(contents.networks["folder"], contents.networks["id"], strict=True):
        if not is_folder_name(folder):
            raise NnlcError(
                f"{where}, network {id_[:80]!r}, column folder: {folder[:80]!r} is no name of a "
                "folder of tables"
            )
        if id_ in seen:
            raise NnlcError(f"{where}: network {id_[:80]!r} is there twice")
        seen.add(id_)


def is_folder_name(name: str) -> bool:
    """Whether a folder of tables can have this name: a plain one, which leads nowhere else."""
    return (
        name.isprintable()
        and "/" not in name
        and not name.startswith(".")
        and name not in PART_NAMES
        and 0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME_BYTES
    )


def _specification(contents: Contents, i: int) -> NetworkSpec:
    values = {part.name: contents.networks[part.name][i] for part in SPECIFICATION}
    float_zeros = contents.networks["float_zeros"][i].split("-")
    for name in NUMBERS:
        if _is_zero(values[name]) and name not in float_zeros:
            values[name] = 0
    return NetworkSpec(**values)


def _rows(contents: Contents, start: int, end: int) -> tuple[Row, ...]:
    values = contents.values[start:end].tolist()
    blanks = contents.blanks[start:end]
    if blanks.any():
        for row, column in np.argwhere(blanks).tolist():
            values[row][column] = None
    return tuple(Row(*row) for row in values)


def check_records(networks: Records, where: Path) -> None:
    """See that records of networks that were read are of one length, and not endless.

    Raises:
        NnlcError: they are not.
    """
    for name in needed():
        if len(networks[name]) != len(networks["id"]):
            raise NnlcError(
                f"{where}, column {name}: {len(networks[name])} values for {len(networks['id'])} "
                "networks"
            )
    lengths = networks["half_epochs"]
    if any(length < 1 for length in lengths) or sum(lengths) > MOST_HALF_EPOCHS:
        raise NnlcError(
            f"{where}, column half_epochs: each is at least 1, and together they are at most "
            f"{MOST_HALF_EPOCHS}"
        )


def needed() -> Iterable[str]:
    """The parts of a network's record that tables are written from."""
    return [part.name for part in NETWORKS if not part.derived]
