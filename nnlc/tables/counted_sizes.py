"""Sizes of networks of own families, from the costs.json in their results folders.

A collection keeps these files beside its campaigns. Without the file, sizes are unknown: only the
family's code, with torch, can count them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nnlc.errors import FamilyError
from nnlc.networks.specification import FamilySpec
from nnlc.tables.campaign_files import CampaignFiles, is_kept
from nnlc.tables.folder_names import COSTS_FILE
from nnlc.tables.record import Record

if TYPE_CHECKING:
    from nnlc.families.counted_costs import Counted

_KEPT = ".costs.json"


def costs_beside(campaign_file: Path) -> Path:
    """Return the path of the counted costs of a campaign, which may not exist."""
    if is_kept(campaign_file):
        return campaign_file.with_suffix(_KEPT)
    return campaign_file.with_name(COSTS_FILE)


class CountedSizes:
    """Sizes of own families' networks; each file is read only once."""

    def __init__(self) -> None:
        self._files = CampaignFiles()
        self._read = cache(_read)

    def of(self, record: Record) -> tuple[int, int] | None:
        """Return a network's parameters and multiply-adds of one image, or None if unknown."""
        file = self._files.of(record.path) if record.layout.is_named else None
        costs = self._read(costs_beside(file), record.family) if file else {}
        if not costs:
            return None
        from nnlc.families.counted_costs import cost_key

        spec = record.spec
        found = costs.get(cost_key(spec)) if isinstance(spec, FamilySpec) else None
        return (found.parameters, found.multiply_adds) if found else None


def _read(path: Path, family: str) -> "Mapping[str, Counted]":
    if path.is_symlink() or not path.is_file():
        return {}
    from nnlc.families.costs_file import costs_of_family  # loads pydantic, seldom needed here

    try:
        return costs_of_family(path, family)
    except FamilyError:  # jobs and the plan say what is wrong with it
        return {}
