"""`nnlc audit`, as a user types it: summary, JSON, list of rules, exit status."""

import json
import subprocess
import sys

import pytest
from audit_samples import PLACE, write_published, write_results
from damaged_tables import field
from limits import HANG_SECONDS
from typer.testing import CliRunner

import nnlc
from nnlc.auditing.rule_list import RULES
from nnlc.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def damage(path, *changes):
    content = path.read_bytes()
    for change in changes:
        content = change(content)
    path.write_bytes(content)


@pytest.fixture
def download(tmp_path):
    folder = tmp_path / "download"
    write_published(folder)
    return folder


def test_notes_leave_with_0_warnings_with_3_and_errors_with_4(download):
    assert run(download).exit_code == 0
    (download / "CIFAR-100_models" / "again").mkdir()
    (download / "CIFAR-100_models" / "link.txt").symlink_to("nowhere")
    assert run(download).exit_code == 3
    damage(download / PLACE, field(2, "FCFilters", "200-50-99"))
    job = run(download)
    assert job.exit_code == 4
    assert f"{download / PLACE}, line 2, column 28 (FCFilters): the last layer has 99" in job.stdout
    assert "1 error, 1 warning, 2 notes" in job.stdout


def test_what_cannot_be_audited_is_a_mistake_and_no_verdict(tmp_path):
    assert run().exit_code == 2
    job = run(tmp_path / "gone")
    assert isinstance(job.exception, nnlc.NnlcError)
    assert run(tmp_path).exit_code == 4, "a folder without tables is no clean one"


def test_the_summary_tells_a_few_findings_of_a_rule_and_all_if_asked(download):
    damage(download / PLACE, *(field(n, "valAcc", "12.345") for n in range(10, 20)))
    short, full = run(download).stdout, run(download, "--all").stdout
    assert "3 tables in 1 folder: 10 errors, 0 warnings, 1 note" in short
    assert (short.count("12.345"), full.count("12.345")) == (3, 10)
    assert "… and 7 more; --all shows them" in short
    assert "valLoss of published tables" in short


def test_percentages_have_few_digits_in_text_and_all_in_json(download):
    whole = "14.17004048582996"
    damage(download / PLACE, field(10, "valAcc", whole), field(10, "valLoss", "0.001"))
    assert "valLoss is 0.001 at an accuracy of 14.17 %" in run(download).stdout
    assert f"valLoss is 0.001 at an accuracy of {whole} %" in run(download, "--json").stdout


def test_json_is_one_document_with_everything_and_stable_keys(download):
    damage(download / PLACE, field(2, "poolPaddings", "1-2"))
    job = run(download, "--json")
    assert job.exit_code == 4
    found = json.loads(job.stdout)
    assert found == json.loads(json.dumps(nnlc.audit(download).to_json()))
    assert list(found) == [
        *("format", "nnlc", "tables", "damaged", "folders", "worst", "counts", "rules"),
        *("findings", "divisors", "svhn"),
    ]
    assert (found["tables"], found["worst"]) == (3, "error")
    assert found["counts"] == {"error": 1, "warning": 0, "note": 1}
    assert found["findings"][1] == {
        "path": str(download / PLACE),
        "line": 2,
        "column": 24,
        "column_name": "poolPaddings",
        "rule": "pool-padding",
        "severity": "error",
        "found": "pooling layer 2 pads 2 with a kernel of 2",
        "right": "0 to 1",
        "times": 1,
        "source": "data article, Table 3",
    }
    assert found["divisors"][0]["verdict"] == "not enough networks to tell"


def test_the_rules_are_listed_with_severity_and_source():
    job = run("--rules")
    assert job.exit_code == 0
    lines = job.stdout.splitlines()
    assert len(lines) == len(RULES)
    for rule in RULES.values():
        [line] = [one for one in lines if one.split()[1] == rule.name]
        assert line.startswith(rule.severity.word)
        assert line.endswith(f"{rule.says} ({rule.source})")


def test_missing_and_failed_networks_are_named_without_harm_to_the_status(tmp_path):
    write_results(tmp_path / "r")
    for path in (tmp_path / "r").glob("*_models/*.txt"):
        path.unlink()
    job = run(tmp_path / "r")
    assert job.exit_code == 0
    assert "F-MNIST-sample_models: 6 tables are missing" in job.stdout


def test_an_audit_loads_neither_torch_nor_mpi(download):
    code = (
        "import sys, nnlc; nnlc.audit(sys.argv[1]);"
        "sys.exit(', '.join({'torch', 'torchvision', 'mpi4py'} & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, download], check=True, timeout=HANG_SECONDS)
