"""`nnlc lint`: what it passes, how it reads a script, and that it never fails over one."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rendered_scripts import five_minutes, rendered, shipped

from nnlc.cli import app
from nnlc.errors import SiteError
from nnlc.launching.render import Request, render_script
from nnlc.schedulers.lint import lint_file, lint_script
from nnlc.schedulers.lsf import Lsf
from nnlc.schedulers.site import load_site
from nnlc.schedulers.slurm import Slurm
from nnlc.system.shipped import shipped_names

SITES = sorted(shipped_names("site_configs", ".toml"))


@pytest.mark.parametrize("elements", [1, 4])
@pytest.mark.parametrize("campaign", ["smoke", "paper"])
@pytest.mark.parametrize("name", SITES)
def test_every_rendered_script_of_every_shipped_site_is_clean(name, campaign, elements):
    site = shipped(name)
    words = {"campaign": campaign, "elements": elements if site.scheduler.has_queue else 1}
    size = {"nodes": site.nodes} | ({"walltime_minutes": 60} if site.scheduler.has_queue else {})
    images = {"images": "/the images", "results": "it's here"}
    for more in ({}, images, {"script": "/a b/job.sh"}, size):
        assert lint_script(render_script(Request(**words, **more), site), site) == []


def test_an_option_of_a_site_s_own_plugin_is_a_note():
    script = rendered("slurm").replace(
        "#SBATCH --requeue", "#SBATCH --image=a/b:1\n#SBATCH --requeue"
    )
    [finding] = lint_script(script, five_minutes("slurm"))
    assert finding.note
    assert "#SBATCH does not know the option 'image'" in finding.problem


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("#SBATCH --nodes=2", "#SBATCH -N2"),
        ("#SBATCH --nodes=2", "#SBATCH -N 2 # two of them"),
        ("#SBATCH --time=02:00:00", "#SBATCH -t 0-2"),
        ("#SBATCH --ntasks=8\n", ""),
        ("#SBATCH --account=", "#SBATCH -A "),
        ("#SBATCH --account=", "#SBATCH --acco="),
        ("#SBATCH --gpus-per-node=4", "#SBATCH --gres=gpu:a100:4"),
        ("#SBATCH --gpus-per-node=4", "#SBATCH --gres=gpu:4,nvme:1"),
        ("#SBATCH --gpus-per-node=4", "#SBATCH --gres=gpumem:24g,gpu:a100:2,gpu:2"),
        ("--array=0-3", "--array=0-3:3%2"),
        ("--array=0-3", "--array=0,1,2-3:1"),
        ("#SBATCH --requeue", "##SBATCH --requeue was here\n#SBATCH --requeue"),
        ("srun --nodes=2 --ntasks=8", "time srun -N2 -n 8"),
        ("export OMP_NUM_THREADS=1", "OMP_NUM_THREADS=1\nexport OMP_NUM_THREADS"),
    ],
)
def test_another_way_to_write_the_same_for_slurm_is_fine(right, other):
    script = rendered("perlmutter", elements=4, nodes=2)
    assert right in script
    assert lint_script(script.replace(right, other, 1), five_minutes("perlmutter")) == []


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("#BSUB -P ABC123", "#BSUB -PABC123"),
        ("#BSUB -W 2:00\n#BSUB -nnodes 2", "#BSUB -W120 -nnodes 2 # of 4,608"),
        ("#BSUB -wa URG", "#BSUB -wa SIGURG"),
        ('"NVME smt1 gpumps"', "'gpumps nvme smt1'"),
        ("[1-4]", "[1-3:2,4]%2"),
        ('jsrun -n "$ranks" -r 6 -a 1', "jsrun --nrs=12 --rs_per_host 6 -a1"),
        ('"$reason"\n', '"$reason"\n#BSUB -q batch\n'),
        ("# One rank", "#BSUB -csm y\n#BSUB -n 84\n# One rank"),
        ('-n "$ranks" -r 6', "-n $RANKS -r 6"),
    ],
)
def test_another_way_to_write_the_same_for_lsf_is_fine(right, other):
    script = rendered("summit", elements=4, nodes=2)
    assert right in script
    assert lint_script(script.replace(right, other, 1), five_minutes("summit")) == []


def test_memory_and_whole_nodes_of_the_site_are_asked_for_and_a_default_is_a_note():
    plain = shipped("slurm").model_copy(update={"exclusive": None})
    script = render_script(Request(campaign="smoke"), plain)
    [note] = lint_script(script, plain)
    assert note.note
    assert "the cluster's default decides the memory" in note.problem
    exclusive = plain.model_copy(update={"exclusive": True})
    with_memory = plain.model_copy(update={"memory_gigabytes_per_node": 90})
    found = [str(finding) for finding in lint_script(script, exclusive)]
    assert [text.split("; ")[1] for text in found] == [
        "write #SBATCH --exclusive",
        "write #SBATCH --mem=0",
    ]
    script = render_script(Request(campaign="smoke"), exclusive)
    assert "#SBATCH --exclusive\n#SBATCH --mem=0\n" in script
    assert lint_script(script, exclusive) == []
    [differs] = lint_script(script, with_memory)
    assert (differs.note, differs.problem) == (True, "--mem is 0, but the site file says --mem=90G")
    assert lint_script(script.replace("--mem=0", "--mem-per-cpu=2G"), exclusive)[0].note


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:30", 91),
        ("1:30:00", 90),
        ("1:30:01", 91),
        ("2-3", 3060),
        ("2-3:04", 3064),
        ("2-3:04:05", 3065),
        ("UNLIMITED", float("inf")),
        ("0", float("inf")),
        ("1:2:3:4", None),
        ("1-", None),
        ("١", None),
        ("", None),
    ],
)
def test_slurms_six_formats_of_a_time_are_read(text, minutes):
    assert Slurm().minutes(text) == minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("1:30", 90), ("100:00", 6000), ("1:30/hostA", 90), ("1:30:00", None), ("", None)],
)
def test_lsfs_one_format_of_a_time_is_read(text, minutes):
    assert Lsf().minutes(text) == minutes


pieces = [
    *("#!/bin/bash", "\n", "\r\n", "#BSUB ", "#SBATCH ", "-W ", "-J ", "[1-", "-P", "--time=", "-"),
    *("srun ", "jsrun ", "mpirun ", "nnlc.worker", " -m ", "export ", "OMP_NUM_THREADS=", "trap "),
    *("'", '"', "`", "$(", "${", "((", "))", "\\", "&", ";", "|", "<<", "EOF", "{", "}", " ", "="),
    *("9" * 5000, "²", "\x00", "\ud800", "--signal=", "B:", "@", "--array=", "%", "bsub -w "),
]


@given(st.lists(st.sampled_from(pieces) | st.text(max_size=8), max_size=60).map("".join))
@example("$([1-\\")  # bash itself names line 3
@example("nnlc.worker#!/bin/bash")
@settings(max_examples=40)
def test_every_text_is_read_and_findings_name_its_lines(text):
    for name in ("summit", "perlmutter", "local"):
        lines = text.split("\n")
        for finding in lint_script(text, load_site(name)):
            assert 1 <= finding.line <= len(lines)


@given(st.data())
@settings(max_examples=40)
def test_no_damage_to_a_rendered_script_makes_it_raise(data):
    name = data.draw(st.sampled_from(["summit", "perlmutter"]))
    script = rendered(name, elements=4, nodes=2)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(script)))
        gone = data.draw(st.integers(0, 12))
        piece = data.draw(st.sampled_from(pieces) | st.text(max_size=3))
        script = script[:at] + piece + script[at + gone :]
    lint_script(script, five_minutes(name))


def test_the_verb_names_file_line_problem_and_remedy_and_ends_with_1(tmp_path, run_nnlc):
    path = tmp_path / "job.sh"
    path.write_text(rendered("summit").replace("-W 2:00", "-W 02:00:00"))
    assert run_nnlc("lint", path, "--site", "summit") == (
        1,
        f"{path}:4: -W is '02:00:00'; it must be [hours:]minutes: LSF has no seconds\n",
    )


def test_the_verb_says_when_a_script_is_fine_and_when_there_is_none(tmp_path, run_nnlc):
    path = tmp_path / "job.sh"
    path.write_text(rendered("summit"))
    assert run_nnlc("lint", path, "--site", "summit") == (0, f"{path}: fine for summit\n")
    status, said = run_nnlc("lint", tmp_path / "none.sh", "--site", "slurm")
    assert status == 1
    assert "none.sh: no such file" in said


def test_a_note_alone_does_not_refuse_a_script(tmp_path, run_nnlc):
    path = tmp_path / "job.sh"
    script = rendered("slurm").replace("B:URG", "URG")
    path.write_text("\n".join(x for x in script.split("\n") if not x.startswith("trap ")))
    status, said = run_nnlc("lint", path, "--site", "slurm")
    assert status == 0
    assert ": note: the ranks get the signal, the script does not; " in said
    assert said.endswith("fine for slurm\n")


@pytest.fixture
def run_nnlc():
    from typer.testing import CliRunner

    from nnlc.errors import NnlcError

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        if isinstance(result.exception, NnlcError):
            return 1, str(result.exception)
        return result.exit_code, result.stdout

    return run


def test_a_script_of_any_size_is_one_message(tmp_path):
    with (tmp_path / "job.sh").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SiteError, match="too many for a text file"):
        lint_file(tmp_path / "job.sh", load_site("slurm"))
