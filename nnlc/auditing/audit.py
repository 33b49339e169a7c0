"""`nnlc.audit`: check every table in the given paths against every rule."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnlc import __version__
from nnlc.auditing.audited_table import AuditedTable
from nnlc.auditing.campaign_rules import AuditedFolder, AuditedFolders
from nnlc.auditing.curve_rules import check_curves
from nnlc.auditing.divisor import Divisor, judge_divisor
from nnlc.auditing.findings import Finding, Findings, in_order, quoted, shown, words_of
from nnlc.auditing.folder_rules import (
    SvhnImages,
    check_duplicates,
    check_mixture,
    count_svhn_images,
    tell_divisor,
    tell_svhn_images,
)
from nnlc.auditing.given_paths import look_at_paths
from nnlc.auditing.redraws import check_redraws
from nnlc.auditing.rule_list import Rule, Severity
from nnlc.auditing.specification_rules import check_specification
from nnlc.auditing.standards import is_published, standard_without_campaign
from nnlc.errors import TableError
from nnlc.families.layouts import article_layout
from nnlc.tables.folder_names import MODELS, models_name, table_name
from nnlc.tables.lenient_parsing import PartialRecord, is_too_large, parse_leniently
from nnlc.tables.record import Record, parse_record, read_bytes

JSON_FORMAT = 1
"""Version of `Audit.to_json`; increased when a key is removed or changes its meaning."""
_EXIT_STATUS: dict[Severity | None, int] = {Severity.ERROR: 4, Severity.WARNING: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Result of an audit."""

    findings: tuple[Finding, ...]
    """Sorted findings: for each rule and file at most 20, and one that counts the rest."""
    tables: int
    """Number of files that were audited as tables."""
    damaged: int
    """Number of tables that are damaged."""
    folders: tuple[Path, ...]
    """Folders of the tables."""
    divisors: tuple[Divisor, ...]
    """Divisor of valLoss in each folder, separately for published tables and nnlc's."""
    svhn: tuple[SvhnImages, ...]
    """Numbers of SVHN's training images that the batch sizes allow, by folder."""

    @property
    def worst(self) -> Severity | None:
        """Return the highest severity of any finding; None without findings."""
        return max((finding.severity for finding in self.findings), default=None)

    @property
    def exit_status(self) -> int:
        """Return the exit status of `nnlc audit`: 4 for errors, 3 for warnings, else 0."""
        return _EXIT_STATUS.get(self.worst, 0)

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.times for finding in self.findings if finding.severity is severity)

    def by_rule(self) -> dict[str, int]:
        """Return the number of findings by rule, the most severe and most frequent first."""
        counts: Counter[Rule] = Counter()
        for finding in self.findings:
            counts[finding.rule] += finding.times
        ordered = sorted(counts.items(), key=lambda i: (-i[0].severity, -i[1], i[0].name))
        return {rule.name: count for rule, count in ordered}

    def to_json(self) -> dict[str, Any]:
        """Return the audit as plain values.

        - `format`: 1; `nnlc`: the version.
        - `tables`, `damaged`, `folders`: as the attributes.
        - `worst`: "error", "warning", "note" or null; `counts`: findings by severity.
        - `rules`: findings by rule, those with none left out.
        - `findings`: objects with `path`, `line`, `column`, `column_name` (null for a
          finding on a whole file or line, or outside of a table's columns), `rule`, `severity`,
          `found`, `right`, `source`, and `times`: number of findings that it represents.
        - `divisors`: objects with the fields of `Divisor`.
        - `svhn`: objects with `path`, `tables`, `possible`, `against`.
        """
        return {
            "format": JSON_FORMAT,
            "nnlc": __version__,
            "tables": self.tables,
            "damaged": self.damaged,
            "folders": [shown(folder) for folder in self.folders],
            "worst": self.worst.word if self.worst else None,
            "counts": {severity.word: self.count(severity) for severity in reversed(Severity)},
            "rules": self.by_rule(),
            "findings": [finding.to_json() for finding in self.findings],
            "divisors": [divisor.to_json() for divisor in self.divisors],
            "svhn": [svhn.to_json() for svhn in self.svhn],
        }


def audit(paths: str | Path | Iterable[str | Path]) -> Audit:
    """Check tables, of nnlc or published, against every rule that follows from their bytes.

    Published tables are checked against the article. Tables of a results folder or collection are
    checked against their campaign, whose seeds determine the networks. Other tables of nnlc are
    checked against the widest search space of a campaign; if most tables with the same stamp come
    from the article's search space, the others are checked against that space too. Tables of other
    families are checked against their family's own rules only with a campaign, if its code can be
    loaded.

    Args:
        paths: tables, folders of tables, results folders or downloads, as for `load_tables`.

    Raises:
        NnlcError: a path does not exist. Everything else that is wrong is a finding.
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    places = look_at_paths(map(Path, several))
    audited_folders = AuditedFolders(places)
    tables: list[AuditedTable] = []
    by_campaign: dict[AuditedFolder, list[AuditedTable]] = {each: [] for each in audited_folders}
    for files in places.files:
        for name in files.names:
            path = files.folder / name
            results = audited_folders.of(path)
            table = _audit_file(path, results, follow_link=not files.whole)
            tables.append(table)
            if results is not None:
                by_campaign.setdefault(results, []).append(table)
    findings = list(places.findings)
    check_curves(tables)
    for results, audited in by_campaign.items():
        findings += results.check(audited)
    check_redraws(tables)
    check_duplicates(tables)
    by_folder: defaultdict[Path, list[AuditedTable]] = defaultdict(list)
    for table in tables:
        by_folder[table.path.parent].append(table)
    divisors, svhn, found = _audit_folders(by_folder)
    for table in tables:
        found += table.findings.told()
    return Audit(
        findings=tuple(in_order(findings + found)),
        tables=len(tables),
        damaged=sum(not table.is_whole for table in tables),
        folders=tuple(by_folder),
        divisors=tuple(divisors),
        svhn=tuple(svhn),
    )


def audit_bytes(content: bytes, path: Path, results: AuditedFolder | None = None) -> AuditedTable:
    """Audit one table in memory, except its curve and the network that its seed should give.

    Args:
        content: the table's bytes.
        path: the table's file; the names of file and folder are checked.
        results: the folder and campaign that the table belongs to.
    """
    findings = Findings(path)
    if is_too_large(content, findings):
        return _unread(findings, TableError("too large to be read", path=path))
    found: Record | TableError
    try:
        found = parse_record(content, path)
        read = PartialRecord.of(found)
    except TableError as problem:
        found, read = problem, parse_leniently(content, findings)
    layout, values = read.layout, read.values
    findings.layout = layout
    published = is_published(layout, values)
    standard = (
        results.standard if results else standard_without_campaign(layout, published=published)
    )
    about = path, layout, values, read.curve, read.half_epochs, standard
    table = AuditedTable(*about, findings, found)
    _check_place(table)
    if results is None or not results.checks_lengths:
        _check_length(table)
    check_specification(table)
    if isinstance(found, TableError):
        findings.explain_or_add("strict-reading", found)
    return table


def _unread(findings: Findings, problem: TableError) -> AuditedTable:
    """Return an audited table without values, for a file that could not be read."""
    layout = article_layout()
    standard = standard_without_campaign(layout, published=False)
    return AuditedTable(findings.path, layout, {}, None, None, standard, findings, problem)


def _audit_file(path: Path, results: AuditedFolder | None, *, follow_link: bool) -> AuditedTable:
    try:
        content = read_bytes(path, follow_link=follow_link)
    except TableError as problem:
        findings = Findings(path)
        findings.add("unreadable", words_of(problem, path), "a readable file")
        return _unread(findings, problem)
    return audit_bytes(content, path, results)


def _check_place(table: AuditedTable) -> None:
    """Check the names of a table's file and folder against its metadata."""
    if table.id is not None and table.path.name != table_name(table.id):
        table.findings.add(
            "id-file-name", f"ID {quoted(table.id)}", "the name of the file", line=2, column=5
        )
    folder = os.path.basename(os.path.dirname(os.path.abspath(table.path)))  # noqa: PTH100, PTH119, PTH120
    if table.dataset is not None and folder.endswith(MODELS):
        name = table.images.name if table.images else table.dataset
        if folder != models_name(name):
            found = f"dataset {quoted(table.dataset)} in folder {quoted(folder)}"
            right = quoted(models_name(name))
            table.findings.add("dataset-folder", found, right, line=2, column=9)


def _check_length(table: AuditedTable) -> None:
    """Check the number of a table's rows, which no stop rule may have reduced."""
    expected, rows = table.standard.half_epochs, table.half_epochs
    if rows is not None and (rows < 1 or expected not in (None, rows)):
        table.findings.add(
            "half-epochs",
            f"{rows} rows",
            f"{expected or 'at least 1'}",
            line=rows + 2 if expected is None else min(rows, expected) + 2,
        )


def _audit_folders(
    by_folder: dict[Path, list[AuditedTable]],
) -> tuple[list[Divisor], list[SvhnImages], list[Finding]]:
    """Return divisors, numbers of SVHN images, and findings on each folder's tables together."""
    divisors: list[Divisor] = []
    counted: list[SvhnImages] = []
    found: list[Finding] = []
    for folder, tables in by_folder.items():
        findings = check_mixture(folder, tables)
        if svhn := count_svhn_images(folder, tables):
            counted.append(svhn)
            tell_svhn_images(svhn, findings)
        for published in (True, False):
            whole = (table for table in tables if table.is_whole)
            chosen = [table for table in whole if table.is_published is published]
            if chosen:
                divisors.append(judge_divisor(folder, published, chosen))
                tell_divisor(divisors[-1], findings)
        found += findings.told()
    return divisors, counted, found
