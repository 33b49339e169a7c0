"""An audit of tables of other families: with their code, without it, and in others' folders."""

import json
import shutil
import subprocess
import sys

import pytest
from audit_samples import GOOD, PLACE
from limits import HANG_SECONDS
from own_family import MODULE, changed, tables_of, without_code, write_results
from test_audit_mutations import silent
from test_cli import run_nnlc

import nnlc
from nnlc.auditing.campaign_rules import AuditedFolder
from nnlc.auditing.rule_list import Severity
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.tables import parse_table, read_table, write_table

CHECK = MODULE.index("    def check(")
RAISES = MODULE[:CHECK] + "    def check(self, spec, images):\n        return 1 / 0\n"
ENDS = MODULE[:CHECK].replace("        return {", "        print('[')\n        return {") + (
    "    def check(self, spec, images):\n        print('{')\n        raise SystemExit(spec.bias)\n"
)
ANOTHER = MODULE.replace('version = "1"', 'version = "2"')


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / "r")
    return tmp_path / "r"


def found(*paths):
    return [
        (one.rule.name, one.line, one.column_name)
        for one in nnlc.audit(paths).findings
        if one.rule.name != "foreign-file"
    ]


def edited(path, **own):
    table = read_table(path)
    path.unlink()
    write_table(type(table)(changed(table.spec, **own), table.rows), path)


def test_a_good_folder_has_no_findings(results):
    audit = nnlc.audit(results)
    assert (audit.findings, audit.tables, audit.damaged) == ((), 4, 0)


def test_a_network_that_the_campaign_does_not_draw_is_named_in_its_own_column(results):
    edited(tables_of(results)[0], slope=0.3)
    assert found(results) == [("seed-specification", 2, "slope:number")]
    [finding] = nnlc.audit(results).findings
    assert "slope:number is '0.3'" in finding.found
    assert "in ladders" in finding.right


def test_the_familys_own_rules_are_asked_with_the_settings_of_the_campaign(results):
    edited(tables_of(results)[0], widths=(7,))  # the class allows 8, this campaign 6
    assert sorted(found(results)) == [
        ("family-rule", 2, "widths:integers"),
        ("seed-specification", 2, "widths:integers"),
    ]
    finding = next(f for f in nnlc.audit(results).findings if f.rule.name == "family-rule")
    assert (finding.found, finding.right) == ("a width of 7", "at most 6")


def test_a_check_that_raises_is_a_finding_and_harms_no_other_rule(tmp_path):
    write_results(tmp_path / "r", RAISES)
    edited(tables_of(tmp_path / "r")[0], kind="flat")
    names = [name for name, *_ in found(tmp_path / "r")]
    assert (names.count("family-rule"), names.count("seed-specification")) == (4, 1)
    finding = next(f for f in nnlc.audit(tmp_path / "r").findings if f.rule.name == "family-rule")
    assert "check raised ZeroDivisionError: division by zero" in finding.found
    job = subprocess.run(
        [sys.executable, "-m", "nnlc", "audit", tmp_path / "r"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert (job.returncode, job.stderr) == (4, "")


def test_code_that_prints_and_exits_leaves_the_json_whole(tmp_path):
    write_results(tmp_path / "r", ENDS)
    done = run_nnlc("audit", "--json", tmp_path / "r")
    assert done.returncode == 4
    assert json.loads(done.stdout)["rules"] == {"family-rule": 4}


def test_without_the_code_format_curves_and_duplicates_are_checked_and_a_note_says_so(results):
    first, second, third, _ = tables_of(results)
    edited(first, widths=(7,))
    second.write_bytes(second.read_bytes().replace(b"0.5 ", b"0.5  ", 1))
    lines = third.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b"1.5 ", b"1.5 -", 1)
    third.write_bytes(b"\n".join(lines))
    without_code(results)
    audit = nnlc.audit(results)
    names = [one.rule.name for one in audit.findings]
    assert {"field-count", "loss-range"} <= {*names}
    assert not {"seed-specification", "family-rule", "missing-table"} & {*names}
    [note] = [one for one in audit.findings if one.rule.name == "family-code"]
    assert note.severity is Severity.NOTE
    assert "there is no module ladder in /nowhere" in note.found
    for name in ("family-rule", "seed-specification", "beyond-campaign", "missing-table"):
        assert name in note.found


def test_without_the_code_a_newer_journal_and_a_short_table_are_told(results):
    Journal(results / "journal").write("end", format=99, nnlc="9.0.0")
    path = tables_of(results)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    without_code(results)
    names = {name for name, *_ in found(results)}
    assert names == {"family-code", "newer-journal", "half-epochs"}


def test_tables_alone_are_checked_without_their_code(results, tmp_path):
    alone = tmp_path / "elsewhere" / "F-MNIST-sample_models"
    shutil.copytree(results / alone.name, alone)
    assert found(alone) == []
    twice = alone.parent / "more" / alone.name / tables_of(results)[0].name
    twice.parent.mkdir(parents=True)
    shutil.copy(tables_of(results)[0], twice)
    edited(tables_of(results)[0], slope=0.3)
    assert [name for name, *_ in found(alone, twice)] == ["duplicate-table"]
    both = found(alone, tables_of(results)[0].parent)
    assert sorted(name for name, *_ in both) == ["duplicate-id", *["duplicate-table"] * 3]


def test_a_table_of_another_version_or_family_is_foreign_to_its_folder(results, tmp_path):
    write_results(tmp_path / "two" / "r", ANOTHER)
    first, second, *_ = tables_of(results)
    shutil.copy(tables_of(tmp_path / "two" / "r")[0], first)
    content = GOOD.replace(PLACE.stem.encode(), second.stem.encode())
    second.write_bytes(content)
    assert ("seed-specification", 2, "family") in found(results)
    [foreign] = [f for f in nnlc.audit(results).findings if "of another family" in f.found]
    assert (foreign.path, foreign.line, foreign.rule.name) == (second, 1, "seed-specification")


def test_folders_of_several_families_are_audited_together(results, tmp_path):
    (tmp_path / PLACE).parent.mkdir()
    (tmp_path / PLACE).write_bytes(GOOD)
    audit = nnlc.audit(tmp_path)
    assert audit.tables == 5
    assert audit.count(Severity.ERROR) == 0


def test_of_a_change_of_bytes_only_values_of_the_curve_may_pass(results):
    campaign = ResultsFolder(results).campaign()
    home = AuditedFolder(results, campaign)
    drawn = {network.spec.id: network.spec for network in campaign.networks()}
    path = tables_of(results)[-1]
    content = path.read_bytes()
    original = parse_table(content)
    passed = list(silent(content, path, 1_000, home, drawn))
    assert 10 < len(passed) < 500
    for table in passed:
        assert table.spec == original.spec
        assert len(table.rows) == len(original.rows)


def test_two_campaigns_whose_modules_have_one_name_each_keep_their_own_code(results, tmp_path):
    write_results(tmp_path / "two" / "r", ANOTHER)
    for paths in ([results, tmp_path / "two" / "r"], [tmp_path / "two" / "r", results]):
        audit = nnlc.audit(paths)
        assert (audit.tables, {one.rule.name for one in audit.findings}) == (
            8,
            {"duplicate-id"},  # both campaigns have the same stamp
        )
    for folder, version in ((results, "1"), (tmp_path / "two" / "r", "2"), (results, "1")):
        family = ResultsFolder(folder).campaign().network_family
        assert family.label == f"ladder@{version}"
