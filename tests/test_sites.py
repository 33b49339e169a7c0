"""The list of shipped sites, and the lines of `nnlc doctor` that a user can send back."""

import tomllib

import pytest
from site_files import own_site
from typer.testing import CliRunner

from nnlc.cli import app, doctor_text
from nnlc.errors import SchedulerError
from nnlc.schedulers.site import load_site
from nnlc.schedulers.slurm import Slurm
from nnlc.system.shipped import shipped_names

SHIPPED = shipped_names("site_configs", ".toml")


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_site_says_whether_nnlc_was_ever_run_there(name):
    assert "tried" in tomllib.loads(SHIPPED[name].read_text(encoding="utf-8"))


def test_a_site_file_does_not_take_over_where_another_was_run(tmp_path):
    assert load_site("slurm").tried == "in nnlc's tests"
    assert own_site(tmp_path, 'extends = "slurm"\n').tried == "never run"
    assert own_site(tmp_path, 'extends = "slurm"\ntried = "in May"\n').tried == "in May"


def test_every_shipped_site_is_listed_with_its_queues_and_its_runs():
    job = CliRunner().invoke(app, ["sites"])
    first, *lines = job.output.splitlines()
    assert first.split()[0] == "site"
    assert [line.split()[0] for line in lines] == list(SHIPPED)
    [frontier] = [line for line in lines if line.startswith("frontier")]
    assert frontier.split("  ")[-1].strip() == "never run"
    assert "  8 MI250X 64 GB  batch, extended  " in frontier
    assert max(map(len, job.output.splitlines())) <= 100


def test_the_plan_of_a_campaign_is_listed_for_each_site_with_a_gpu(tmp_path):
    words = ["sites", "--plan", "smoke", "--results", str(tmp_path / "new")]
    job = CliRunner().invoke(app, words)
    head, *lines, without = job.output.splitlines()
    assert [line.split()[0] for line in lines] == [n for n in SHIPPED if load_site(n).gpu]
    assert without.endswith("table [gpu] of a site file: local, lsf, pbs, slurm")
    end = head.index("node-hours") + len("node-hours")
    assert all(line[end - 1].isdigit() and line[end : end + 2] == "  " for line in lines)


def test_doctor_prints_versions_site_scheduler_and_node_between_two_marks(monkeypatch):
    def ranks(words):
        assert words == ["smoke", "--images", "images", "--device", "auto", "--preflight"]
        print("what the ranks found")
        return 3

    monkeypatch.setattr("nnlc.worker.main", ranks)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "3")
    job = CliRunner().invoke(app, ["doctor", "--site", "lumi"])
    first, versions, extras, site, scheduler, node, launcher, found, last = job.output.splitlines()
    assert "send the lines from here" in first
    assert versions.startswith("versions: nnlc ")
    assert extras.startswith("extras: ")
    assert site == "site: lumi, Slurm, never run, queue standard-g"
    assert scheduler.startswith("scheduler: ")
    assert "where the site has 8" in node
    assert "ROCR_VISIBLE_DEVICES=3" in node
    assert launcher == "launcher: none"
    assert found == "what the ranks found"
    assert "to here; status 3" in last
    assert job.exit_code == 3


def test_doctor_of_a_site_without_gpus_speaks_of_ranks_and_asks_for_no_gpu(tmp_path, monkeypatch):
    site = tmp_path / "ours.toml"
    site.write_text('extends = "pbs"\nname = "ours"\ndevice = "cpu"\ngpus_per_node = 2\n')
    asked = []
    monkeypatch.setattr("nnlc.worker.main", lambda words: asked.append(words) or 0)
    job = CliRunner().invoke(app, ["doctor", "--site", str(site)])
    assert "; the site starts 2 ranks on a node, without GPUs" in job.output
    assert "GPUs where the site has" not in job.output
    assert asked[0][-3:] == ["--device", "cpu", "--preflight"]


def test_only_the_first_rank_prints_the_lines_of_doctor(monkeypatch):
    monkeypatch.setattr("nnlc.worker.main", lambda _: 0)
    for rank, printed in (("0", True), ("1", False)):
        for name, value in (("PROCID", rank), ("STEP_NUM_TASKS", "2"), ("LOCALID", rank)):
            monkeypatch.setenv(f"SLURM_{name}", value)
        job = CliRunner().invoke(app, ["doctor"])
        assert ("launcher: srun, 2 ranks" in job.output) == printed
        assert bool(job.output) == printed


def test_doctor_quotes_a_scheduler_that_does_not_answer_in_one_line(monkeypatch):
    def silent(_):
        raise SchedulerError("sinfo did not answer\nwithin 60 s")

    monkeypatch.setattr(doctor_text.shutil, "which", lambda name: name == "sinfo" or None)
    monkeypatch.setattr(Slurm, "version", silent)
    lines = list(doctor_text.report_lines(None))
    assert "scheduler: Slurm (sinfo did not answer)" in lines
    assert "site: not given, by --site" in lines
    monkeypatch.setattr(Slurm, "version", lambda _: "slurm 24.05.1\n")
    assert "scheduler: Slurm (slurm 24.05.1)" in list(doctor_text.report_lines(None))


def test_doctor_of_an_unknown_site_says_so_before_anything():
    job = CliRunner().invoke(app, ["doctor", "--site", "lmui"])
    assert "did you mean 'lumi'" in str(job.exception)
    assert job.output == ""
