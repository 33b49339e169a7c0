"""Campaign file of each table: its results folder's campaign.toml, or one that a collection keeps.

A collection's provenance.csv names the file in `campaigns/` that belongs to each table.
"""

import csv
import io
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from nnlc.errors import NnlcError
from nnlc.tables.folder_names import CAMPAIGN_FILE, CAMPAIGNS, PROVENANCE_FILE

KEPT_NAME = re.compile(r"[0-9a-f]{12}\.toml")
"""Name of a kept campaign: the first characters of the sha256 of its bytes."""


class CampaignFiles:
    """Campaign files of many tables; each folder is read only once."""

    def __init__(self) -> None:
        self._kept_in = cache(_kept_in)
        self._has_campaign = cache(os.path.lexists)

    def of(self, table: str | Path) -> Path | None:
        """Return the path of a table's campaign file; None if the table has none.

        The file may be damaged or missing: its reader says so. A curve of another program, with the
        path "", has none.
        """
        if not table:
            return None
        home = Path(os.path.abspath(table)).parent.parent  # noqa: PTH100  links keep their names
        file = home / CAMPAIGN_FILE
        return file if self._has_campaign(file) else self._kept_in(home).get(Path(table).stem)


def is_kept(campaign_file: Path) -> bool:
    """Return True if a campaign file is in a collection, not in a results folder."""
    return campaign_file.name != CAMPAIGN_FILE


def _kept_in(home: Path) -> dict[str, Path]:
    """Return the campaign files of a collection's tables by ID."""
    folder = home / CAMPAIGNS
    if folder.is_symlink() or not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for row in provenance_rows(home):
        if KEPT_NAME.fullmatch(row.get("campaign") or ""):
            found.setdefault(row.get("id", ""), folder / row["campaign"])
    return found


def provenance_rows(collection: Path) -> list[dict[str, str]]:
    """Return the rows of a collection's provenance.csv, until the first that can't be read."""
    from nnlc.system.text_file import read_text  # seldom needed

    path = collection / PROVENANCE_FILE
    rows: list[dict[str, str]] = []
    if not path.is_symlink() and path.is_file():
        with suppress(NnlcError, csv.Error):
            rows.extend(csv.DictReader(io.StringIO(read_text(path)), strict=True))
    return rows
