"""Ranks in a container: the image is checked, and sees results, images and campaign."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from containers import STANDINS, with_apptainer, write_image
from limits import HANG_SECONDS, wait_until
from site_files import own_site
from typer.testing import CliRunner
from worker_jobs import TINY, events, mpirun, slow_steps, tables, write_campaign

from nnlc import __version__
from nnlc.cli import app
from nnlc.errors import SiteError
from nnlc.launching.render import Request, render_script
from nnlc.schedulers.container import Container
from nnlc.schedulers.lint import lint_script
from nnlc.schedulers.site import load_site
from nnlc.system.shipped import shipped_folder

ROOT = Path(__file__).parent.parent
HOSTILE = 'a, b:c "d" $(touch x) `touch x` it\'s'


def site_in(folder: Path, container: str, more: str = "", extends: str = "local") -> Path:
    path = folder / "boxed.toml"
    path.write_text(
        f'extends = "{extends}"\nname = "boxed"\ndevice = "cpu"\ngpus_per_node = 2\n'
        f"container = '''{container}'''\n{more}"
    )
    return path


@pytest.mark.needs("mounting")
def test_ranks_in_a_container_save_and_go_on_to_the_bytes_of_those_outside(alone, tmp_path):
    """The folders of the job have hostile names, and all that is not bound is hidden."""
    here = tmp_path / "here"
    campaign, results = here / "the campaign" / "tiny.toml", here / HOSTILE / "r"
    campaign.parent.mkdir(parents=True)
    write_campaign(campaign.parent)
    write_image(here / "nnlc $(touch x).sif")
    site = load_site(site_in(here, "apptainer exec --nv 'nnlc $(touch x).sif'"))
    request = Request(campaign=str(campaign), results=str(results), python="python3")
    script = here / "job.sh"
    script.write_text(render_script(request, site))
    slowly = slow_steps(tmp_path, HANG_SECONDS)
    environment = {**os.environ, **with_apptainer(here)}
    environment["PATH"] = f"{Path(mpirun()).parent}{os.pathsep}{environment['PATH']}"
    how = {"cwd": here, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    first = subprocess.Popen(["bash", script], env={**environment, **slowly}, **how)
    steps = tmp_path / "steps.txt"
    wait_until(steps.exists, pause=0.1, process=first)
    first.terminate()
    said, _ = first.communicate(timeout=HANG_SECONDS)
    assert first.returncode == 75, said
    assert not tables(results)
    again = subprocess.run(["bash", script], env=environment, timeout=HANG_SECONDS, **how)
    assert again.returncode == 0, again.stdout
    assert tables(results) == tables(alone[1])
    assert len(events(results, "job")) == 2
    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize("extends", ["slurm", "lsf", "local"])
def test_the_command_stands_between_the_launcher_and_python_and_keeps_the_rules(extends, tmp_path):
    text = f'name = "boxed"\nextends = "{extends}"\ncontainer = "apptainer exec --nv nnlc.sif"\n'
    text += "" if extends == "local" else 'exclusive = false\naccount = "A"\n'
    text += "" if extends != "slurm" else 'local_disk = "/mnt/bb/$USER"\n'
    site = own_site(tmp_path, text if extends != "lsf" else text.replace("false", "true"))
    request = Request(campaign="paper", results="/p/r", images="/p/images", python="python3")
    script = render_script(request, site)
    assert not lint_script(script, site)
    launch = script.split("One rank per GPU")[1].partition("\nlauncher=$!")[0]
    last = {"slurm": "--label", "lsf": "gpu-cpu", "local": "/dev/null"}[extends]
    words = shlex.split(launch.replace("\\\n", "").split(last)[1])
    at = words.index("apptainer")
    ends = words.index("-m")
    seen = "$staged" if extends == "slurm" else "/p/images"
    assert words[at:ends] == [
        *("apptainer", "exec", "--nv", "--bind", "/p/r", "--bind", seen),
        *(f"{tmp_path}/nnlc.sif", "python3"),
    ]
    assert f"[ -r {tmp_path}/nnlc.sif ] || end_job 1" in script


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ("", "must not be empty"),
        ("apptainer exec", "must be as"),
        ("docker run image", "start any other container by launcher_options"),
        ("apptainer run a.sif", "must be as"),
        ("apptainer --silent now exec a.sif", "must be as"),
        ("apptainer exec 'a.sif", "must be as"),
        ("apptainer exec a.sif --nv", "must end with the image; found '--nv'"),
        ("apptainer exec docker://x/y", r"apptainer build IMAGE.sif docker://x/y"),
        ("apptainer exec --cleanenv a.sif", "--cleanenv hides the launcher's variables"),
        ("apptainer exec -ce a.sif", "-ce hides the launcher's variables"),
        ("singularity exec --containall a.sif", "--containall hides"),
        ("apptainer exec a.sif\nrm -r /", "must be one line"),
    ],
)
def test_a_command_that_can_t_work_is_refused_with_its_file_and_key(container, problem, tmp_path):
    with pytest.raises(SiteError, match=r"boxed.toml, key container: .*" + problem):
        load_site(site_in(tmp_path, container))


def test_options_before_exec_and_paths_of_programs_are_right():
    for text in ("apptainer --silent exec a.sif", "/opt/bin/singularity exec -c --rocm a.sif"):
        assert str(Container.read(text)) == text


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with a Slurm site in a container, a sbatch that keeps count, and apptainer."""
    folder, commands = tmp_path / "project", tmp_path / "commands"
    folder.mkdir()
    commands.mkdir()
    sbatch = f"echo asked >> {tmp_path}/asked; echo 1"
    for name, text in (("sbatch", sbatch), ("squeue", "echo ARRAY_JOB_ID STATE")):
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    (commands / "apptainer").symlink_to(STANDINS / "apptainer")
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin:/usr/sbin")
    monkeypatch.setenv("APPTAINER_STANDIN_HIDES", str(folder))
    monkeypatch.chdir(folder)
    write_campaign(folder, TINY)
    return folder


def submit(folder: Path, container: str, *words: str, more: str = "exclusive = true\n") -> str:
    site = site_in(folder, container, more, "slurm")
    asked = ["submit", "tiny.toml", "--site", str(site), "--results", "new/r", *words]
    done = CliRunner().invoke(app, asked)
    was_asked = (folder.parent / "asked").exists()
    assert was_asked == (done.exit_code == 0), f"{done.output} {done.exception!r}"
    assert was_asked or not (folder / "new").exists()
    return done.output if was_asked else str(done.exception)


def python_that_says(folder: Path, *lines: str) -> Path:
    """A folder with a `python3` for an image, outside of what is hidden."""
    place = folder.parent / "in the image"
    place.mkdir()
    (place / "python3").write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    (place / "python3").chmod(0o755)
    return place


@pytest.mark.needs("mounting")
def test_a_job_is_submitted_if_the_image_has_this_nnlc_and_sees_the_folders(cluster):
    write_image(cluster / "nnlc.sif")
    said = submit(cluster, "apptainer exec --nv nnlc.sif")
    assert "note: " not in said
    assert "job 1: " in said
    script = (cluster / "new/r/jobs/boxed.sh").read_text()
    assert f" {cluster}/nnlc.sif \\\n    python3 -m nnlc.worker {cluster}/new/r/jobs/" in script


def test_an_image_that_is_not_there_is_told_with_its_recipe_and_nothing_is_submitted(cluster):
    problem = submit(cluster, "apptainer exec --nv nnlc.sif")
    recipe = shipped_folder("launch") / "nnlc.def"
    assert problem.startswith(
        f"site boxed, key container: {cluster}/nnlc.sif: no such image; {recipe} "
    )


@pytest.mark.needs("mounting")
@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["echo 0.1.0"],
            f"python3 in .*/nnlc.sif has nnlc 0.1.0: .* again with nnlc {__version__}$",
        ),
        (["echo \"No module named 'nnlc'\" >&2; exit 1"], "nnlc.sif has no nnlc: build the image"),
        (["echo hello"], "has nnlc hello: "),
        ([f"echo {__version__} 0"], "nnlc.sif lacks torch: build the image again"),
        (["exit 3"], "can't be asked for its nnlc: it said nothing"),
    ],
)
def test_an_image_with_another_nnlc_or_less_is_refused(cluster, lines, problem):
    write_image(cluster / "nnlc.sif", python_that_says(cluster, *lines))
    assert re.search(problem, submit(cluster, "apptainer exec --nv nnlc.sif"))


@pytest.mark.needs("mounting")
def test_what_apptainer_refuses_is_told_in_its_words(cluster):
    image = write_image(cluster / "nnlc.sif")
    told = submit(cluster, "apptainer exec --gpus nnlc.sif")
    assert "can't be asked for its nnlc: " in told
    assert "unknown flag: --gpus" in told
    told = submit(cluster, "apptainer exec --bind /not/there nnlc.sif")
    assert "mount source /not/there doesn't exist" in told
    told = submit(cluster, "apptainer exec nnlc.sif", "--python", "/opt/other/python")
    assert "can't be asked for its nnlc: " in told
    image.write_text("no image")
    assert "image format not recognized" in submit(cluster, "apptainer exec nnlc.sif")


@pytest.mark.needs("mounting")
def test_a_site_that_binds_nothing_is_told_before_anything_is_lost(cluster, monkeypatch):
    write_image(cluster / "nnlc.sif")
    monkeypatch.setenv("APPTAINER_STANDIN_NO_BINDS", "1")
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.chdir(cluster.parent)
    (cluster.parent / "tiny.toml").write_text(TINY)
    (cluster / "there").mkdir()
    asked = ["submit", "tiny.toml", "--results", str(cluster / "there" / "new"), "--site"]
    site = site_in(cluster, "apptainer exec nnlc.sif", "exclusive = true\n", "slurm")
    told = str(CliRunner().invoke(app, [*asked, str(site)]).exception)
    assert (
        f"key container: {cluster}/there can't be seen in the container: your site may not" in told
    )


def test_a_login_node_without_apptainer_is_told_what_is_not_checked(cluster):
    write_image(cluster / "nnlc.sif")
    (cluster.parent / "commands" / "apptainer").unlink()
    said = submit(cluster, "apptainer exec nnlc.sif")
    assert f"apptainer is not found on this machine, so the nnlc in {cluster}/nnlc.sif is" in said


def test_the_recipe_of_an_image_copies_all_that_a_package_is_built_of():
    text = (ROOT / "launch" / "nnlc.def").read_text()
    files = text.split("%files")[1].split("%post")[0].split()
    pairs = dict(zip(files[::2], files[1::2], strict=True))
    assert all((ROOT / name).exists() and to == f"/opt/source/{name}" for name, to in pairs.items())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*build["packages"], *build["force-include"], "pyproject.toml"}
    needed |= {project["project"]["readme"], "LICENSE"}
    assert pairs.keys() == needed
    sections = re.findall(r"^%(\w+)$", text, re.MULTILINE)
    assert sections == ["files", "post", "environment", "test"]
    for section in ("post", "environment", "test"):
        script = text.split(f"%{section}\n")[1].split("\n%")[0]
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "pip install --no-cache-dir '/opt/source[mpi]'" in text
