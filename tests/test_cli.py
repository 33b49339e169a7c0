"""The commands, as a user types them."""

import csv
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from article_columns import METADATA_COLUMNS
from limits import HANG_SECONDS
from rich.text import Text
from typer.main import get_command
from worker_jobs import TINY, run_worker, write_campaign

from nnlc import load_campaign
from nnlc.cli import app, main
from nnlc.console import say_once
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal

ROOT = Path(__file__).resolve().parent.parent
NEXT_START = "the next start of the campaign trains them again"


def run_nnlc(
    *arguments: object, cwd: Path | None = None, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in this process."""
    out, err = (TextIOWrapper(BytesIO(), encoding, write_through=True) for _ in range(2))
    words = ["nnlc", *map(str, arguments)]
    say_once.cache_clear()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd or Path.cwd())
        patch.setattr(sys, "argv", words)
        patch.setenv("COLUMNS", os.environ.get("COLUMNS", "120"))
        with pytest.raises(SystemExit) as end:
            main()
    told, complained = (stream.buffer.getvalue().decode(encoding) for stream in (out, err))
    return subprocess.CompletedProcess(words, end.value.code or 0, told, complained)


def test_help_names_every_command_and_loads_neither_torch_nor_mpi_nor_pandas():
    code = (
        "import sys\nfrom nnlc.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(', '.join({'torch', 'mpi4py', 'pandas', 'numpy'} & sys.modules.keys()) or 0)"
    )
    job = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert job.returncode == 0, job.stderr
    for verb in get_command(app).commands:
        assert f" {verb} " in job.stdout


def test_every_word_of_a_help_text_is_shown_square_brackets_and_all():
    for verb, command in get_command(app).commands.items():
        for text in (command.help, *(each.help for each in command.params)):
            assert not text or Text.from_markup(text).plain == text, f"nnlc {verb} --help"


def test_specs_of_the_paper_lists_6000_networks_200_for_each_dataset_and_depth(tmp_path):
    job = run_nnlc("specs", "paper", "--csv", tmp_path / "paper.csv")
    assert job.returncode == 0, job.stderr
    with (tmp_path / "paper.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6000
    assert list(rows[0]) == [
        "index",
        *(column.name for column in METADATA_COLUMNS),
        "parameters",
        "forward_multiply_adds",
        "predicted_operations",
        "predicted_gpu_seconds",
        "predicted_gpu_memory_bytes",
    ]
    counts: dict[tuple[str, int], int] = {}
    for row in rows:
        key = (row["dataset"], len(row["convKernels"].split("-")))
        counts[key] = counts.get(key, 0) + 1
    datasets = ("CIFAR100", "FashionMNIST", "SVHN")
    assert counts == {(name, depth): 200 for name in datasets for depth in range(1, 11)}


def test_specs_summarises_a_campaign_without_csv():
    job = run_nnlc("specs", "smoke")
    assert job.returncode == 0
    assert "F-MNIST-sample" in job.stdout
    for way in ("on CPUs", "on GPUs", 'with convolutions = "direct"'):
        assert re.search(rf"operations as computed {way} +[0-9.]+e\+1[0-9]\n", job.stdout)


def test_campaigns_lists_what_is_shipped():
    job = run_nnlc("campaigns")
    assert job.returncode == 0
    for name in ("paper", "smoke", "fashion-mnist"):
        assert name in job.stdout
    assert "6000 networks" in job.stdout


def test_status_and_show_follow_a_job(alone, tmp_path):
    shutil.copytree(alone[1], tmp_path / "r")
    job = run_nnlc("status", tmp_path / "r")
    assert job.returncode == 0, job.stderr
    assert "12 of 12" in job.stdout
    job = run_nnlc("audit", tmp_path / "r")
    assert job.returncode == 0, job.stdout
    table = next((tmp_path / "r").glob("*_models/*.txt"))
    job = run_nnlc("show", table)
    assert job.returncode == 0, job.stderr
    assert table.stem in job.stdout
    assert "convolution" in job.stdout
    assert "validation accuracy" in job.stdout
    table.unlink()
    job = run_nnlc("status", tmp_path / "r")
    assert "10 of 12" in job.stdout


def test_status_names_failures_and_retry_clears_them(tmp_path):
    campaign = load_campaign(write_campaign(tmp_path, TINY))
    results = ResultsFolder(tmp_path / "r")
    results.open(campaign)
    first, second, third = [network.spec.id for network in campaign.networks()][:3]
    journal = Journal(results.journal_folder)
    journal.write("attempt", id=first, reason="loss \ud800 nan")
    for id_ in (first, second):
        journal.write("failure", id=id_, reason="out of memory\n\x1b[2J…")
    job = run_nnlc("status", "r", cwd=tmp_path, encoding="latin-1")
    assert job.returncode == 0, job.stderr
    assert f"{first} failed after 2 attempts: out of memory ?[2J?\n" in job.stdout
    assert f"{second} failed after 1 attempt: out of" in job.stdout
    assert "\nnnlc retry r clears failures\n" in job.stdout

    job = run_nnlc("retry", "r", first, third, cwd=tmp_path)
    assert job.returncode == 1
    assert f": {third}; those that failed are {first}, {second}\n" in job.stderr
    job = run_nnlc("retry", "r", second, cwd=tmp_path)
    assert job.stdout == f"{second} is no longer failed\n{NEXT_START}\n"
    job = run_nnlc("retry", "r", cwd=tmp_path)
    assert job.stdout == f"{first} is no longer failed\n{NEXT_START}\n"
    job = run_nnlc("retry", "r", cwd=tmp_path)
    whole = "r: no network has failed, and no table is damaged or foreign\n"
    assert (job.returncode, job.stdout) == (0, whole)
    assert "failed:" not in run_nnlc("status", "r", cwd=tmp_path).stdout


@pytest.mark.needs("published tables")
def test_show_draws_the_published_table():
    published = ROOT.parent / "shared" / "published" / "2021_02_15_13_55_26_539263.txt"
    job = run_nnlc("show", published)
    assert job.returncode == 0, job.stderr
    assert "12420" in job.stdout


def test_render_writes_a_job_script(tmp_path):
    script = tmp_path / "job.sh"
    job = run_nnlc("render", "smoke", "--site", "slurm", "--nodes", 2, "-o", script)
    assert job.returncode == 0, job.stderr
    assert "#SBATCH --nodes=2" in script.read_text()
    assert "nnlc.worker smoke" in script.read_text()


BAD = {
    "a campaign that is not there": (["specs", "nope"], "no file and no shipped name 'nope'"),
    "a file that can't be written": (
        ["specs", "smoke", "--csv", "/no/such/folder/x.csv"],
        "/no/such",
    ),
    "a folder that holds no results": (["status", "."], "no results folder"),
    "a retry where no results are": (["retry", "."], "no results folder"),
    "a table that is not there": (["show", "no.txt"], "no.txt"),
    "a table that is none": (["show", str(ROOT / "pyproject.toml")], "line 1"),
    "an unknown site": (["render", "smoke", "--site", "nowhere"], "nowhere"),
    "images that are not there": (["describe", "no.npz"], "no.npz"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_mistake_is_one_message_without_a_traceback(tmp_path, kind):
    arguments, word = BAD[kind]
    job = run_nnlc(*arguments, cwd=tmp_path)
    assert job.returncode == 1
    assert job.stderr.startswith("error: ")
    assert word in job.stderr
    assert "Traceback" not in job.stderr
    assert job.stdout == ""


def test_describe_prints_what_makes_a_campaign_of_images_of_ones_own_run(tmp_path):
    import numpy as np

    rng = np.random.default_rng(1)
    labels = np.arange(600) % 3
    pixels = (rng.random((600, 2, 12, 12)) * 80 + labels[:, None, None, None] * 80).astype("uint8")
    np.savez(
        tmp_path / "blobs.npz",
        train_images=pixels[:400],
        train_labels=labels[:400],
        validation_images=pixels[400:],
        validation_labels=labels[400:],
    )
    job = run_nnlc("describe", tmp_path / "blobs.npz", cwd=tmp_path)
    assert job.returncode == 0, job.stderr
    head = TINY[: TINY.index("[datasets")]
    space = TINY[TINY.index("[space]") :]
    assert job.stdout.count("networks_per_depth = 1\n") == 1
    text = job.stdout.replace("_per_depth = 1\n", "_per_depth = 1\ndepths = [1, 2]\n")
    campaign = write_campaign(tmp_path, head + text + space)
    done = run_worker(campaign, "--results", tmp_path / "r")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "r" / "blobs_models").glob("*.txt"))) == 2


def test_submit_names_the_campaign_whose_images_are_to_be_staged(tmp_path):
    asked = ["submit", "fashion-mnist", "--site", "slurm", "--dry-run", "--python", sys.executable]
    job = run_nnlc(*asked, "--images", tmp_path / "none", cwd=tmp_path)
    assert job.stderr.endswith(f"run: nnlc stage fashion-mnist --root {tmp_path / 'none'}\n")
