"""Clashes and repetitions among the tables of several folders, and messages about them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from nnlc.collection.sources import Source
from nnlc.errors import NnlcError
from nnlc.tables.folder_names import table_name
from nnlc.wording import counted, first_few, some_of

_Key = TypeVar("_Key")
_NAMED = 20
"""Largest number of IDs that one line of a message names."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Two different tables with the same ID."""

    first: Source
    second: Source

    @property
    def is_same_network(self) -> bool:
        return _network(self.first) == _network(self.second)


@dataclass(frozen=True, slots=True)
class MergedTables:
    """Tables of several folders, merged into one set."""

    taken: dict[str, list[Source]] = field(default_factory=dict)
    """Tables by ID, in the order found; several where files have the same bytes."""
    clashes: list[Clash] = field(default_factory=list)

    @property
    def firsts(self) -> list[Source]:
        """Return the first table found for each ID."""
        return [sources[0] for sources in self.taken.values()]


def merge_sources(sources: Iterable[Source]) -> MergedTables:
    """Merge tables; of different tables with the same ID, keep the first."""
    merged = MergedTables()
    for source in sources:
        same_id = merged.taken.setdefault(source.id, [])
        if same_id and same_id[0].sha256 != source.sha256:
            merged.clashes.append(Clash(same_id[0], source))
        else:
            same_id.append(source)
    return merged


def refuse_clashes(merged: MergedTables) -> None:
    """Check that no tables clash.

    Raises:
        NnlcError: tables clash; the message says which, where, and what to do.
    """
    if not merged.clashes:
        return
    lines = ["nothing is written, because tables with the same ID differ:"]
    for is_same_network in (True, False):
        chosen = [one for one in merged.clashes if one.is_same_network == is_same_network]
        if not chosen:
            continue
        by_folders = _group(
            ((one.first.path.parent, one.second.path.parent), one.first.id) for one in chosen
        )
        for (first, second), ids in by_folders.items():
            lines.append(f"  in {first} and {second}: {some_of(ids, _NAMED)}")
        lines.append(_SAME_NETWORK if is_same_network else _OTHER_NETWORK)
    raise NnlcError("\n".join(lines))


_SAME_NETWORK = (
    "  These are the same networks with different curves: trained twice, on different devices or "
    "with different versions, or changed later. --on-clash skip keeps the tables of the folder "
    "named first."
)
_OTHER_NETWORK = (
    "  These are different networks: an ID is the campaign's stamp and a number, so campaigns with "
    "the same stamp have the same IDs. Keep such folders separate, or leave out the later tables "
    "with --on-clash skip; give your next campaign its own stamp."
)


def notes(merged: MergedTables) -> list[str]:
    """Return a line for each unusual property of the merged tables that is no error."""
    firsts = merged.firsts
    found = []
    if again := [id_ for id_, sources in merged.taken.items() if sources[1:]]:
        found.append(
            f"{counted(len(again), 'table')} found more than once with the same bytes, and taken "
            "once: " + some_of(again, _NAMED)
        )
    if left_out := [clash.second.id for clash in merged.clashes]:
        found.append(
            f"{counted(len(left_out), 'table')} left out, because a different table with the same "
            "ID came first: " + some_of(left_out, _NAMED)
        )
    by_specification = _group((_network(one), one.id) for one in firsts)
    if same := [" = ".join(first_few(ids)) for ids in by_specification.values() if ids[1:]]:
        found.append(f"the same network, seed included, under several IDs: {some_of(same, _NAMED)}")
    found += _mixed(((one.dataset, one.folder) for one in firsts), "dataset {} has folders {}")
    found += _mixed(((one.folder, one.dataset) for one in firsts), "folder {} has datasets {}")
    if renamed := [one.id for one in firsts if one.path.name != table_name(one.id)]:
        found.append(
            f"{counted(len(renamed), 'table')} named after the ID inside, because the file's name "
            "was different: " + some_of(renamed, _NAMED)
        )
    return found


def _network(source: Source) -> tuple[object, ...]:
    """Return own columns and values of a network, seed included, without its ID."""
    return tuple(column.name for column in source.layout.own), source.metadata[1:]


def _mixed(pairs: Iterable[tuple[str, str]], words: str) -> list[str]:
    return [
        words.format(key, ", ".join(sorted(values)))
        for key, values in sorted(_group(set(pairs)).items())
        if len(values) > 1
    ]


def _group(pairs: Iterable[tuple[_Key, str]]) -> dict[_Key, list[str]]:
    """Return the second members of pairs by the first."""
    found: defaultdict[_Key, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found
