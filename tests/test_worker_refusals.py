"""What a job refuses: one message from one rank, a status, and nothing lost."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from worker_jobs import (
    TINY,
    before_others,
    events,
    run_worker,
    tables,
    write_campaign,
)

from nnlc import load_campaign
from nnlc.cli import app
from nnlc.results.folder import ResultsFolder


def _foreign_files(folder: Path) -> list[object]:
    (folder / "r").mkdir()
    (folder / "r" / "thesis.tex").write_text("mine")
    return [write_campaign(folder)]


def _other_campaign(folder: Path) -> list[object]:
    campaign = write_campaign(folder)
    ResultsFolder(folder / "r").open(load_campaign(campaign))
    campaign.write_text(TINY.replace("epochs = 1", "epochs = 2"))
    return [campaign]


def _file_for_folder(folder: Path) -> list[object]:
    (folder / "r").write_text("a file")
    return [write_campaign(folder)]


BAD = {
    "unknown campaign": (lambda folder: ["nope"], 1, ["nope", "smoke"]),
    "broken campaign": (
        lambda folder: [write_campaign(folder, "name = ")],
        1,
        ["tiny.toml", "not valid TOML"],
    ),
    "foreign results folder": (_foreign_files, 1, ["no campaign.toml", "--results"]),
    "another campaign's folder": (_other_campaign, 1, ["epochs is 1 there and 2"]),
    "a file for a folder": (_file_for_folder, 1, ["/r", "--results"]),
    "images not staged": (
        lambda folder: ["fashion-mnist"],
        1,
        ["is missing", "nnlc stage fashion-mnist"],
    ),
    "no GPU": (lambda folder: [write_campaign(folder), "--device", "cuda"], 1, ["no rank sees"]),
    "unknown option": (lambda folder: ["--fast"], 2, ["--fast"]),
}
BY_TWO_RANKS = ("unknown option", "unknown campaign")
"""Every rank finds the first, rank 0 alone the second."""


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_message_from_one_rank_and_ends_the_job(tmp_path, kind):
    prepare, status, words = BAD[kind]
    arguments = prepare(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    ranks = 2 if kind in BY_TWO_RANKS else None
    job = run_worker(*arguments, "--results", tmp_path / "r", ranks=ranks, cwd=tmp_path)
    output = job.stdout + job.stderr
    assert job.returncode == status, output
    assert output.count("error: ") == 1, output
    assert "Traceback" not in output
    for word in words:
        assert word in output
    assert {p: p.read_bytes() for p in before} == before


def test_a_damaged_table_is_named_and_left_alone_while_only_what_is_missing_is_trained(
    alone, tmp_path
):
    campaign, results = alone
    shutil.copytree(results, tmp_path / "r")
    whole = tables(results)
    first, missing, path, *others = sorted((tmp_path / "r").glob("*_models/*.txt"))
    missing.unlink()
    content = path.read_bytes()[:-40]
    path.write_bytes(content)
    before = {path: path.stat().st_mtime_ns for path in (first, *others)}
    starts = len(events(results, "start"))
    job = run_worker(campaign, "--results", tmp_path / "r")
    assert job.returncode == 3
    last = job.stdout.splitlines()[-2:]
    assert "1 table can't be used (1 damaged); 'nnlc retry" in last[0]
    assert path.name in last[1]
    assert "line 3" in last[1]
    assert [event["id"] for event in events(tmp_path / "r", "start")[starts:]] == [missing.stem]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert path.read_bytes() == content
    job = run_worker(campaign, "--results", tmp_path / "r")  # with nothing left to train
    assert job.returncode == 3
    assert path.name in job.stdout
    done = CliRunner().invoke(app, ["retry", str(tmp_path / "r"), path.stem])
    assert done.exit_code == 0
    aside = tmp_path / "r" / "aside" / "1" / path.name
    assert f"moved to {aside}" in done.output
    assert aside.read_bytes() == content
    assert run_worker(campaign, "--results", tmp_path / "r").returncode == 0
    assert tables(tmp_path / "r") == whole
    job = run_worker(campaign, "--results", tmp_path / "r")
    assert (job.returncode, "all 6 tables are in" in job.stdout) == (0, True)


def test_mpirun_without_mpi4py_is_said_once_and_ends_the_job(tmp_path):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('not installed here')")
    job = run_worker(ranks=2, cwd=tmp_path, PYTHONPATH=before_others(tmp_path))
    assert job.returncode == 1
    assert (job.stdout + job.stderr).count("error: ") == 1
    assert "pip install 'nnlc[mpi]'" in job.stderr


def test_ranks_that_cant_find_each_other_refuse_instead_of_training_twice(tmp_path):
    """As when mpirun belongs to another MPI than mpi4py: every process believes it is alone."""
    shim = tmp_path / "mpi4py"
    shim.mkdir()
    (shim / "__init__.py").write_text("")
    (shim / "MPI.py").write_text(
        "class COMM_WORLD:\n    rank, size = 0, 1\n"
        "def Get_library_version():\n    return 'Other MPI 1.0'\n"
    )
    job = run_worker(ranks=2, cwd=tmp_path, PYTHONPATH=before_others(tmp_path))
    assert job.returncode == 1
    assert (job.stdout + job.stderr).count("error: ") == 1
    assert "mpi4py sees 1" in job.stderr
    assert not (tmp_path / "results").exists()
