"""The tables of a folder as they come to stand: each is read once, and again if it changes."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from nnlc.errors import ResultsError, TableError
from nnlc.networks.spec import ID_PATTERN
from nnlc.system.files import names_in, why_unread
from nnlc.tables.cache import Stamp
from nnlc.tables.table_folders import TableFiles
from nnlc.tables.table_reading import Reading, read_files

_ENDING = ".txt"


class Shelf:
    """What stands in one folder.

    Args:
        folder: of tables; it may come to be later.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamps: dict[str, Stamp] = {}
        self._found: dict[str, Reading | TableError] = {}

    @property
    def found(self) -> Mapping[str, Reading | TableError]:
        """By ID: each table, or what is wrong with it."""
        return self._found

    def look(self) -> list[Reading]:
        """See what is new; the tables that were read.

        Raises:
            ResultsError: the folder can't be read.
        """
        stamps = self._look_at_names()
        for id_ in self._found.keys() - stamps.keys():
            del self._found[id_]
        changed = [id_ for id_, stamp in stamps.items() if self._stamps.get(id_) != stamp]
        self._stamps = stamps
        names = tuple(id_ + _ENDING for id_ in changed)
        files = TableFiles(self.folder, names, whole=len(names) == len(stamps))
        read = dict(zip(changed, self._read(files), strict=True)) if names else {}
        self._found |= read
        return [one for one in read.values() if isinstance(one, Reading)]

    def _read(self, files: TableFiles) -> Iterator[Reading | TableError]:
        readings = read_files(files, cache=True, follow_link=False)
        for name, one in zip(files.names, readings, strict=True):
            if isinstance(one, Reading) and one.id + _ENDING != name:
                yield TableError(
                    f"the table is of network {one.id}",
                    path=self.folder / name,
                    line=2,
                    column=5,
                    column_name="ID",
                )
            else:
                yield one

    def _look_at_names(self) -> dict[str, Stamp]:
        found = {}
        try:
            for name in names_in(self.folder):
                id_ = name.removesuffix(_ENDING)
                if id_ != name and ID_PATTERN.fullmatch(id_):
                    with suppress(FileNotFoundError):  # gone in between
                        found[id_] = Stamp.of((self.folder / name).lstat())
        except OSError as problem:
            raise ResultsError(f"{self.folder}: {why_unread(problem)}") from None
        return found
