"""Header of a file of kept weights, read without torch: of which half epoch, and for what use.

The file is in the safetensors format: eight bytes with the size of the header, the header as JSON,
then the values. `nnlc.training.kept_weights` writes and reads the file.
"""

import json
from pathlib import Path
from typing import NamedTuple

from nnlc.system.files import open_regular

FORMAT = "1"
"""Format of new files; raised when an older nnlc would misread them."""
_LONGEST = 100_000_000
"""Longest header in bytes that the format allows."""


class WeightsHeader(NamedTuple):
    """Header of a file of kept weights."""

    half_epoch: int
    """Number of half epochs after which the weights were kept."""
    goes_on: bool
    """True if the file has all that training needs to go on from there."""


def read_weights_header(path: Path) -> WeightsHeader | None:
    """Return the header of a file of kept weights; None if it is missing or can't be used."""
    try:
        with open_regular(path, follow_link=False) as file:
            size = int.from_bytes(file.read(8), "little")
            facts = json.loads(file.read(min(size, _LONGEST)))["__metadata__"]
        if facts["format"] != FORMAT:
            return None
        return WeightsHeader(int(facts["half_epoch"]), "state" in facts)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
