"""Job scripts: what a user says reaches the worker unchanged, and each scheduler gets its due."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from site_files import (
    GOLDEN,
    OWN_SITES,
    QUOTED_SITE,
    SCHEDULERS,
    SITES,
    own_site,
    render,
    shipped_site,
)

from nnlc.errors import SiteError
from nnlc.launching import render as rendering
from nnlc.schedulers.lint import lint_file, lint_script
from nnlc.schedulers.lsf import Lsf
from nnlc.schedulers.site import Site, load_site
from nnlc.schedulers.slurm import Slurm
from nnlc.system.shipped import shipped_folder, shipped_names


def golden_case(name: str, campaign: str, folder: Path) -> str:
    """A site with its own defaults; one of one's own and all that one asks; or another queue."""
    site = golden_site(name, campaign, folder)
    if campaign in ("smoke", "array"):
        return render("smoke", site, elements=3 if campaign == "array" else 1)
    if campaign in ("queue", "quoted"):
        results = None if campaign == "queue" else "/results/a $(touch x)"
        return render("curves", site, nodes=1, walltime_minutes=30, results=results)
    local = not site.scheduler.has_queue
    return render(
        "paper",
        site,
        nodes=1 if local else max(8, site.nodes),
        walltime_minutes=None if local else 115,
        elements=1 if local else 12,
        results="results/the paper's",
        images="/projects/abc123/images",
        python="/opt/my env/bin/python",
        script="/projects/abc123/results/paper/jobs/paper.sh",
    )


def golden_site(name: str, campaign: str, folder: Path) -> Site:
    """The site of a golden script."""
    if campaign == "queue":
        return load_site(name, account="ABC123", queue=[QUEUES[name]])
    if campaign == "quoted":
        return own_site(folder, QUOTED_SITE)
    is_own = campaign == "paper" and name in OWN_SITES
    return own_site(folder, OWN_SITES[name]) if is_own else shipped_site(name)


QUEUES = {"frontier": "extended", "perlmutter": "preempt", "polaris": "capacity"}
QUEUES |= {"alps": "debug", "lumi": "small-g"}
"""Another queue of each site that has several."""
CASES = [
    (name, campaign)
    for name in SITES
    for campaign in ("smoke", "paper", "array")
    if campaign != "array" or load_site(name).scheduler.has_queue
]
CASES += [*((name, "queue") for name in QUEUES), ("lumi", "quoted")]


@pytest.mark.parametrize(("name", "campaign"), CASES)
def test_a_rendered_script_is_its_golden_file(name, campaign, tmp_path):
    golden = (GOLDEN / f"{name}-{campaign}.sh").read_text(encoding="utf-8")
    assert golden_case(name, campaign, tmp_path) == golden


def test_each_golden_file_has_a_test():
    expected = {f"{name}-{campaign}.sh" for name, campaign in CASES}
    assert {path.name for path in GOLDEN.glob("*.sh")} == expected


@pytest.mark.parametrize(("name", "campaign"), CASES)
def test_bash_shellcheck_and_our_own_rules_accept_each_golden_file(name, campaign, tmp_path):
    golden = GOLDEN / f"{name}-{campaign}.sh"
    beside_python = str(Path(sys.executable).parent)
    shellcheck = shutil.which("shellcheck", path=f"{beside_python}{os.pathsep}{os.environ['PATH']}")
    assert shellcheck, "shellcheck is missing: pip install 'nnlc[dev]'"
    # SC1091: the files that a site's own lines source are not there to follow.
    for command in (["bash", "-n"], [shellcheck, "--exclude=SC1091"]):
        done = subprocess.run([*command, golden], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = lint_file(golden, golden_site(name, campaign, tmp_path))
    assert all(finding.note and "memory" in finding.problem for finding in found)
    assert bool(found) == (name in ("slurm", "pbs") and campaign != "paper")


def test_no_template_speaks_of_tmpdir():
    for path in shipped_folder("launch").iterdir():
        assert "TMPDIR" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_there_is_one_rank_a_gpu(scheduler):
    site = shipped_site(scheduler).model_copy(update={"gpus_per_node": 3, "max_nodes": None})
    script = render("paper", site, nodes=5)
    flags = {"slurm": "--ntasks=15 ", "lsf": 'jsrun -n "$ranks" -r 3 ', "local": "mpirun -np 15 "}
    flags |= {"pbs": 'mpiexec -n "$ranks" -ppn 3 '}
    assert flags[scheduler] in script.split("One rank per GPU")[1]
    assert ("\nranks=15 rank_nodes=5 spare=0 " in script) == (scheduler in ("lsf", "pbs"))


@pytest.mark.parametrize(
    ("minutes", "slurm", "lsf"),
    [
        (5, "00:05:00", "0:05"),
        (60, "01:00:00", "1:00"),
        (90, "01:30:00", "1:30"),
        (1505, "25:05:00", "25:05"),
        (6000, "100:00:00", "100:00"),
    ],
)
def test_wall_times_are_in_each_schedulers_own_form(minutes, slurm, lsf):
    assert (Slurm().walltime(minutes), Lsf().walltime(minutes)) == (slurm, lsf)
    asked = render("paper", shipped_site("slurm"), walltime_minutes=minutes)
    assert f"#SBATCH --time={slurm}\n" in asked
    asked = render("paper", shipped_site("lsf"), walltime_minutes=minutes)
    assert f"#BSUB -W {lsf}\n" in asked


def test_more_nodes_or_minutes_than_the_site_has_are_refused_with_the_limit(tmp_path):
    text = 'extends = "slurm"\nmax_nodes = 8\nmax_walltime_minutes = 360'
    site = own_site(tmp_path, text)
    assert render("paper", site, nodes=8, walltime_minutes=360)
    with pytest.raises(SiteError, match=r"nodes = 9: slurm has max_nodes = 8"):
        render("paper", site, nodes=9)
    with pytest.raises(
        SiteError, match=r"walltime_minutes = 361, but a job of 1 node on slurm may last 360"
    ):
        render("paper", site, walltime_minutes=361)


@pytest.mark.parametrize(
    ("scheduler", "elements", "line"),
    [
        ("slurm", 1, '#SBATCH --output="/my logs/%j.out"'),
        ("slurm", 2, '#SBATCH --output="/my logs/%A_%a.out"'),
        ("lsf", 1, '#BSUB -o "/my logs/%J.out"'),
        ("lsf", 2, '#BSUB -o "/my logs/%J-%I.out"'),
        ("pbs", 1, '#PBS -o "/my logs/"'),  # qsub(1B): the default name has the job's ID
        ("pbs", 2, '#PBS -o "/my logs/"'),
    ],
)
def test_a_log_is_named_by_the_job_s_id_in_the_folder_that_is_asked_for(scheduler, elements, line):
    site = shipped_site(scheduler)
    script = render("smoke", site, elements=elements, logs="/my logs")
    assert f"\n{line}\n" in script
    assert script.count("/my logs") == 1
    assert all(finding.note for finding in lint_script(script, site))


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("key", ["nodes", "walltime_minutes"])
def test_less_than_one_node_or_minute_is_refused(key, value):
    with pytest.raises(SiteError, match=f"{key} must be a number from 1 to .*; found {value}"):
        render("paper", load_site("slurm"), **{key: value})


def test_an_account_that_the_site_demands_is_asked_for():
    with pytest.raises(SiteError, match=r"site lsf, key account: .*extends = "):
        render("paper", load_site("lsf"))


NOT_FOR_A_DIRECTIVE = ["a b", "-x", "a;b", "$(touch x)", "a\n#SBATCH --nodes=9", "a\n", "", "é"]


@pytest.mark.parametrize("value", NOT_FOR_A_DIRECTIVE)
@pytest.mark.parametrize("key", ["account", "queue"])
def test_a_site_file_with_an_unsafe_directive_value_is_refused_by_file_and_key(
    key, value, tmp_path
):
    escaped = value.replace("\n", "\\n")
    with pytest.raises(SiteError, match=rf"site\.toml, key {key}: a directive takes letters"):
        own_site(tmp_path, f'extends = "slurm"\n{key} = "{escaped}"\n')


@pytest.mark.parametrize("value", [text for text in NOT_FOR_A_DIRECTIVE if text])
@pytest.mark.parametrize("scheduler", ["slurm", "lsf", "pbs"])
def test_an_unsafe_directive_value_is_refused_wherever_it_came_from(scheduler, value, tmp_path):
    for key in ("account", "queue"):
        site = shipped_site(scheduler).model_copy(update={key: value})
        with pytest.raises(SiteError, match="a directive takes letters"):
            render("paper", site)


@pytest.mark.parametrize("key", ["setup", "directives", "launcher_options"])
def test_a_site_line_with_a_newline_is_refused(key, tmp_path):
    with pytest.raises(SiteError, match=rf"key {key}\.1: must be one line"):
        own_site(tmp_path, f'extends = "slurm"\n{key} = ["a", "b\\nc"]\n')
    site = load_site("slurm").model_copy(update={key: ("a\nb",)})
    with pytest.raises(SiteError, match="must be one line"):
        render("paper", site)


def test_a_partition_is_a_queue_in_site_files_and_on_the_command_line(tmp_path):
    site = own_site(tmp_path, 'extends = "frontier"\naccount = "A"\npartition = "gpu"\n')
    assert site.queue == "gpu"
    assert "#SBATCH --partition=gpu\n" in render("smoke", site)
    path = tmp_path / "site.toml"
    assert load_site(path, queue=["long"]).queue == "long"
    with pytest.raises(SiteError, match="--queue and --partition mean the same"):
        load_site(path, queue=["a", "b"])
    with pytest.raises(SiteError, match=r"site\.toml, key partition: means the same as queue"):
        own_site(tmp_path, 'extends = "slurm"\npartition = "a"\nqueue = "a"\n')
    with pytest.raises(SiteError, match="--queue: local is a local site"):
        load_site("local", queue=["a"])


def test_an_unknown_site_key_is_refused_with_the_valid_ones(tmp_path):
    with pytest.raises(SiteError) as refusal:
        own_site(tmp_path, 'extends = "slurm"\nacount = "m1234"\n')
    assert f"{tmp_path / 'site.toml'}, key acount: " in str(refusal.value)
    assert "did you mean 'account'?" in str(refusal.value)
    assert all(key in str(refusal.value) for key in ("extends", *Site.model_fields))


def test_an_unknown_site_is_refused_with_the_valid_ones():
    with pytest.raises(SiteError, match=r"did you mean 'slurm'.*lsf.*\.toml file"):
        load_site("slrum")


@pytest.mark.parametrize("name", ['"flux"', "[]", "3"])
def test_an_unknown_scheduler_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(
        SiteError, match=r"key scheduler: must be one of local, lsf, pbs, slurm; docs/"
    ):
        own_site(tmp_path, f'extends = "slurm"\nscheduler = {name}\n')


def test_text_is_no_number_in_a_site_file(tmp_path):
    with pytest.raises(SiteError, match=r"key gpus_per_node: must be a whole number"):
        own_site(tmp_path, 'extends = "slurm"\ngpus_per_node = "4"\n')


def test_a_site_file_changes_only_what_it_says(tmp_path):
    site = own_site(tmp_path, 'extends = "slurm"\ncores_per_rank = 16\n')
    assert site == load_site("slurm").model_copy(
        update={"cores_per_rank": 16, "tried": "never run"}
    )


@pytest.mark.parametrize(
    ("directives", "lines"),
    [
        ([], ["-alloc_flags gpumps"]),
        (["-env all"], ["-env all", "-alloc_flags gpumps"]),
        (["-alloc_flags 'nvme smt1'", "-env all"], ['-alloc_flags "nvme smt1 gpumps"', "-env all"]),
        (['-alloc_flags "GPUMPS nvme"'], ['-alloc_flags "GPUMPS nvme"']),
        (["-alloc_flags nvme"], ['-alloc_flags "nvme gpumps"']),
        (
            ["-x -alloc_flags 'nvme smt1' -env 'all, A=b c' # mine"],
            ["-alloc_flags \"nvme smt1 gpumps\" -x -env 'all, A=b c'"],
        ),
        (["-x -alloc_flags gpumps"], ["-x -alloc_flags gpumps"]),
    ],
)
def test_lsf_is_asked_for_the_service_in_the_one_line_that_counts(directives, lines):
    site = shipped_site("lsf").model_copy(update={"mps": True, "directives": tuple(directives)})
    script = render("smoke", site)
    assert "".join(f"#BSUB {line}\n" for line in lines) + "# Rendered" in script
    assert script.count("gpumps") + script.count("GPUMPS") == 1
    assert "--mps" not in script
    assert "gpumps" not in render("smoke", site.model_copy(update={"mps": False, "directives": ()}))


@pytest.mark.parametrize("scheduler", ["slurm", "local"])
def test_each_rank_starts_a_service_where_the_site_has_mps_and_as_many_trainers_as_it_says(
    scheduler,
):
    site = shipped_site(scheduler)
    plain = render("smoke", site)
    assert "--mps" not in plain
    assert "--trainers" not in plain
    asked = render("smoke", site.model_copy(update={"mps": True, "trainers_per_gpu": 3}))
    added = set(asked.split("\n")) - set(plain.split("\n"))
    assert added == {"    --trainers 3 \\", "    --mps \\"}


@pytest.mark.parametrize("value", ["0", '"many"', "1.5"])
def test_trainers_of_a_gpu_are_a_number_or_auto(value, tmp_path):
    with pytest.raises(SiteError, match=r"site\.toml, key trainers_per_gpu: .*'auto'"):
        own_site(tmp_path, f'extends = "slurm"\ntrainers_per_gpu = {value}\n')
    text = 'extends = "slurm"\ntrainers_per_gpu = "auto"\n'
    assert own_site(tmp_path, text) == own_site(tmp_path, 'extends = "slurm"\n')


def test_each_shipped_site_cites_its_manual_on_its_first_line():
    for name, path in shipped_names("site_configs", ".toml").items():
        assert path.read_text(encoding="utf-8").startswith("# https://"), name
        assert load_site(name).name == name


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("{{ job_name | word }}", "{{ misspelt | word }}"),
        ("{{ walltime }}", "{{ misspelt }}"),
        ("{% if account %}", "{% if misspelt %}"),
        ("determinism.OMP_NUM_THREADS", "determinism.misspelt"),
    ],
)
def test_a_misspelt_template_word_is_refused_instead_of_rendered_empty(
    right, wrong, tmp_path, monkeypatch
):
    shutil.copytree(shipped_folder("launch"), tmp_path / "launch")
    template = tmp_path / "launch" / "lsf.sh.j2"
    text = template.read_text(encoding="utf-8")
    assert right in text
    template.write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(rendering, "shipped_folder", lambda name: tmp_path / name)
    with pytest.raises(SiteError, match=r"template lsf\.sh\.j2: .*'misspelt'"):
        render("paper", shipped_site("lsf"))


def test_a_template_of_ones_own_extends_a_shipped_one(tmp_path):
    (tmp_path / "ours.sh.j2").write_text(
        '{% extends "slurm.sh.j2" %}\n'
        "{% block stage %}\nmy-own-staging {{ nodes }}\n{% endblock %}\n"
    )
    site = own_site(tmp_path, 'extends = "slurm"\ntemplate = "ours.sh.j2"\n')
    script = render("smoke", site, nodes=3)
    assert "\nmy-own-staging 3\n" in script
    assert "srun --nodes=3" in script
    (tmp_path / "ours.sh.j2").write_text('{% extends "slurm.sh.j2" %}{% block stage %}{{ nods }}')
    with pytest.raises(SiteError, match=r"ours\.sh\.j2: "):
        render("smoke", site)


def test_a_site_of_ones_own_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "nnlc").mkdir()
    (tmp_path / "nnlc" / "ours.toml").write_text('extends = "slurm"\nname = "ours"\nnodes = 7\n')
    assert load_site("ours").nodes == 7
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.toml").write_text('extends = "slurm"\nname = "ours"\nnodes = 8\n')
    assert load_site("ours").nodes == 8


@pytest.mark.parametrize("home", ["no home", "one that can't be looked into"])
def test_a_site_needs_no_home(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/" + "x" * 300)
    if home == "no home":

        def fail():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", fail)
    assert load_site("slurm").name == "slurm"
    (tmp_path / "ours.toml").write_text('extends = "slurm"\nname = "ours"\n')
    assert load_site("ours").name == "ours"
    with pytest.raises(SiteError, match="no file and no shipped name 'other'"):
        load_site("other")
