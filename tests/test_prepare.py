"""What was submitted is what runs, whatever its user edits, moves or submits afterwards."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from image_files import OWN, random_images
from table_samples import tree
from typer.testing import CliRunner

from nnlc import __version__
from nnlc.campaign.campaign import load_campaign
from nnlc.cli import app
from nnlc.errors import NnlcError, ResultsError, SiteError
from nnlc.launching.interpreter import find_python, nnlc_of
from nnlc.launching.prepare import prepare
from nnlc.launching.render import Request
from nnlc.results.folder import ResultsFolder
from nnlc.results.journal import Journal
from nnlc.schedulers.site import load_site
from nnlc.system.extras import EXTRAS
from nnlc.tables.folder_names import PART_NAMES
from nnlc.training.own_images import describe_npz

SITE = """
extends = "slurm"
name = "ours"
device = "cpu"
gpus_per_node = 1
template = "ours.sh.j2"
"""
SBATCH = "#!/bin/sh\nfor script; do :; done\ncat \"$script\" >> '{kept}'\necho 4711\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a campaign that extends another, images of one's own, a site and a template."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    np.savez(folder / "data" / "mine.npz", **random_images(OWN))
    described = describe_npz(folder / "data" / "mine.npz")
    keys = [line for line in described.splitlines() if re.match(r"\w+ = ", line)]
    own = "\n".join(line for line in keys if not line.startswith(("npz", "networks", "depths")))
    (folder / "below.toml").write_text('extends = "smoke"\nname = "mine"\nstop = "penguin"\n')
    (folder / "mine.toml").write_text(
        'extends = "below.toml"\nepochs = 9\n[run]\nattempts = 2\n'
        "[space]\nbatch_size = [1, 3]\nfilters = [1, 4]\nkernel = [1, 2]\n"
        "[datasets.F-MNIST-sample]\nnetworks_per_depth = 0\n"
        f'[datasets.own]\nnetworks_per_depth = 1\ndepths = [1, 1]\nnpz = "data/mine.npz"\n{own}\n'
    )
    (folder / "ours.toml").write_text(SITE)
    (folder / "ours.sh.j2").write_text('{% extends "slurm.sh.j2" %}')
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, text in (
        ("sbatch", SBATCH.format(kept=tmp_path / "queued.sh")),
        ("squeue", "#!/bin/sh\necho ARRAY_JOB_ID STATE\n"),
    ):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.chdir(folder)
    return folder


def submit(*words: object, status: int = 0) -> str:
    asked = ["submit", "mine.toml", "--site", "ours.toml", "--results", "r", *words]
    done = CliRunner().invoke(app, [str(word) for word in asked])
    assert (done.exit_code == 0) == (status == 0), f"{done.output}\n{done.exception!r}"
    return done.output if status == 0 else str(done.exception)


def named_campaign(script: str) -> Path:
    words = shlex.split(script.split("-m nnlc.worker ")[1].partition(" \\\n")[0])
    return Path(words[0])


def test_jobs_train_the_campaign_that_was_submitted_whatever_is_edited_later(project, tmp_path):
    submitted = load_campaign("mine.toml")
    submit()
    for path in ("mine.toml", "below.toml", "ours.toml", "ours.sh.j2"):
        Path(path).write_text("edited = \n")
    script = (tmp_path / "queued.sh").read_text()
    assert script == Path("r/jobs/ours.sh").read_text()
    copy = named_campaign(script)
    assert copy.parent == project / "r" / "jobs"
    assert load_campaign(copy) == submitted
    ResultsFolder(Path("r")).open(load_campaign(copy))  # no other campaign's folder
    paths = [word for word in re.findall(r"[^\s'\"=]*/[^\s'\"]*", script) if "project" in word]
    assert {Path(path).relative_to(project).parts[0] for path in paths} == {"r", "images"}


def test_another_submission_leaves_every_file_of_the_first_as_it_was(project):
    submit()
    first = {path: path.read_bytes() for path in Path("r/jobs").iterdir()}
    for change in ("--minutes", 60), ("--minutes", 90), ():
        assert "submitted" not in submit(*change)
    text = Path("mine.toml").read_text()
    Path("mine.toml").write_text(text.replace("attempts = 2", "attempts = 5"))
    assert "ours.4.sh" in submit()
    assert {path: path.read_bytes() for path in first} == first
    names = {path.name for path in Path("r/jobs").glob("*.sh")}
    assert names == {"ours.sh", "ours.2.sh", "ours.3.sh", "ours.4.sh"}
    attempts = [
        load_campaign(named_campaign(Path(f"r/jobs/{name}").read_text())).run.attempts
        for name in ("ours.sh", "ours.4.sh")
    ]
    assert attempts == [2, 5]


def test_a_project_that_moved_is_submitted_again_from_where_it_is(project, monkeypatch):
    submit()
    moved = project.with_name("moved")
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert f"{moved}/r/jobs/ours.2.sh" in submit()
    assert load_campaign(named_campaign(Path("r/jobs/ours.2.sh").read_text()))


@pytest.mark.parametrize("kind", ["script", "campaign"])
def test_a_file_that_came_to_stand_there_meanwhile_is_never_written_over(project, kind):
    folder = ResultsFolder(project / "r")
    loaded = load_campaign("mine.toml")
    submission = prepare(Request(campaign="mine.toml"), load_site("ours.toml"), folder, loaded)
    path = submission.campaign_file if kind == "campaign" else submission.scripts[0][0]
    folder.open(loaded)
    path.parent.mkdir()
    path.write_text("another's\n")
    with pytest.raises(ResultsError, match="another file has this name; submit once more"):
        submission.keep()
    assert path.read_text() == "another's\n"


@pytest.mark.parametrize("name", ["ours.sh", "campaign-*.toml"])
@pytest.mark.parametrize("stands", [os.mkfifo, lambda path: path.write_text("edited = \n")])
def test_what_stands_in_place_of_a_submitted_file_stays_and_holds_nothing_up(project, name, stands):
    submit()
    [path] = Path("r/jobs").glob(name)
    kept = path.rename("kept").read_text()
    stands(path)
    assert "ours.2.sh" in submit()
    script = Path("r/jobs/ours.2.sh").read_text()
    assert load_campaign(named_campaign(script)) == load_campaign("mine.toml")
    assert path.is_fifo() or path.read_text() != kept


@pytest.mark.parametrize("place", ["r", "r/jobs"])
def test_a_file_where_a_folder_belongs_is_named_and_nothing_waits(project, place):
    ResultsFolder(project / "r").open(load_campaign("mine.toml"))
    if place == "r":
        shutil.rmtree("r")
    Path(place).write_text("a file")
    refusal = submit("--images", "data", status=1)
    assert re.search(rf"/{place}.*can't be written", refusal)


def test_a_shipped_campaign_is_copied_too(project):
    request = Request(campaign="smoke")
    folder, loaded = ResultsFolder(project / "r"), load_campaign("smoke")
    submission = prepare(request, load_site("lsf", account="A"), folder, loaded)
    assert named_campaign(submission.scripts[0][1]) == submission.campaign_file
    assert "again=" + str(submission.scripts[0][0]) in submission.scripts[0][1]


def test_the_python_of_a_job_is_there_and_named_in_full(tmp_path, monkeypatch):
    plain = load_site("slurm")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env").symlink_to(Path(sys.executable).parent.parent)
    assert find_python("env/bin/python", plain) == str(tmp_path / "env/bin/python")
    assert find_python(None, plain) == sys.executable
    (tmp_path / "text").write_text("")
    for says, problem in (("0.1.0", "has nnlc 0.1.0: install nnlc "), ("", "has nnlc ")):
        (tmp_path / "old").write_text(f"#!/bin/sh\necho {says}\n")
        (tmp_path / "old").chmod(0o755)
        nnlc_of.cache_clear()
        with pytest.raises(SiteError, match=f"--python ./old {problem}"):
            find_python("./old", plain)
    light = tmp_path / "light"
    for missing, ranks, extra in (("", 1, ""), ("torch", 1, "train"), ("mpi4py", 2, "mpi")):
        numbers = EXTRAS["mpi"].index(missing) if missing else ""
        light.write_text(f"#!/bin/sh\necho loaded a module\necho {__version__} {numbers}\n")
        nnlc_of.cache_clear()
        light.chmod(0o755)
        if not missing:
            assert find_python("./light", plain) == str(light)
            continue
        lacks = rf"^the Python of the ranks, .*/light, lacks {missing}: run .*'nnlc\[{extra}\]'.*$"
        with pytest.raises(SiteError, match=lacks):
            find_python("./light", plain, ranks)
    with pytest.raises(SiteError, match=r"--python bash can't be asked for its nnlc: .*import"):
        find_python("bash", plain)
    of_site = plain.model_copy(update={"python": "/on/nodes/alone"})
    assert find_python(None, of_site) == "/on/nodes/alone"
    assert find_python(sys.executable, of_site) == sys.executable
    for wrong in ("env/bin/no-python", "no-python", "text", "./text", str(tmp_path)):
        with pytest.raises(SiteError, match=re.escape(f"--python {wrong}: no program here")):
            find_python(wrong, plain)
    by_module = plain.model_copy(update={"setup": ("module load python",)})
    assert find_python("python", by_module) == "python"
    with pytest.raises(SiteError):
        find_python("env/bin/no-python", by_module)
    inside = {"launcher_options": ("--mpi=pmix", "apptainer", "exec", "image.sif")}
    assert find_python("/opt/bin/python", plain.model_copy(update=inside)) == "/opt/bin/python"


def test_a_dry_run_writes_nothing_and_prints_a_script_that_needs_nothing_more(project):
    before = tree(project), sorted(project.rglob("*"))
    asked = ["submit", "mine.toml", "--site", "ours.toml", "--results", "r", "--dry-run"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert (tree(project), sorted(project.rglob("*"))) == before
    assert done.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=mine\n")
    assert "#SBATCH --output=mine-%j.out\n" in done.stdout
    assert f" -m nnlc.worker {project}/mine.toml \\\n    --results {project}/r \\\n" in done.stdout
    assert f"nnlc submit would run: sbatch {project}/r/jobs/ours.sh\n" in done.stderr
    assert (
        f"note: this script needs no file of 'nnlc submit', whose own, {project}/r/jobs/ours.sh, "
        f"reads a copy of the campaign and writes its log into {project}/r/logs\n"
    ) in done.stderr
    assert "no time is left for training" not in done.stderr
    short = CliRunner().invoke(app, [*asked, "--minutes", "6"])
    assert "note: --minutes 6: no time is left for training: 2 go into the start" in short.stderr
    Path("r").mkdir()
    Path("r/other").touch()
    assert "no campaign.toml" in str(CliRunner().invoke(app, asked).exception)
    refused = CliRunner().invoke(app, ["submit", "mine.toml", "--site", "local", "--dry-run"])
    assert "the site local has no scheduler" in str(refused.exception)


def test_a_campaign_without_a_network_to_train_is_not_submitted(project, tmp_path):
    submit()
    queued = (tmp_path / "queued.sh").read_text()
    for network in load_campaign("mine.toml").networks():
        Journal(Path("r/journal")).write("failure", id=network.spec.id, reason="no memory")
    for words in ([], ["--dry-run"]):
        said = submit(*words, status=1)
        assert "nothing to submit: 0 tables exist, " in said
        assert f"'nnlc retry {project}/r' lets the next start try these again" in said
    assert (tmp_path / "queued.sh").read_text() == queued


def test_the_log_of_a_job_is_in_the_results_folder_by_its_number(project, tmp_path):
    submit()
    script = (tmp_path / "queued.sh").read_text()
    assert f'#SBATCH --output="{project}/r/logs/%j.out"\n' in script
    assert "the folder where you submit" not in script
    assert Path("r/logs").is_dir()
    for name in ("4711.out", "47110.out"):
        Path("r/logs", name).touch()
    told = CliRunner().invoke(app, ["status", "r"]).output.replace("\n", "")
    assert told.endswith("job 4711: no longer in the queue; log: r/logs/4711.out")
    assert "logs" in {path.name for path in Path("r").iterdir()} & PART_NAMES


def test_a_log_folder_whose_name_a_scheduler_would_alter_is_not_named(project, tmp_path):
    submit("--results", "50%j")
    assert "#SBATCH --output=mine-%j.out\n" in (tmp_path / "queued.sh").read_text()


def test_render_names_a_python_and_a_results_folder_in_full(project):
    done = CliRunner().invoke(app, ["render", "mine.toml", "--site", "slurm"])
    assert f"\n    {sys.executable} -m nnlc.worker {project}/mine.toml \\\n" in done.stdout
    assert f"\n    --results {project}/results/mine \\\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--site", "slurm", "--python", "no-python"], "--python no-python: no program here"),
        (["--minutes", "4"], r"walltime_minutes = 4: .* it must be at least 5"),
        (["--elements", "9"], "elements = 9: the campaign has 1 network"),
        (["--nodes", "99999999"], "nodes must be a number from 1 to"),
    ],
)
def test_a_request_that_means_nothing_is_refused_before_anything_is_written(
    project, words, problem
):
    assert re.search(problem, submit(*words, status=1))
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("base", "line", "problem"),
    [
        ("slurm", "walltime_minutes = 4", "walltime_minutes = 4: .* at least 5"),
        ("slurm", "walltime_minutes = 60\nnotice = { minutes = 59 }", "at least 61"),
        ("lsf", 'account = "A"\nwalltime_minutes = 3', "walltime_minutes = 3: .* at least 4"),
        ("slurm", 'submit = "sbatch --qos=low"', "key submit: must be sbatch; put options"),
        ("lsf", 'submit = "sbatch"', "key submit: must be bsub or bsub <"),
        ("slurm", "bins = [{ nodes = [9, 1], hours = 2 }]", "must be .lowest, highest."),
        ("slurm", "bins = [{ nodes = [1, 9], hours = 0.01 }]", "greater than or equal"),
        ("slurm", 'directives = ["--nodes=9"]', "--nodes contradicts --nodes of line"),
        ("slurm", 'directives = ["--mem-per-gpu=40Q"]', "mem-per-gpu is '40Q'"),
        ("slurm", 'launcher_options = ["--gpus-per-task=2"]', "--gpus-per-task is 2"),
        ("slurm", 'launcher_options = ["--mpi pmix"]', "'--mpi pmix' is one word to a launcher"),
        ("slurm", 'launcher_options = ["--mpi=pmix --label"]', "several elements"),
        ("lsf", 'launcher_options = ["-b rs"]', "'-b rs' is one word to a launcher"),
        ("local", 'launcher_options = ["--bind-to none"]', "'--bind-to none' is one word"),
        ("slurm", 'directives = ["#SBATCH --exclusive"]', "nothing after the second #SBATCH"),
        ("slurm", 'directives = ["--mem=8G"]\nmemory_gigabytes_per_node = 9', "--mem contradicts"),
        ("slurm", "exclusive = true\nmemory_gigabytes_per_node = 9", "key exclusive: whole nodes"),
        ("lsf", 'account = "A"\nmemory_gigabytes_per_node = 9', "no option of LSF for this"),
        ("local", "exclusive = true", "key exclusive: nnlc has no option of local for this"),
        ("slurm", 'python = "env/bin/python"', "key python: must be an absolute path"),
        ("local", 'directives = ["-q x"]', "key directives: means nothing on a local site"),
        ("local", 'account = "a"', "key account: means nothing on a local site"),
        ("local", "walltime_minutes = 60", "key walltime_minutes: means nothing"),
        ("local", "notice = { minutes = 9 }", "key notice: means nothing"),
        ("local", 'local_disk = "/tmp"', "key local_disk: means nothing"),
    ],
)
def test_a_site_whose_words_mean_nothing_is_refused_by_render_with_words(
    tmp_path, monkeypatch, base, line, problem
):
    monkeypatch.chdir(tmp_path)
    Path("site.toml").write_text(f'extends = "{base}"\nname = "ours"\n{line}\n')
    done = CliRunner().invoke(app, ["render", "smoke", "--site", "site.toml", "-o", "job.sh"])
    assert isinstance(done.exception, NnlcError)
    assert re.search(problem, str(done.exception))
    assert not Path("job.sh").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--minutes", "60"], "walltime_minutes = 60: nothing ends a job on local"),
        (["--account", "a"], "--account: local is a local site"),
        (["--elements", "2"], "without a scheduler there is no job array"),
    ],
)
def test_options_that_only_a_scheduler_would_read_are_refused_on_a_local_site(words, problem):
    done = CliRunner().invoke(app, ["render", "smoke", "--site", "local", *words])
    assert re.search(problem, str(done.exception))


def test_render_writes_over_scripts_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('extends = "smoke"\n')

    def render(name: str) -> object:
        words = ["render", "mine.toml", "--site", "slurm", "-o", name]
        return CliRunner().invoke(app, words).exception

    assert render("job.sh") is None
    assert render("job.sh") is None
    Path("notes.txt").write_text("mine\n")
    assert "was not written by this command" in str(render("notes.txt"))
    assert Path("notes.txt").read_text() == "mine\n"
    assert render("mine.toml") is not None
    assert Path("mine.toml").read_text() == 'extends = "smoke"\n'


def test_an_array_longer_than_the_site_s_is_refused_by_render(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("site.toml").write_text('extends = "slurm"\nname = "ours"\nmax_array_elements = 4\n')
    words = ["render", "smoke", "--site", "site.toml", "--elements", "8"]
    assert "allows 4 elements; split the array; nnlc submit" in str(
        CliRunner().invoke(app, words).exception
    )
