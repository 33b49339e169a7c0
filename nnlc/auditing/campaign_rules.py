"""Tables of a results folder against its campaign: what each seed draws, and what is missing."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from nnlc.analysis.stop_ends import wrong_ends
from nnlc.auditing.audited_network import COLUMN_OF
from nnlc.auditing.audited_table import Audited
from nnlc.auditing.findings import Findings, quoted, words_of
from nnlc.auditing.given_paths import Places
from nnlc.auditing.standards import Standard
from nnlc.campaign.campaign import Campaign
from nnlc.errors import ResultsError
from nnlc.networks import NetworkSpec
from nnlc.results.history import History, read_history
from nnlc.results.mixture import mixture_of
from nnlc.results.paths import ResultsFolder
from nnlc.system.files import NotAFileError, why_unread
from nnlc.tables import METADATA_COLUMNS
from nnlc.wording import some_of

_NAMED = 5
"""So many networks a finding names."""
_BY_DEVICE = "train_gpu"
"""Not drawn, but told by the device."""


class Home:
    """A results folder and its campaign."""

    def __init__(self, path: Path, campaign: Campaign) -> None:
        self.path = path
        self.campaign = campaign
        self._newer = ""
        image_sets = campaign.image_sets().values()
        self.standard = Standard(
            campaign.space,
            {one.table_name: (one,) for one in image_sets},
            campaign.half_epochs,
            (campaign.training.optimizer,),
        )

    def check(self, tables: Sequence[Audited]) -> Findings:
        """Hold tables to the networks that the campaign draws; tell which networks have none.

        The campaign is gone through once, and only what is needed of it is kept.
        """
        standing = {(table.path.parent.name, table.path.name) for table in tables}
        ids = {table.id for table in tables}
        drawn: dict[str, NetworkSpec] = {}
        missing: dict[str, list[str]] = {}
        for network in self.campaign.networks():
            id_, folder = network.spec.id, f"{network.images.name}_models"
            if id_ in ids:
                drawn[id_] = network.spec
            if (folder, f"{id_}.txt") not in standing:
                missing.setdefault(folder, []).append(id_)
        for table in tables:
            self.check_network(table, drawn)
        self._check_ends(tables)
        findings = Findings(self.path)
        self._tell_missing(missing, findings)
        self._tell_mixture(tables, findings)
        if self._newer:
            findings.add("newer-journal", self._newer)
        return findings

    def check_network(self, table: Audited, drawn: Mapping[str, NetworkSpec]) -> None:
        """See that a table's network is what the campaign draws for its ID."""
        if table.id is None:
            return
        if table.id not in drawn:
            table.findings.add(
                "beyond-campaign",
                f"campaign {self.campaign.name} has no network {quoted(table.id)}",
                "one of its IDs, in its own folder",
                line=2,
                column=COLUMN_OF["id"],
            )
        else:
            compare(table, drawn[table.id], "seed-specification", f"in {self.campaign.name}")

    def _tell_missing(self, missing: Mapping[str, list[str]], findings: Findings) -> None:
        failures = self._history.failures if missing else {}
        for folder, ids in missing.items():
            tables = "1 table is" if len(ids) == 1 else f"{len(ids)} tables are"
            found = f"{folder}: {tables} missing: {some_of(ids, _NAMED)}"
            findings.add("missing-table", found, "start the worker again")
            for id_ in ids:
                if id_ in failures:
                    found = f"network {id_} failed: {failures[id_]}"
                    findings.add("failed-network", found, "'nnlc retry' clears failures")

    def _tell_mixture(self, tables: Sequence[Audited], findings: Findings) -> None:
        """Tell of tables that come from several arithmetics, as far as the journal knows."""
        ids = [table.id for table in tables if table.id is not None]
        campaign, finishes = self.campaign, self._history.finishes
        mixture = mixture_of(campaign.networks(), campaign.training, finishes, ids)
        if mixture.is_mixed:
            findings.add("mixed-arithmetic", mixture.words, "all of one")

    def _check_ends(self, tables: Sequence[Audited]) -> None:
        """Hold lengths to the campaign's stop rule, where it has one; many tables at once.

        One whose curve can't be read has findings enough, and one whose checksum the journal knows
        ends where the rule ended it.
        """
        stop, most = self.campaign.stop, self.campaign.half_epochs
        if stop is None:
            return
        known = {id_: finish.sha256 for id_, finish in self._history.finishes.items()}
        unknown = [t for t in tables if t.id is None or known.get(t.id) != t.sha256]
        found = [(t, t.curve) for t in unknown if t.curve is not None and len(t.curve)]
        ends = wrong_ends([curve for _, curve in found], most, stop)
        for (table, _), wrong in zip(found, ends, strict=True):
            if wrong is not None:
                right = f"as many as the rule lets it train, {most} at most"
                table.findings.add("half-epochs", wrong.problem, right, line=wrong.line)

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


def read_homes(places: Places) -> dict[Path | None, Home]:
    """The results folders among the places, by their paths; a broken campaign file is told."""
    homes: dict[Path | None, Home] = {}
    for path in places.homes:
        for file, problem in ResultsFolder(path).strangers():
            rule = "special-file" if isinstance(problem, NotAFileError) else "unreadable"
            places.add(rule, file, why_unread(problem), "a file that nnlc wrote")
        try:
            homes[path] = Home(path, ResultsFolder(path).campaign())
        except ResultsError as problem:
            file = ResultsFolder(path).campaign_file
            found = f"the campaign can't be read: {words_of(problem, file)}"
            places.add("campaign-file", file, found, "the file that nnlc wrote")
    return homes


def compare(table: Audited, spec: NetworkSpec, rule: str, where: str) -> None:
    """Add a finding of this rule for each field in which a table's network is another one."""
    for column in METADATA_COLUMNS:
        if column.field == _BY_DEVICE or column.field not in table.values:
            continue
        found, right = table.values[column.field], getattr(spec, column.field)
        if column.write(found) != column.write(right):
            table.findings.add(
                rule,
                f"{column.name} is {quoted(column.write(found))}",
                f"{quoted(column.write(right))} {where}",
                line=2,
                column=COLUMN_OF[column.field],
            )
