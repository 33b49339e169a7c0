"""Header of a file of kept weights, read without torch.

The file is in the safetensors format: eight bytes with the size of the header, the header as JSON,
then the values. `nnlc.training.kept_weights` writes and reads the file.
"""

import json
from pathlib import Path

from nnlc.system.files import open_regular

FORMAT = "1"
"""Format of new files; raised when an older nnlc would misread them."""
_LONGEST = 100_000_000
"""Longest header in bytes that the format allows."""


def kept_half_epochs(path: Path) -> int:
    """Return the number of half epochs after which training can go on from kept weights.

    It is 0 if the file is missing, can't be used, or has weights only.
    """
    try:
        with open_regular(path, follow_link=False) as file:
            size = int.from_bytes(file.read(8), "little")
            facts = json.loads(file.read(min(size, _LONGEST)))["__metadata__"]
        goes_on = facts["format"] == FORMAT and "state" in facts
        return int(facts["half_epoch"]) if goes_on else 0
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0
