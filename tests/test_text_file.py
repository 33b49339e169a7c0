"""Text that a person has edited is read as it was meant, whatever editor it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_samples import ROWS, SPEC
from typer.testing import CliRunner

from nnlc.analysis.comparison import COMPARISON_COLUMNS
from nnlc.analysis.comparison_file import read_comparison
from nnlc.calibration.machines import fitted_machines
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.collection.provenance import _read_beside
from nnlc.collection.selection import read_ids
from nnlc.errors import CampaignError
from nnlc.launching.submit import Record, records
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import read_events
from nnlc.schedulers.site import load_site
from nnlc.system.text_file import decode_text, read_text
from nnlc.tables import Table, write_table


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=["Cs"]))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_marks_and_line_ends_change_nothing(tmp_path_factory, lines, end, mark):
    content = (b"\xef\xbb\xbf" if mark else b"") + end.join(lines).encode()
    assert decode_text(content, tmp_path_factory.getbasetemp()).split("\n") == (lines or [""])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(tmp_path, encoding):
    mark = "\ufeff" if encoding.endswith("be") else ""
    (tmp_path / "a").write_bytes((mark + "name = 1").encode(encoding))
    with pytest.raises(CampaignError, match=r"a: is UTF-16 or UTF-32; save it as UTF-8"):
        read_text(tmp_path / "a", CampaignError)


def test_what_is_no_text_says_where(tmp_path):
    (tmp_path / "a").write_bytes(b"abc\xff")
    with pytest.raises(CampaignError, match=r"a: not a text file \(byte 3 is no UTF-8\)"):
        read_text(tmp_path / "a", CampaignError)


TABLE_ID = "2022_01_05_00_00_00_000001"


def _comparison(path):
    values = ["tops", "last1", "False", "2", "5", "8", "8", "0", "", "60", "8", *[""] * 7, "0.1"]
    path.write_text(",".join(COMPARISON_COLUMNS) + "\n" + ",".join(values) + "\n")
    return lambda: read_comparison(path)["method"].tolist() == ["last1"]


def _ids(path):
    path.write_text(f"id\n{TABLE_ID}\n")
    return lambda: read_ids(path) == {TABLE_ID}


def _campaign(path):
    path.write_text('extends = "smoke"\nname = "mine"\n')
    return lambda: load_campaign(path).name == "mine"


def _site(path):
    path.write_text('extends = "slurm"\nname = "mine"\n')
    return lambda: load_site(str(path)).name == "mine"


def _machines(path):
    path.write_text("format = 1\n")
    results = ResultsFolder(path.parent)
    results.machines_file = path
    return lambda: fitted_machines(results) == ((), None)


def _journal(path):
    path = path.with_suffix(".jsonl")
    path.write_text('{"time": "2026-01-31T12:00:00+00:00", "event": "finish"}\n')
    return lambda: len(list(read_events(path.parent))) == 1


def _provenance(path):
    path = path.with_name("provenance.csv")
    path.write_text(f"id,dataset,folder,sha256,source\n{TABLE_ID},SVHN,f,{'0' * 64},a/b\n")
    return lambda: _read_beside([path.parent], path.parent / "f") == {(TABLE_ID, "0" * 64): ["a/b"]}


def _record(path):
    results = ResultsFolder(path.parent)
    results.jobs_folder.mkdir()
    record = Record(mark="a", script="s", scheduler="slurm", site="s", time="t", id="1")
    (results.jobs_folder / "a.json").write_text(record.model_dump_json())
    return lambda: len(records(results)) == 1


@pytest.mark.parametrize(
    "prepare",
    [_comparison, _ids, _campaign, _site, _machines, _journal, _provenance, _record],
    ids=lambda prepare: prepare.__name__.strip("_"),
)
def test_every_reader_takes_what_another_editor_has_saved(tmp_path, prepare):
    is_read = prepare(tmp_path / "a.toml")
    assert is_read()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert is_read()


def test_of_many_files_that_are_no_tables_the_first_few_are_named(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    write_table(Table(SPEC, ROWS), folder / f"{SPEC.id}.txt")
    for number in range(300):
        (folder / f"{number}.dat").touch()
    for words in (["metrics", folder], ["plot", folder, "-o", tmp_path / "a.png"]):
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.stderr.count("skipped: ") == 10
        assert "and 290 more" in done.stderr
    done = CliRunner().invoke(app, ["merge", str(folder), "-o", str(tmp_path / "b")])
    assert done.output.count("skipped: ") == 10
