"""What earlier versions left behind (`tests/old/`): today's nnlc goes on with it, or says why."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG_SECONDS
from typer.testing import CliRunner
from worker_jobs import events, run_worker, tables

import nnlc
from nnlc.cli import app
from nnlc.schedulers.site import load_site
from nnlc.system.process import this_process
from nnlc.verification.verify_text import verdict_lines

OLD = Path(__file__).parent / "old"
VERSIONS = sorted(path.name for path in OLD.iterdir() if path.is_dir() and path.name[0].isdigit())
EARLIER = [version for version in VERSIONS if version != nnlc.__version__]
"""What this version leaves behind, all other tests go on with."""
WHERE_MADE = "/tmp/nnlc-as-it-was"
"""As the files say; `make.py` has made them there."""


@pytest.fixture(params=EARLIER)
def old(request, tmp_path):
    """What a version left behind, moved to another place with all its scripts and campaigns."""
    place = Path(shutil.copytree(OLD / request.param, tmp_path / "old"))
    for path in [*place.glob("*.sh"), *place.glob("half-done/jobs/*")]:
        text = path.read_text()
        path.write_text(text.replace(WHERE_MADE, str(place)))
    for path in place.glob("half-done/leases/*.job"):  # its process is seen to be gone, at once
        here = this_process() | {"started": "before"}
        path.write_text(json.dumps(json.loads(path.read_text()) | here))
    return place


def run(*words):
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_script_that_was_queued_before_finishes_a_half_done_folder_whose_tables_stay(old):
    """With a launcher that starts one rank here, and the Python of today."""
    results = old / "half-done"
    before, resumed = tables(results), len(events(results, "resume"))
    [saved] = {path.name.split(".")[0] for path in (results / "checkpoints").glob("*.ckpt")}
    srun = old / "bin" / "srun"
    srun.write_text('#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    srun.chmod(0o755)
    [script] = (results / "jobs").glob("*.sh")
    text = script.read_text().replace("/usr/bin/python3", sys.executable)
    job = subprocess.run(
        ["bash", "-c", text.replace("--device cuda", "--device cpu")],
        env=os.environ | {"PATH": f"{srun.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert job.returncode == 3, job.stdout + job.stderr
    after = tables(results)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    goes_on = [event["id"] for event in events(results, "resume")][resumed:] == [saved]
    # On another machine than the one it had, that is the reason, and not another nnlc.
    machine = re.search("are lost: (device|torch) ", job.stdout)
    assert goes_on or (machine and told_losses(job.stdout)), job.stdout
    [failed] = {event["id"] for event in events(results, "failure")}
    assert failed in run("retry", results)


def told_losses(log):
    """Whether a log names the time that is lost before any network is done."""
    stay, anew, go_back = (
        log.find(words)
        for words in ("2 tables stay valid", "1 network starts again, and", "to keep this training")
    )
    return 0 < stay < anew < go_back < log.find(" 3/3 ")


@pytest.mark.parametrize("old", EARLIER[:1], indirect=True)
def test_what_would_be_lost_is_told_before_the_first_network_begins(old):
    """As other instructions change bits, its checkpoint is another's."""
    results = old / "half-done"
    words = (old / "half.toml", "--results", results)
    job = run_worker(*words, ATEN_CPU_CAPABILITY="default")
    assert told_losses(job.stdout), job.stdout
    assert re.search(
        r"and [1-9][0-9]* s of training are lost: .*device instructions was", job.stdout
    )
    assert "and need device instructions 'AVX" in job.stdout


def test_tables_are_trained_again_to_the_same_bytes_unless_something_that_is_named_differs(old):
    """A change of bits without a new arithmetic fails here, on a machine like that of before."""
    every_kind = sorted(old.glob("every-kind/*_models/*.txt"))[4:]  # every kind, the least work
    for verdict in nnlc.verify([old / "half-done", *every_kind], half_epochs=1):
        assert verdict.identical or verdict.changes, list(verdict_lines(verdict))
        assert f"in arithmetic {verdict.arithmetic}" in next(verdict_lines(verdict))


def test_an_upgrade_tells_of_all_and_leaves_tables_checkpoints_and_journal(old):
    results = old / "half-done"
    kept = {path: path.read_bytes() for path in results.glob("*/*") if path.is_file()}
    chosen = "\nconvolutions = " in (results / "campaign.toml").read_text()
    told = run("upgrade", results)
    assert "tables: 2 of 4 stay valid" in told
    assert "checkpoints: 1 network continues" in told or "1 network starts again, and" in told
    assert "arithmetic 2 (nnlc 0.3.0: " in told
    assert ('training.convolutions = "direct" keeps their old bits' in told) == (not chosen)
    assert re.search(r"job 7: .*my-slurm.sh: (still fits|can't be told: its Python)", told)
    assert {path: path.read_bytes() for path in kept} == kept
    assert run("upgrade", results, "--dry-run").endswith("to rewrite: nothing\n")


def test_a_half_done_folder_is_told_and_audited(old):
    results = old / "half-done"
    told = run("status", results)
    assert "SIGSEGV" in told
    assert "ended without a word" in told
    assert "2 tables" in run("audit", results)


def test_a_page_and_exports_are_still_known_and_replaced(old):
    """Whatever else stands in the place of an output is refused."""
    outputs = [old / "page.html", *old.glob("export-*")]
    before = [path.stat().st_mtime_ns for path in outputs]
    run("report", old / "half-done", "-o", old / "page.html")
    for format_ in ("csv", "parquet"):
        run("export", old / "half-done", "-o", old / f"export-{format_}", "--format", format_)
    assert len(outputs) == 3
    assert all(path.stat().st_mtime_ns > was for path, was in zip(outputs, before, strict=True))


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_exports_give_the_same_tables(old, format_):
    run("import", old / f"export-{format_}", "-o", old / "again")
    assert tables(old / "again") == tables(old / "half-done")


@pytest.mark.parametrize("scheduler", ["slurm", "lsf", "local"])
def test_sites_load_and_their_scripts_are_still_right(old, scheduler):
    site = old / f"{scheduler}.toml"
    assert load_site(str(site)).scheduler.name == scheduler
    run("lint", old / f"{scheduler}.sh", "--site", site)


def test_a_plug_in_is_still_asked(old, monkeypatch):
    entry = old / "halfway-1.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: halfway\nVersion: 1\n")
    (entry / "entry_points.txt").write_text("[nnlc.predictors]\nhalfway = halfway:Halfway\n")
    monkeypatch.syspath_prepend(old)
    monkeypatch.delitem(sys.modules, "halfway", raising=False)  # another version's
    told = run("predict", old / "half-done", "--method", "halfway:share=0.3", "--target", "2")
    [its_words] = re.findall(r'FitFailure\("(.+)"\)', (old / "halfway.py").read_text())
    assert f"2 times: {its_words}" in told
