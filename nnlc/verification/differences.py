"""Differences between two curves, specifications or circumstances, and their size."""

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlc.networks import Specification
from nnlc.results.history import Finish
from nnlc.system.environment import rule_of
from nnlc.tables import CURVE_COLUMNS, Row

_FIRST_METADATA_COLUMN = 2 + len(CURVE_COLUMNS)
_VERSIONS = ("torch", "cuda", "hip", "cudnn")
"""Versions that decide bits (`nnlc.training.device_info.bit_deciding`)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Field of a table with an unexpected value; both values are texts as in a table."""

    line: int
    """Number of the line in the file, from 1, as for the column."""
    column: int
    name: str
    found: str
    """Value in the table."""
    expected: str

    @property
    def absolute(self) -> float | None:
        """Return the distance between the values; None unless both are finite numbers."""
        pair = self._numbers()
        return abs(pair[0] - pair[1]) if pair else None

    @property
    def relative(self) -> float | None:
        """Return the distance over the larger absolute value; None if not finite or both are 0."""
        pair = self._numbers()
        if pair is None or not any(pair):
            return None
        # Halves, as the difference of two large numbers may overflow.
        return abs(pair[0] / 2 - pair[1] / 2) / max(abs(pair[0]), abs(pair[1])) * 2

    @property
    def last_places(self) -> int | None:
        """Return the number of steps from one value to the other through all 64-bit floats."""
        pair = self._numbers()
        return abs(_ordinal(pair[0]) - _ordinal(pair[1])) if pair else None

    def _numbers(self) -> tuple[float, float] | None:
        try:
            pair = float(self.found), float(self.expected)
        except ValueError:
            return None
        return pair if all(map(math.isfinite, pair)) else None


def row_differences(table: Sequence[Row], again: Sequence[Row]) -> Iterator[Difference]:
    """Yield the fields whose texts differ, in the first `len(again)` rows."""
    for line, (found, expected) in enumerate(zip(table, again, strict=False), 2):
        for number, column in enumerate(CURVE_COLUMNS, 2):
            texts = [column.write(getattr(row, column.field)) for row in (found, expected)]
            if texts[0] != texts[1]:
                yield Difference(line, number, column.name, *texts)


def spec_differences(table: Specification, drawn: Specification) -> Iterator[Difference]:
    """Yield the metadata fields in which a table differs from the campaign's network."""
    if table.layout != drawn.layout:
        yield Difference(2, _FIRST_METADATA_COLUMN, "family", *map(_family_of, (table, drawn)))
        return
    for number, column in enumerate(table.layout.columns, _FIRST_METADATA_COLUMN):
        texts = [column.write(getattr(spec, column.field)) for spec in (table, drawn)]
        if texts[0] != texts[1]:
            yield Difference(2, number, column.name, *texts)


def _family_of(spec: Specification) -> str:
    return str(getattr(spec, "family", "article"))


Circumstances = dict[str, str]
"""Circumstances of a training that a table's bits depend on, such as the device: text by name."""


def recorded_circumstances(finish: Finish) -> Circumstances:
    """Return the circumstances in which a table was made, as far as the journal recorded them."""
    multiprocessors = None if finish.multiprocessors is None else str(finish.multiprocessors)
    values = {
        "device": finish.device,
        "multiprocessors": multiprocessors,
        "instructions": finish.instructions,
        "architecture": finish.architecture,
        "arithmetic": finish.arithmetic,
        **{name: finish.versions.get(name) for name in _VERSIONS},
        **finish.settings,
    }
    return {name: word for name, word in values.items() if word is not None}


def present_circumstances(made: Mapping[str, Any]) -> Circumstances:
    """Return the circumstances of a running trainer from its message.

    Args:
        made: result of `nnlc.training.device_info.circumstances`.
    """
    device, versions, settings = made["device"], made["versions"], made["settings"]
    values = {
        "device": device["name"],
        "multiprocessors": device["multiprocessors"],
        "instructions": device["instructions"],
        "architecture": device.get("architecture"),
        **{name: versions.get(name) for name in _VERSIONS},
    }
    words = {name: str(value) for name, value in values.items() if value is not None}
    return words | {name: json.dumps(value) for name, value in settings.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """Circumstance that has changed."""

    name: str
    then: str
    now: str


def changes(then: Circumstances, now: Circumstances) -> tuple[Change, ...]:
    """Return the recorded circumstances that have changed, and variables that are newly set."""
    new = [name for name in now if then and name not in then and rule_of(name) == "recorded"]
    before = then | dict.fromkeys(new, "not recorded")
    pairs = ((name, word, now.get(name, "none")) for name, word in before.items())
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def _ordinal(number: float) -> int:
    """Return the position of a 64-bit float among all 64-bit floats in ascending order."""
    (bits,) = struct.unpack("<q", struct.pack("<d", number))
    return bits if bits >= 0 else -(2**63) - bits  # type: ignore[no-any-return]
