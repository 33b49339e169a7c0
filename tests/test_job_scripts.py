"""Rendered scripts, run for real: every value arrives unchanged or was refused."""

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from hostile import check_message
from hypothesis import example, given, settings
from hypothesis import strategies as st
from site_files import SCHEDULERS, render

from nnlc.campaign.campaign import load_campaign
from nnlc.errors import CampaignError, SiteError
from nnlc.schedulers.site import Site, load_site
from nnlc.schedulers.site_values import is_word
from nnlc.system.environment import DETERMINISM

FAKE_MPIRUN = """#!/bin/bash
printf '%s\\0' "$@" > "$RECORD/argv"
env -0 > "$RECORD/env"
exit "${FAKE_STATUS:-0}"
"""


WORKER = ["-np", "2", "python", "-m", "nnlc.worker"]
DEVICE = ["--device", "auto"]


DONE = b"job script: status 0: nothing is left to train\n"


class Run:
    """A rendered script, run with a launcher that only writes down what it is given."""

    def __init__(
        self,
        script: str,
        folder: Path,
        status: int = 0,
        launcher: str = FAKE_MPIRUN,
        apptainer: str = "",
    ) -> None:
        record, here = folder / "record", folder / "here"
        for new in (record, here):
            new.mkdir()
        programs = dict.fromkeys(("mpirun", "srun", "jsrun", "mpiexec"), launcher)
        for name, text in {**programs, "apptainer": apptainer}.items():
            (record / name).write_text(text)
            (record / name).chmod(0o755)
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
        self.argv = self._split(record / "argv") if launcher == FAKE_MPIRUN else []
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
        return render(*args, **kwargs)
    except SiteError:
        return None


@each_well_known
@given(hostile)
@settings(max_examples=60)
def test_a_results_folder_and_a_python_of_any_name_arrive_unchanged_or_are_refused(text):
    site = load_site("local")
    script = renders("paper", site, results=text, python=text)
    if script is None:
        assert renders("paper", site, results=text) is None or (
            renders("paper", site, python=text) is None
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Run(script, Path(folder))
    words = ["-np", "2", text, "-m", "nnlc.worker", "paper", "--results", text, *DEVICE]
    assert (run.argv, run.status, run.output, run.left_behind) == (words, 0, DONE, [])


@each_well_known
@given(hostile)
@settings(max_examples=60)
def test_a_campaign_file_of_any_name_arrives_by_its_absolute_path_or_is_refused(text):
    name = "".join(c for c in text if c not in "/\0" and not "\ud800" <= c <= "\udfff") + ".toml"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text('extends = "paper"\nname = "mine"\n')
        script = renders(str(path), load_site("local"))
        if script is None:
            return
        run = Run(script, Path(folder))
    assert run.argv == [*WORKER, str(path), "--results", "results/mine", *DEVICE]
    assert (run.status, run.output, run.left_behind) == (0, DONE, [])


# Launchers that start the rank's own command, and an apptainer that writes down each call.
FAKE_LAUNCHER = """#!/bin/bash
while [ "$1" != bash ]; do shift; done
exec "$@"
"""
FAKE_APPTAINER = """#!/bin/bash
name=notify
[ -e "$RECORD/worker" ] || { name=worker; env -0 > "$RECORD/env"; }
printf '%s\\0' "$@" > "$RECORD/$name"
[ "$name" = notify ] # or the script would run the command itself
"""


def site_file(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def load_or_message(path: Path) -> list[Site]:
    """The site, or nothing if it is refused by a message."""
    found: list[Site] = []
    check_message(path, SiteError, lambda: found.append(load_site(path)))
    return found


def quoted(text: str) -> str:
    """A text as TOML; one with characters that no TOML has is refused."""
    return json.dumps(text, ensure_ascii=False)


@each_well_known
@given(hostile)
@settings(max_examples=20)
def test_what_a_site_file_says_of_the_rank_s_command_arrives_unchanged_or_is_refused(text):
    """Option and image of a container, lines before it and notify command; nothing else is run."""
    scheduler = SCHEDULERS[len(text) % len(SCHEDULERS)]
    image = f"{text.replace('/', '|')}.sif"
    boxed = shlex.join(["apptainer", "exec", "--nv", "--pwd", text, image])
    setup = f"export SEEN={shlex.quote(text)}"
    lines = [
        f'extends = "{scheduler}"\nname = "mine"\ndevice = "cpu"\nnotify = {quoted(text)}',
        f"container = {quoted(boxed)}\nrank_setup = [{quoted(setup)}]",
        "" if scheduler == "local" else 'account = "A"\nmax_nodes = 1\nexclusive = false',
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = site_file(folder, "\n".join(lines))
        sites = load_or_message(path)
        if not sites:
            return
        script = render("paper", *sites, results=str(folder / "r"), python="python3")
        (folder / image).touch()
        run = Run(script, folder, launcher=FAKE_LAUNCHER, apptainer=FAKE_APPTAINER)
        assert sorted(each.name for each in folder.iterdir()) == sorted(
            ["here", "r", "record", "site.toml", image]
        )
        assert not list((folder / "r").iterdir())
        worker, notify = (Run._split(folder / "record" / each) for each in ("worker", "notify"))
    binds = ["--bind", str(folder / "r")]
    begin = ["exec", "--nv", "--pwd", text, *binds, str(folder / image), "python3", "-m"]
    assert worker[: len(begin) + 1] == [*begin, "nnlc.worker"]
    assert worker[worker.index("--notify") + 1] == run.environment["SEEN"] == text
    assert notify[: len(begin) + 1] == [*begin, "nnlc"]
    assert notify[-2:] == ["--command", text]
    said = "job script: status 1: an error; see the message above\n"
    assert (run.status, run.output.decode(), run.left_behind) == (1, said, [])


@each_well_known
@given(hostile)
@settings(max_examples=15)
def test_a_campaign_s_notify_command_arrives_unchanged_or_is_refused(text):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "c.toml")
        run_section = f"[run]\nnotify = {quoted(text)}\n"
        content = f'extends = "paper"\nname = "mine"\n{run_section}'
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        check_message(path, CampaignError, lambda: load_campaign(path))
        try:
            script = render(str(path), load_site("local"), results=str(Path(name, "r")))
        except CampaignError:
            return
        run = Run(script, Path(name))
    assert run.argv[run.argv.index("--notify") + 1] == text
    assert (run.status, run.output, run.left_behind) == (0, DONE, [])


@each_well_known
@given(hostile)
@settings(max_examples=10)
def test_a_site_s_directives_and_words_run_nothing_and_queues_are_plain_words(text):
    keys = {
        "queue": f"queue = {quoted(text)}",
        "bins.0.queue": f"bins = [{{ nodes = [1, 2], hours = 1, queue = {quoted(text)} }}]",
        "queues": f"[queues.{quoted(text)}]\nmax_running_jobs = 1",
        "queue_option": f"queue_option = {quoted(text)}",
        "links_at_once": f"links_at_once = {quoted(text)}",
        "tried": f"tried = {quoted(text)}",
        "directives": f"directives = [{quoted(text)}]",
    }
    begin = 'extends = "slurm"\nname = "mine"\ndevice = "cpu"\nexclusive = false\n'
    for key, line in keys.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = site_file(folder, begin + line)
            sites = load_or_message(path)
            if not sites:
                continue
            assert key != "links_at_once"
            assert is_word(text) or key in ("tried", "directives")
            if key == "queue":
                assert f"#SBATCH --partition={text}\n" in render("paper", *sites)
            if key == "directives":
                run = Run(render("paper", *sites), folder)
                assert (run.status, run.output, run.left_behind) == (0, DONE, [])


@pytest.mark.parametrize("text", ["a b", "it's", "$(touch x)", "größe-漢字", "a\\", "#a"])
def test_names_that_people_do_use_are_not_refused(text, tmp_path):
    script = render("paper", load_site("local"), results=text, python=text)
    run = Run(script, tmp_path)
    assert (run.argv[2], run.argv[-3]) == (text, text)


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\rb", "\ud800", "", "-x"])
def test_values_that_no_script_can_hold_are_refused_by_name(text):
    for key in ("results", "python"):
        with pytest.raises(SiteError, match=f"^{key}: "):
            render("paper", load_site("local"), **{key: text})


def test_a_relative_campaign_path_becomes_absolute_even_if_it_begins_with_a_dash(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("-x.toml").write_text('extends = "paper"\n')
    run = Run(render("-x.toml", load_site("local")), tmp_path)
    assert run.argv[-5] == str(tmp_path / "-x.toml")


def test_a_bad_campaign_is_refused_before_a_script_is_written(tmp_path):
    with pytest.raises(CampaignError, match="did you mean 'paper'"):
        render("papr", load_site("local"))
    path = tmp_path / "mine.toml"
    path.write_text('extends = "paper"\nepoch = 3\n')
    with pytest.raises(CampaignError, match="did you mean 'epochs'"):
        render(str(path), load_site("local"))


@pytest.mark.parametrize("status", [0, 1, 3, 75])
def test_a_script_ends_with_the_status_of_its_launcher(status, tmp_path):
    assert Run(render("paper", load_site("local")), tmp_path, status).status == status


def test_a_failing_setup_line_ends_the_script_before_the_launcher():
    site = load_site("local").model_copy(update={"setup": ("false",)})
    script = render("paper", site)
    done = subprocess.run(["/bin/bash", "-c", script], env={"PATH": "/nowhere"}, check=False)
    assert done.returncode == 1


def test_setup_lines_may_read_variables_that_are_unset(tmp_path):
    site = load_site("local").model_copy(update={"setup": ("export SEEN=$NEVER_SET!",)})
    assert Run(render("paper", site), tmp_path).environment["SEEN"] == "!"


def test_ranks_start_with_the_determinism_switches_and_without_a_tmpdir_of_ours(tmp_path):
    run = Run(render("paper", load_site("local")), tmp_path)
    assert run.environment.items() >= DETERMINISM.items()
    assert "TMPDIR" not in run.environment


def test_launcher_options_are_quoted_for_the_shell(tmp_path):
    site = load_site("local").model_copy(update={"launcher_options": ("$(touch x)", "a b")})
    run = Run(render("paper", site), tmp_path)
    assert run.argv[2:4] == ["$(touch x)", "a b"]
    assert run.left_behind == []
