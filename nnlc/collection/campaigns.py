"""Campaigns of the folders of tables, and counted costs, kept in a collection byte for byte."""

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from nnlc.collection.clashes import MergedTables
from nnlc.system.files import read_regular, why_unread
from nnlc.system.text_file import MOST_BYTES
from nnlc.tables.campaign_files import CampaignFiles
from nnlc.tables.counted_sizes import costs_beside
from nnlc.tables.table_folders import Skipped


class KeptCampaigns:
    """Campaign files of merged tables.

    Attributes:
        names: name of the file for each table, by ID.
        contents: bytes of each file, by name.
        skipped: files that can't be read, with the reason.
    """

    def __init__(self, merged: MergedTables) -> None:
        self.names: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.skipped: list[Skipped] = []
        files, keep = CampaignFiles(), cache(self._keep)
        for id_, sources in merged.taken.items():
            found = filter(None, (files.of(one.path) for one in sources))
            if name := next(filter(None, map(keep, found)), None):
                self.names[id_] = name

    def _keep(self, file: Path) -> str | None:
        try:
            content = read_regular(file, follow_link=False, most=MOST_BYTES)
        except OSError as problem:
            reason = f"the campaign is not kept: {why_unread(problem)}"
            self.skipped.append(Skipped(file, reason))
            return None
        name = f"{hashlib.sha256(content).hexdigest()[:12]}.toml"
        self.contents[name] = content
        with suppress(OSError):  # costs can be counted again
            costs = read_regular(costs_beside(file), follow_link=False, most=MOST_BYTES)
            self.contents.setdefault(costs_beside(Path(name)).name, costs)
        return name
