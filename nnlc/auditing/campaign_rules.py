"""Rules of a campaign: what each seed draws, which tables are missing, damaged or foreign."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.findings import Finding, Findings, cut, make_finding, quoted, words_of
from nnlc.auditing.given_paths import GivenPaths
from nnlc.auditing.standards import Standard
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import NnlcError, ResultsError, TableError
from nnlc.families.registry import naming_folder
from nnlc.families.table_rules import Check
from nnlc.networks import Specification
from nnlc.results.campaign_file import read_campaign_file
from nnlc.results.folder import ResultsFolder
from nnlc.results.history import History, read_history
from nnlc.results.inventory import Entry, State, inventory, judge
from nnlc.results.mixture import mixture_of
from nnlc.system.files import NotAFileError, why_unread
from nnlc.tables.campaign_files import CampaignFiles, is_kept
from nnlc.wording import counted, some_of

_NAMED = 5
"""Number of networks that a finding names."""
_NEED_FAMILY = (
    *("family-rule", "seed-specification", "beyond-campaign", "missing-table", "failed-network"),
    "mixed-arithmetic",
)
"""Rules that need the code of a campaign's family, if it is not the article's."""
_BY_DEVICE = "train_gpu"
"""Field that depends on the device, not on a draw."""
_Place = tuple[str, str]
"""Names of a table's folder and file."""


class AuditedFolder:
    """Results folder or collection under audit, and a campaign of its tables.

    Args:
        path: the folder.
        campaign: the campaign.
        whole: True for a results folder; in a collection, tables of the campaign may be missing.
    """

    def __init__(self, path: Path, campaign: Campaign, *, whole: bool = True) -> None:
        self.path = path
        self.campaign = campaign
        self._whole = whole
        self.checks_lengths = bool(campaign.stop or campaign.earlier_half_epochs)
        """True if `check` looks at the tables' numbers of rows, several of which are right."""
        self._newer = ""
        image_sets = campaign.image_sets().values()
        self.standard = Standard(
            {one.table_name: (one,) for one in image_sets},
            campaign.half_epochs,
            (campaign.training.optimizer,),
            self._family_check(),
        )

    def _family_check(self) -> Check | None:
        """Return the check of the campaign's family; None if its code can't be used."""
        try:
            return self.campaign.network_family.check_table
        except NnlcError:
            return None  # `check` says why

    def check(self, tables: Sequence[AuditedTable]) -> list[Finding]:
        """Check tables against the campaign's networks, and return findings on the folder.

        If no rule has found an error in a damaged or foreign table, the inventory's reason is added
        to the table's findings.
        """
        findings, found = Findings(self.path), []
        try:
            with naming_folder(self.path):
                networks = list(self.campaign.networks())
        except NnlcError as problem:
            left_out = [*_NEED_FAMILY, *(["half-epochs"] if self.checks_lengths else [])]
            why = f"{cut(problem)}; left out: {', '.join(left_out)}"
            findings.add("family-code", why, "that code")
            self._tell_newer(findings)
            return findings.told()
        drawn = {network.spec.id: network.spec for network in networks}
        for one in tables:
            self.check_network(one, drawn)
        missing: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        audited = {_place(table.path): table for table in tables}
        for id_, entry in self._inventory(networks, audited).items():
            if entry.state is State.MISSING:
                missing[entry.path.parent.name, "missing"].append(id_)
            elif entry.state is State.SHORT and self._whole:
                why = "from before the campaign grew"
                missing[entry.path.parent.name, why].append(id_)
            elif entry.problem and (table := audited.get(_place(entry.path))):
                self._tell_problem(entry.problem, entry.state, table.findings)
            elif entry.problem:
                words = words_of(entry.problem, entry.path)
                found.append(make_finding("unreadable", entry.path, words, "the network's table"))
        self._tell_missing(missing, findings)
        self._tell_mixture(networks, tables, findings)
        self._tell_newer(findings)
        return findings.told() + found

    def _inventory(
        self, networks: Sequence[CampaignNetwork], audited: Mapping[_Place, AuditedTable]
    ) -> dict[str, Entry]:
        """Return the state of each network's table; only tables that were not audited are read."""
        results, finishes = ResultsFolder(self.path), self._history.finishes
        read, left = [], []
        for network in networks:
            path = results.table_path(network.images, network.spec)
            if table := audited.get(_place(path)):
                read.append((network, path, table.found))
            elif self._whole:
                left.append(network)
        entries = judge(self.campaign, read, finishes)
        if left:
            with suppress(ResultsError):  # `given_paths` reports a folder that can't be listed
                entries |= inventory(results, self.campaign, left, finishes).entries
        return entries

    def _tell_problem(self, problem: TableError, state: State, findings: Findings) -> None:
        """Add the inventory's reason to a table's findings, unless one of them is at its place."""
        most = self.campaign.half_epochs
        if state is State.FOREIGN:
            findings.explain_or_add("seed-specification", problem, f"of {self.campaign.name}")
        else:
            right = f"as many rows as the stop rule allows, at most {most}"
            findings.explain_or_add("half-epochs", problem, right)

    def check_network(self, table: AuditedTable, drawn: Mapping[str, Specification]) -> None:
        """Check that a table has the network that the campaign draws for its ID."""
        if table.id is None:
            return
        if table.id not in drawn:
            table.findings.refuse(
                "beyond-campaign",
                "id",
                f"campaign {self.campaign.name} has no network {quoted(table.id)}",
                "one of its IDs, in its own folder",
            )
        elif table.layout != drawn[table.id].layout:
            found = f"is of another family than the campaign's network {table.id}"
            right = "the columns of the campaign's family"
            table.findings.add("seed-specification", found, right, line=1)
        else:
            compare(table, drawn[table.id], "seed-specification", f"in {self.campaign.name}")

    def _tell_missing(
        self, missing: Mapping[tuple[str, str], list[str]], findings: Findings
    ) -> None:
        failures = self._history.failures if missing else {}
        for (folder, why), ids in missing.items():
            tables = counted(len(ids), "table is", "tables are")
            found = f"{folder}: {tables} {why}: {some_of(ids, _NAMED)}"
            findings.add("missing-table", found, "start the worker again")
            for id_ in ids:
                if id_ in failures:
                    found = f"network {id_} failed: {failures[id_]}"
                    findings.add("failed-network", found, "'nnlc retry' clears failures")

    def _tell_mixture(
        self,
        networks: Sequence[CampaignNetwork],
        tables: Sequence[AuditedTable],
        findings: Findings,
    ) -> None:
        """Add a finding if, by the journal, the tables come from different arithmetics."""
        ids = [table.id for table in tables if table.id is not None]
        campaign, finishes = self.campaign, self._history.finishes
        mixture = mixture_of(networks, campaign.training, finishes, ids)
        if mixture.is_mixed:
            findings.add("mixed-arithmetic", mixture.words, "all of one")

    def _tell_newer(self, findings: Findings) -> None:
        """Add a finding on a journal of a newer nnlc; such a journal has no finishes here."""
        if not self._history.finishes and self._newer:
            findings.add("newer-journal", self._newer)

    @cached_property
    def _history(self) -> History:
        journal = ResultsFolder(self.path).journal_folder
        if journal.is_symlink():  # links in a folder are not followed
            return History()
        try:
            return read_history(journal)
        except ResultsError as problem:
            self._newer = words_of(problem, journal)
            return History()


class AuditedFolders:
    """Campaigns of audited tables; a campaign that can't be read is a finding.

    The campaign of a results folder counts only if the folder was given, that of a collection
    always.
    """

    def __init__(self, places: GivenPaths) -> None:
        self._places = places
        self._files = CampaignFiles()
        self._read = cache(self._read_kept)
        self._home = cache(lambda folder: folder.resolve().parent)
        self._results: dict[Path, AuditedFolder] = {}
        for path in places.results_folders:
            results = ResultsFolder(path)
            for file, problem in results.unusable_entries():
                rule = "special-file" if isinstance(problem, NotAFileError) else "unreadable"
                places.add(rule, file, why_unread(problem), "a file that nnlc wrote")
            if campaign := self._campaign(results.campaign_file):
                self._results[path.resolve()] = AuditedFolder(path, campaign)

    def __iter__(self) -> Iterator[AuditedFolder]:
        return iter(self._results.values())

    def of(self, table: Path) -> AuditedFolder | None:
        """Return the folder and campaign that a table is checked against, if any."""
        file = self._files.of(table)
        if file and is_kept(file):
            return self._read(file)
        return self._results.get(self._home(table.parent))

    def _read_kept(self, file: Path) -> AuditedFolder | None:
        campaign = self._campaign(file)
        return AuditedFolder(file.parent.parent, campaign, whole=False) if campaign else None

    def _campaign(self, file: Path) -> Campaign | None:
        try:
            return read_campaign_file(file).campaign
        except ResultsError as problem:
            found = f"the campaign can't be read: {words_of(problem, file)}"
            self._places.add("campaign-file", file, found, "the file that nnlc wrote")
            return None


def _place(path: Path) -> _Place:
    return path.parent.name, path.name


def compare(table: AuditedTable, spec: Specification, rule: str, where: str) -> None:
    """Add a finding of this rule for each field in which a table differs from `spec`."""
    for column in table.layout.columns:
        if column.field == _BY_DEVICE or column.field not in table.values:
            continue
        found, right = table.values[column.field], getattr(spec, column.field)
        if column.write(found) != column.write(right):
            table.findings.refuse(
                rule,
                column.field,
                f"{column.name} is {quoted(column.write(found))}",
                f"{quoted(column.write(right))} {where}",
            )
