"""Job scripts: what a user says reaches the worker unchanged, and each scheduler gets its due."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnlc.environment import DETERMINISM
from nnlc.errors import CampaignError, SiteError
from nnlc.launching import render
from nnlc.launching.render import lsf_walltime, render_script, slurm_walltime
from nnlc.launching.site import Site, load_site
from nnlc.shipped import shipped_folder, shipped_names

GOLDEN = Path(__file__).parent / "golden"
SCHEDULERS = ("slurm", "lsf", "local")

# Site files such as a user writes, and what goes with the larger campaign.
OWN_SITES = {
    "slurm": """
        extends = "slurm"
        name = "my-slurm"
        account = "m1234_g"
        queue = "gpu"
        max_nodes = 64
        directives = ["--constraint=gpu", "--qos=regular"]
        setup = ["module load python", 'source "$HOME/env/bin/activate"']
        launcher_options = ["--mpi=pmix", "--cpu-bind=cores"]
    """,
    "lsf": """
        extends = "lsf"
        name = "my-lsf"
        account = "ABC123"
        queue = "batch"
        directives = ["-alloc_flags 'nvme smt1'"]
        setup = ["module load python"]
    """,
    "local": """
        extends = "local"
        name = "my-workstation"
        gpus_per_node = 4
        setup = ["source env/bin/activate"]
        launcher_options = ["-bind-to", "core:2"]
    """,
}


def own_site(folder: Path, text: str) -> Site:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


def shipped_site(scheduler: str) -> Site:
    """A shipped site, with the account that the shipped LSF one can't know."""
    site = load_site(scheduler)
    return site.model_copy(update={"account": "ABC123"}) if site.account_required else site


def golden_case(scheduler: str, campaign: str, folder: Path) -> str:
    if campaign == "smoke":
        return render_script("smoke", shipped_site(scheduler))
    return render_script(
        "paper",
        own_site(folder, OWN_SITES[scheduler]),
        nodes=1 if scheduler == "local" else 8,
        walltime_minutes=1505,
        results="results/the paper's",
        python="/opt/my env/bin/python",
    )


@pytest.mark.parametrize("campaign", ["smoke", "paper"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_rendered_script_is_its_golden_file(scheduler, campaign, tmp_path):
    golden = (GOLDEN / f"{scheduler}-{campaign}.sh").read_text(encoding="utf-8")
    assert golden_case(scheduler, campaign, tmp_path) == golden


def test_each_golden_file_has_a_test():
    expected = {f"{s}-{c}.sh" for s in SCHEDULERS for c in ("smoke", "paper")}
    assert {path.name for path in GOLDEN.glob("*.sh")} == expected


@pytest.mark.parametrize("campaign", ["smoke", "paper"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_bash_and_shellcheck_accept_each_golden_file(scheduler, campaign):
    golden = GOLDEN / f"{scheduler}-{campaign}.sh"
    beside_python = str(Path(sys.executable).parent)
    shellcheck = shutil.which("shellcheck", path=f"{beside_python}{os.pathsep}{os.environ['PATH']}")
    assert shellcheck, "shellcheck is missing: pip install 'nnlc[dev]'"
    # SC1091: the files that a site's own lines source are not there to follow.
    for command in (["bash", "-n"], [shellcheck, "--exclude=SC1091"]):
        done = subprocess.run([*command, golden], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FAKE_MPIRUN = """#!/bin/bash
printf '%s\\0' "$@" > "$RECORD/argv"
env -0 > "$RECORD/env"
exit "${FAKE_STATUS:-0}"
"""


class Run:
    """A rendered `local` script, run with an mpirun that only writes down what it is given."""

    def __init__(self, script: str, folder: Path, status: int = 0) -> None:
        record, here = folder / "record", folder / "here"
        for new in (record, here):
            new.mkdir()
        mpirun = record / "mpirun"
        mpirun.write_text(FAKE_MPIRUN)
        mpirun.chmod(0o755)
        (record / "job.sh").write_text(script, encoding="utf-8", newline="")
        environment = {
            "PATH": f"{record}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(record),
            "FAKE_STATUS": str(status),
        }
        done = subprocess.run(
            ["bash", record / "job.sh"], cwd=here, env=environment, capture_output=True, check=False
        )
        self.status, self.output = done.returncode, done.stdout + done.stderr
        self.argv = self._split(record / "argv")
        self.environment = dict(item.split("=", 1) for item in self._split(record / "env"))
        self.left_behind = list(here.iterdir())

    @staticmethod
    def _split(path: Path) -> list[str]:
        return path.read_bytes().decode("utf-8").split("\0")[:-1]


hostile = st.text(
    st.sampled_from(" '\"$`\\()<>|&;*?[]{}#!~-=%\n\t\r\u2028éß漢ab") | st.characters(), max_size=40
)
well_known = [
    "a b",
    "it's",
    'a"b',
    "$(touch x)",
    "`touch x`",
    "a\\",
    "a\nb",
    "a\n#SBATCH --nodes=9",
    "-x",
    "--help",
    "~",
    "*",
    "",
    "größe-漢字",
    "a\x00b",
    "\ud800",
    "{{ 7 * 7 }}",
]


def each_well_known(test):
    for text in well_known:
        test = example(text)(test)
    return test


def renders(*args, **kwargs) -> str | None:
    """The script, or None if the value is refused."""
    try:
        return render_script(*args, **kwargs)
    except SiteError:
        return None


@each_well_known
@given(hostile)
@settings(max_examples=60, deadline=None)
def test_a_results_folder_of_any_name_arrives_unchanged_or_is_refused(text):
    script = renders("paper", load_site("local"), results=text)
    if script is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Run(script, Path(folder))
    assert run.argv == ["-np", "2", "python", "-m", "nnlc.worker", "paper", "--results", text]
    assert (run.status, run.output, run.left_behind) == (0, b"", [])


@each_well_known
@given(hostile)
@settings(max_examples=60, deadline=None)
def test_a_python_of_any_name_arrives_unchanged_or_is_refused(text):
    script = renders("paper", load_site("local"), python=text)
    if script is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Run(script, Path(folder))
    assert run.argv == ["-np", "2", text, "-m", "nnlc.worker", "paper"]
    assert (run.status, run.output, run.left_behind) == (0, b"", [])


@each_well_known
@given(hostile)
@settings(max_examples=60, deadline=None)
def test_a_campaign_file_of_any_name_arrives_by_its_absolute_path_or_is_refused(text):
    name = "".join(c for c in text if c not in "/\0" and not "\ud800" <= c <= "\udfff") + ".toml"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text('extends = "paper"\nname = "mine"\n')
        script = renders(str(path), load_site("local"))
        if script is None:
            return
        run = Run(script, Path(folder))
    assert run.argv == ["-np", "2", "python", "-m", "nnlc.worker", str(path)]
    assert (run.status, run.output, run.left_behind) == (0, b"", [])


@pytest.mark.parametrize("text", ["a b", "it's", "$(touch x)", "größe-漢字", "a\\", "#a"])
def test_names_that_people_do_use_are_not_refused(text, tmp_path):
    script = render_script("paper", load_site("local"), results=text, python=text)
    run = Run(script, tmp_path)
    assert (run.argv[2], run.argv[-1]) == (text, text)


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\rb", "\ud800", "", "-x"])
def test_values_that_no_script_can_hold_are_refused_by_name(text):
    for key in ("results", "python"):
        with pytest.raises(SiteError, match=f"^{key}: "):
            render_script("paper", load_site("local"), **{key: text})


def test_a_relative_campaign_path_becomes_absolute_even_if_it_begins_with_a_dash(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("-x.toml").write_text('extends = "paper"\n')
    run = Run(render_script("-x.toml", load_site("local")), tmp_path)
    assert run.argv[-1] == str(tmp_path / "-x.toml")


def test_a_bad_campaign_is_refused_before_a_script_is_written(tmp_path):
    with pytest.raises(CampaignError, match="did you mean 'paper'"):
        render_script("papr", load_site("local"))
    path = tmp_path / "mine.toml"
    path.write_text('extends = "paper"\nepoch = 3\n')
    with pytest.raises(CampaignError, match="did you mean 'epochs'"):
        render_script(str(path), load_site("local"))


@pytest.mark.parametrize("status", [0, 1, 3, 75])
def test_a_script_ends_with_the_status_of_its_launcher(status, tmp_path):
    assert Run(render_script("paper", load_site("local")), tmp_path, status).status == status


def test_a_failing_setup_line_ends_the_script_before_the_launcher():
    site = load_site("local").model_copy(update={"setup": ("false",)})
    script = render_script("paper", site)
    done = subprocess.run(["/bin/bash", "-c", script], env={"PATH": "/nowhere"}, check=False)
    assert done.returncode == 1


def test_setup_lines_may_read_variables_that_are_unset(tmp_path):
    site = load_site("local").model_copy(update={"setup": ("export SEEN=$NEVER_SET!",)})
    assert Run(render_script("paper", site), tmp_path).environment["SEEN"] == "!"


def test_ranks_start_with_the_determinism_switches_and_without_a_tmpdir_of_ours(tmp_path):
    run = Run(render_script("paper", load_site("local")), tmp_path)
    assert run.environment.items() >= DETERMINISM.items()
    assert "TMPDIR" not in run.environment


def test_no_template_speaks_of_tmpdir():
    for path in shipped_folder("launch").iterdir():
        assert "TMPDIR" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_there_is_one_rank_a_gpu(scheduler):
    site = shipped_site(scheduler).model_copy(update={"gpus_per_node": 3, "max_nodes": None})
    script = render_script("paper", site, nodes=5).split("set -euo pipefail")[1]
    flag = {"slurm": "--ntasks=15 ", "lsf": "jsrun -n 15 ", "local": "mpirun -np 15 "}[scheduler]
    assert flag in script


@pytest.mark.parametrize(
    ("minutes", "slurm", "lsf"),
    [
        (1, "00:01:00", "0:01"),
        (60, "01:00:00", "1:00"),
        (90, "01:30:00", "1:30"),
        (1505, "25:05:00", "25:05"),
        (6000, "100:00:00", "100:00"),
    ],
)
def test_wall_times_are_in_each_schedulers_own_form(minutes, slurm, lsf):
    assert (slurm_walltime(minutes), lsf_walltime(minutes)) == (slurm, lsf)
    asked = render_script("paper", shipped_site("slurm"), walltime_minutes=minutes)
    assert f"#SBATCH --time={slurm}\n" in asked
    asked = render_script("paper", shipped_site("lsf"), walltime_minutes=minutes)
    assert f"#BSUB -W {lsf}\n" in asked


def test_more_nodes_or_minutes_than_the_site_has_are_refused_with_the_limit(tmp_path):
    text = 'extends = "slurm"\nmax_nodes = 8\nmax_walltime_minutes = 360'
    site = own_site(tmp_path, text)
    assert render_script("paper", site, nodes=8, walltime_minutes=360)
    with pytest.raises(SiteError, match=r"nodes = 9, .* slurm has max_nodes = 8"):
        render_script("paper", site, nodes=9)
    with pytest.raises(SiteError, match=r"walltime_minutes = 361, .* max_walltime_minutes = 360"):
        render_script("paper", site, walltime_minutes=361)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("key", ["nodes", "walltime_minutes"])
def test_less_than_one_node_or_minute_is_refused(key, value):
    with pytest.raises(SiteError, match=f"{key} must be at least 1; found {value}"):
        render_script("paper", load_site("slurm"), **{key: value})


def test_an_account_that_the_site_demands_is_asked_for():
    with pytest.raises(SiteError, match=r"site lsf, key account: .*extends = "):
        render_script("paper", load_site("lsf"))


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
@pytest.mark.parametrize("scheduler", ["slurm", "lsf"])
def test_an_unsafe_directive_value_is_refused_wherever_it_came_from(scheduler, value, tmp_path):
    for key in ("account", "queue"):
        site = shipped_site(scheduler).model_copy(update={key: value})
        with pytest.raises(SiteError, match="a directive takes letters"):
            render_script("paper", site)


@pytest.mark.parametrize("key", ["setup", "directives", "launcher_options"])
def test_a_site_line_with_a_newline_is_refused(key, tmp_path):
    with pytest.raises(SiteError, match=rf"key {key}\.1: must be one line"):
        own_site(tmp_path, f'extends = "slurm"\n{key} = ["a", "b\\nc"]\n')
    site = load_site("slurm").model_copy(update={key: ("a\nb",)})
    with pytest.raises(SiteError, match="must be one line"):
        render_script("paper", site)


def test_launcher_options_are_quoted_for_the_shell(tmp_path):
    site = load_site("local").model_copy(update={"launcher_options": ("$(touch x)", "a b")})
    run = Run(render_script("paper", site), tmp_path)
    assert run.argv[2:4] == ["$(touch x)", "a b"]
    assert run.left_behind == []


def test_an_unknown_site_key_is_refused_with_the_valid_ones(tmp_path):
    with pytest.raises(SiteError) as refusal:
        own_site(tmp_path, 'extends = "slurm"\nacount = "m1234"\n')
    assert f"{tmp_path / 'site.toml'}, key acount: " in str(refusal.value)
    assert "did you mean 'account'?" in str(refusal.value)
    assert all(key in str(refusal.value) for key in ("extends", *Site.model_fields))


def test_an_unknown_site_is_refused_with_the_valid_ones():
    with pytest.raises(SiteError, match=r"did you mean 'slurm'.*lsf.*\.toml file"):
        load_site("slrum")


def test_text_is_no_number_in_a_site_file(tmp_path):
    with pytest.raises(SiteError, match=r"key gpus_per_node: .*integer"):
        own_site(tmp_path, 'extends = "slurm"\ngpus_per_node = "4"\n')


def test_a_site_file_changes_only_what_it_says(tmp_path):
    site = own_site(tmp_path, 'extends = "slurm"\ncores_per_rank = 16\n')
    assert site == load_site("slurm").model_copy(update={"cores_per_rank": 16})


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
    monkeypatch.setattr(render, "shipped_folder", lambda name: tmp_path / name)
    with pytest.raises(SiteError, match=r"template lsf\.sh\.j2: .*'misspelt'"):
        render_script("paper", shipped_site("lsf"))
