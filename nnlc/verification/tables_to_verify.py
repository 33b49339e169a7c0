"""Tables to verify, each with its campaign and the journal's record of its training."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import CampaignError, SpecError, TableError
from nnlc.families.registry import advising
from nnlc.networks import FamilySpec, Specification
from nnlc.networks.optimizers import optimizer_of
from nnlc.results.campaign_file import read_campaign_file
from nnlc.results.history import Finish, read_history
from nnlc.results.inventory import Entry, State, judge
from nnlc.tables import Table, parse_table
from nnlc.tables.campaign_files import CampaignFiles
from nnlc.tables.folder_names import JOURNAL
from nnlc.tables.record import Record, parse_record, read_bytes
from nnlc.tables.table_folders import Skipped, find_tables
from nnlc.training.origin import WITH_OTHER_CODE, Origin, origin_of

_NEEDS_CAMPAIGN = (
    "networks of family {} are trained again only with their campaign.toml, which has the settings "
    "of family and training: keep the table in its results folder, or name its campaign"
)


@dataclass(frozen=True, slots=True)
class TableToVerify:
    """Table to verify, and the data that it is compared with."""

    path: Path
    table: Table
    origin: Origin
    drawn: Specification | None
    """Network of this ID in the campaign, with `train_gpu` from the journal."""
    is_stranger: bool
    """True if the campaign has no network of this ID, or the file is named after another."""
    foreign: str
    """Reason why the file is not the table of the network in its name; "" if it is."""
    finish: Finish | None
    """Finish event of the network in the journal, if any."""
    changed: bool
    """True if the journal has another digest for the table."""

    @property
    def is_published(self) -> bool:
        """True if the table is from the published article; random streams were not recorded."""
        return self.drawn is None and not _is_ours(self.table.spec)

    @property
    def id(self) -> str:
        return self.table.spec.id

    def as_recorded(self) -> "TableToVerify":
        """Return the table with settings that select its recorded arithmetic, if there are any."""
        if self.finish is None:
            return self
        of, device = self.origin, "cuda" if self.on_gpu else "cpu"
        settings = self.finish.settings_as_trained(self.table.spec, of.images, of.settings, device)
        if settings == self.origin.settings:
            return self
        campaign = self.origin.campaign.model_copy(update={"training": settings})
        return replace(self, origin=replace(self.origin, campaign=campaign))

    @property
    def on_gpu(self) -> bool:
        """True if the network was trained on a GPU, by the journal or else by the metadata."""
        recorded = self.finish.on_gpu if self.finish else None
        return self.table.spec.train_gpu if recorded is None else recorded


@dataclass(frozen=True, slots=True)
class Refused:
    """Table that can't be trained again, and why."""

    path: Path
    reason: str


def read_tables_to_verify(
    paths: Iterable[Path], campaign: Campaign | None
) -> tuple[list[TableToVerify | Refused], list[Skipped]]:
    """Return every table in these paths in order, and the files that were skipped.

    Args:
        paths: tables, or folders of tables.
        campaign: campaign of all tables; by default, that of its results folder or collection.

    Raises:
        NnlcError: a path has no table or can't be read, or a campaign can't.
    """
    files, skipped = find_tables(paths)
    reader = _Reader(campaign)
    found = [
        reader.read(each.folder / name, follow_link=not each.whole)
        for each in files
        for name in each.names
    ]
    return found, skipped


class _Reader:
    """Reader of tables, which reads each campaign and journal only once."""

    def __init__(self, campaign: Campaign | None) -> None:
        self._given = campaign
        self._files = CampaignFiles()
        self._campaign_in = cache(lambda file: read_campaign_file(file).campaign)
        self._networks: dict[int, dict[str, CampaignNetwork]] = {}
        self._finishes: dict[Path, dict[str, Finish]] = {}

    def read(self, path: Path, *, follow_link: bool) -> TableToVerify | Refused:
        """Return a table to verify, or the reason why it can't be trained again.

        Args:
            path: path of the table.
            follow_link: True if the user named this file; a link is followed, and a file that
                can't be read raises an error.

        Raises:
            TableError: a file that the user named can't be read.
        """
        try:
            content = read_bytes(path, follow_link=follow_link)
            record, table = parse_record(content, path), parse_table(content, path=path)
            finish = self._finishes_of(path).get(record.id)
            campaign = self._campaign(path)
            network = self._networks_of(campaign).get(record.id) if campaign else None
            entry = self._entry(campaign, record) if campaign else None
            if entry and entry.problem and entry.state is not State.FOREIGN:
                raise entry.problem
            if not (network or self._given or _is_ours(table.spec)):
                campaign = None  # a published table in a results folder is not of its campaign
            if campaign is None and isinstance(table.spec, FamilySpec):
                raise SpecError(_NEEDS_CAMPAIGN.format(table.spec.family))
            origin = origin_of(table.spec, campaign)
            _check_trainable(table.spec, origin)
        except (TableError, CampaignError, SpecError) as problem:
            if follow_link and isinstance(problem, TableError) and problem.unread:
                raise
            return Refused(path, _without_path(str(problem), path))
        return TableToVerify(
            path,
            table,
            origin,
            _as_trained(network, table, finish),
            campaign is not None
            and _is_ours(table.spec)
            and (network is None or (self._given is None and path.stem != table.spec.id)),
            _without_path(entry.reason, path) if entry else "",
            finish,
            changed=bool(finish and finish.sha256 and finish.sha256 != record.sha256),
        )

    def _entry(self, campaign: Campaign, record: Record) -> Entry | None:
        """Return the table's state in its campaign's inventory; None without such a network."""
        networks = self._networks_of(campaign)
        named_after = networks.get(record.path.stem) if self._given is None else None
        network = named_after or networks.get(record.id)
        if network is None:
            return None
        tables = [(network, record.path, record)]
        return judge(campaign, tables, self._finishes_of(record.path))[network.spec.id]

    def _campaign(self, path: Path) -> Campaign | None:
        if self._given is not None:
            return self._given
        file = self._files.of(path)
        return self._campaign_in(file) if file else None

    def _networks_of(self, campaign: Campaign) -> dict[str, CampaignNetwork]:
        # Campaigns stay in memory, so an id is never used again.
        if id(campaign) not in self._networks:
            with advising(WITH_OTHER_CODE):
                networks = list(campaign.networks())
            self._networks[id(campaign)] = {one.spec.id: one for one in networks}
        return self._networks[id(campaign)]

    def _finishes_of(self, path: Path) -> dict[str, Finish]:
        folder = path.parent
        if folder not in self._finishes:
            home = Path(os.path.abspath(folder)).parent  # noqa: PTH100  links keep their names
            journal = home / JOURNAL
            usable = journal.is_dir() and not journal.is_symlink()
            self._finishes[folder] = read_history(journal).finishes if usable else {}
        return self._finishes[folder]


def _is_ours(spec: Specification) -> bool:
    """Return True for a table of nnlc, False for one of the published article."""
    return spec.torch_set_deterministic or isinstance(spec, FamilySpec)


def _without_path(words: str, path: Path) -> str:
    return words.removeprefix(f"{path}, ").removeprefix(f"{path}: ")


def _as_trained(
    network: CampaignNetwork | None, table: Table, finish: Finish | None
) -> Specification | None:
    """Return the campaign's network with `train_gpu`, which depends on the device, filled in."""
    if network is None:
        return None
    recorded = finish.on_gpu if finish else None
    on_gpu = table.spec.train_gpu if recorded is None else recorded
    return replace(network.spec, train_gpu=on_gpu)


def _check_trainable(spec: Specification, origin: Origin) -> None:
    """Check that nnlc can train a network.

    Raises:
        SpecError: nnlc can't, for the reason in the text.
    """
    images = origin.images
    if not isinstance(spec, FamilySpec):
        origin.family.size(spec, images)  # sizes must fit
    optimizer_of(spec)
    if spec.batch_size > min(images.train_images // 2, images.validation_images):
        raise SpecError(
            f"its batch size {spec.batch_size} is too large for {images.train_images} training "
            f"images in two halves, or for {images.validation_images} validation images"
        )
