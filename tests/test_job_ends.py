"""Rendered scripts, ended in every way: each leaves its status and a last line with the reason."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from limits import HANG_SECONDS, wait_until
from site_files import SCHEDULERS, SITES, render, shipped_site

from nnlc.launching import render as rendering
from nnlc.launching.render import ENDING_SIGNALS
from nnlc.ranks.notices import NOTICES

# Stands in for every program of a script: notes its call, and fails in the one that a test names.
STUB = """#!/bin/bash
exec 9>>"$RECORD/calls"
flock 9
call=$(($(wc -l < "$RECORD/calls") + 1))
printf '%s\\n' "${0##*/} $*" >&9
exec 9>&-
[ "$call" != "${FAILING:-}" ] || eval "$FAILURE"
script_runs() { # it may have died, and wait for the test
    read -r _ _ state _ < /proc/$PPID/stat && [ "$state" != Z ]
}
case "$*" in
*nnlc.worker*)
    trap 'exit 75' TERM URG USR1
    touch "$RECORD/ranks"
    while [ -n "${LASTING:-}" ] && [ ! -e "$RECORD/told" ] && script_runs; do sleep 0.02; done
    [ -z "${LASTING:-}" ] || exit 75
    exit "${STATUS:-0}" ;;
esac
[ "${0##*/}" != scancel ] || touch "$RECORD/told"
[ "${0##*/}" != tee ] || cat
"""
PROGRAMS = {
    "slurm": ("srun", "scancel", "scontrol"),
    "lsf": ("jsrun", "bsub", "tee"),
    "pbs": ("mpiexec", "qsub", "tee"),
    "local": ("mpirun",),
}
AGAIN = ("scontrol requeue", "bsub", "qsub")
"""Calls by which a job starts again."""
UNSET = ("SLURM_", "LSB_", "PBS_")
JOB = {"SLURM_JOB_ID": "7", "LSB_JOBID": "7", "PBS_JOBID": "7", "USER": "tester"}
LAST = re.compile(r"job script: status (\d+): (.{10,})")


class Job:
    """A script of a site, and the stubs that it meets."""

    def __init__(self, folder: Path, name: str, **changes: object) -> None:
        site = shipped_site(name).model_copy(update={"local_disk": str(folder), **changes})
        if not site.scheduler.has_queue:
            site = site.model_copy(update={"local_disk": None})
        self.folder, self.site = folder, site
        self.script = folder / "job.sh"
        words = {"images": str(folder), "script": str(self.script)}
        self.script.write_text(render("paper", site, **words))
        (folder / "bin").mkdir()
        for program in PROGRAMS[site.scheduler.name]:
            self.stub(program)
        for tool in ("cat", "flock", "sed", "sleep", "touch", "wc"):
            (folder / "bin" / tool).symlink_to(shutil.which(tool))

    def stub(self, program: str) -> None:
        path = self.folder / "bin" / program
        path.write_text(STUB)
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(UNSET)}
        ours = {"PATH": str(self.folder / "bin"), "RECORD": str(self.folder)}
        return {**inherited, **JOB, **ours, **more}

    def start(self, **environment: str) -> subprocess.Popen[str]:
        (self.folder / "calls").write_text("")
        for name in ("ranks", "told"):
            (self.folder / name).unlink(missing_ok=True)
        return subprocess.Popen(
            ["/bin/bash", self.script],
            cwd=self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **environment: str) -> tuple[int, str]:
        """Status and reason; fails where the last line does not give them."""
        return told(self.start(**environment))

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=HANG_SECONDS)[1]
    found = LAST.fullmatch(said.splitlines()[-1] if said else "")
    assert found, said
    assert int(found[1]) == process.returncode, said
    return process.returncode, found[2]


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "LEAST_SECONDS", 0)
    return lambda name, **changes: Job(tmp_path, name, **changes)


STATUSES = {
    0: "nothing is left",
    1: "an error",
    2: "an error",
    3: "some tables are missing or damaged",
    75: "unfinished",
    126: "could not be started",
    127: "could not be started",
    137: "SIGKILL",
    143: "SIGTERM",
    200: "an error",
    255: "an error",
}


@pytest.mark.parametrize("name", SITES)
def test_every_status_of_the_launcher_is_the_script_s_and_has_its_reason(job, name):
    script = job(name)
    for status, reason in STATUSES.items():
        found, said = script.run(STATUS=str(status))
        assert found == status
        assert reason in said


FAILURES = ("exit 9", "kill -9 $$", "exit 127")


def test_scripts_hear_every_signal_that_ranks_save_at():
    assert {f"SIG{name}" for name in ENDING_SIGNALS} == {s.name for s in NOTICES} - {"SIGURG"}


@pytest.mark.parametrize("name", SITES)
def test_each_command_that_fails_in_turn_ends_in_a_reason(job, name):
    """Also where it can't be found at all."""
    script = job(name)
    status, whole = script.run(STATUS="75")
    calls = script.calls()
    assert {call.split()[0] for call in calls} >= set(PROGRAMS[script.site.scheduler.name]) - {
        "scancel"
    }
    for number, call in enumerate(calls, 1):
        for failure in FAILURES:
            status, said = script.run(STATUS="75", FAILING=str(number), FAILURE=failure)
            assert status, call
            assert said != whole, (call, failure)
    for program in {call.split()[0] for call in calls}:
        (script.folder / "bin" / program).unlink()
        status, said = script.run(STATUS="75")
        assert status, program
        assert said != whole, program
        script.stub(program)


SETUP = {
    "false": "line .* failed with status 1: false; to ignore this failure",
    "(exit 4)": r"failed with status 4: \( exit 4 \)",
    "source ./quiet.sh": r"failed with status 1: source \./quiet\.sh; to ignore this failure",
    "no_such_command": "failed with status 127: no_such_command",
    "exit 0": "ended too early, at: exit 0",
    "exit 3": "ended too early, at: exit 3",
    "set -u; echo $NEVER_SET": "ended too early",
    "kill -TERM $$": "received SIGTERM before any rank began",
    "module_of_ours() { return 2; }; module_of_ours": "failed with status 2",
}


@pytest.mark.parametrize("line", SETUP)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_setup_line_that_ends_the_script_is_named(job, name, line):
    script = job(name, setup=("true", line, "true"))
    (script.folder / "quiet.sh").write_text('false\n[ -n "$UNSET" ] && export OTHER=1\n')
    status, said = script.run()
    assert status
    assert re.search(SETUP[line], said), said
    assert script.calls() == []


@pytest.mark.parametrize("name", SCHEDULERS)
def test_setup_lines_may_fail_within_and_be_parts_of_one_command(job, name):
    lines = ("if true; then", "source ./noisy.sh", "fi", "false || true", "false | true", "! true")
    script = job(name, setup=lines)
    (script.folder / "noisy.sh").write_text("false\necho $UNSET\nls /nowhere | false\ntrue\n")
    assert script.run()[0] == 0


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_from_outside_saves_and_is_told_and_nothing_starts_again(job, name, number):
    script = job(name)
    process = script.start(LASTING="yes")
    wait_until((script.folder / "ranks").exists, process=process)
    process.send_signal(getattr(signal, f"SIG{number}"))
    status, said = told(process)
    assert status == 75
    assert not any(call.startswith(AGAIN) for call in script.calls()), said
    assert name == "local" or f"SIG{number}" in said


@pytest.mark.parametrize("name", ["slurm", "lsf", "pbs"])
def test_a_job_that_does_not_start_again_says_why(job, name, monkeypatch):
    script = job(name)
    if name == "slurm":
        assert "1000 times" in script.run(STATUS="75", SLURM_RESTART_COUNT="1000")[1]
    monkeypatch.setattr(rendering, "LEAST_SECONDS", 60_000)
    script.script.write_text(render("paper", script.site, script=str(script.script)))
    assert "it ran for less than 60000 s" in script.run(STATUS="75")[1]


@contextlib.contextmanager
def full_disk():
    with Path("/dev/full").open("w") as full:
        yield full


@contextlib.contextmanager
def reader_that_is_gone():
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("log", [full_disk, reader_that_is_gone])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_log_that_can_t_be_written_changes_no_status(job, name, log):
    script = job(name)
    for status in (0, 3, 75):
        with log() as stderr:
            done = subprocess.run(
                ["/bin/bash", script.script],
                env=script.environment(STATUS=str(status)),
                stderr=stderr,
                check=False,
                timeout=HANG_SECONDS,
            )
        assert done.returncode == status


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_signal_reaches_the_ranks_though_nobody_reads_the_log(job, name):
    script = job(name)
    process = script.start(LASTING="yes")
    wait_until((script.folder / "ranks").exists, process=process)
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG_SECONDS) == 75


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_campaign_that_is_gone_when_the_job_starts_is_named(job, name):
    script = job(name)
    campaign = script.folder / "mine's.toml"
    campaign.write_text('extends = "smoke"\n')
    script.script.write_text(render(str(campaign), script.site))
    assert script.run()[0] == 0
    campaign.unlink()
    status, said = script.run()
    assert status == 1
    assert said.startswith(f"{campaign}: no such campaign file")


def test_a_template_of_ones_own_may_end_the_script_by_itself(job):
    script = job("slurm")
    template = script.folder / "ours.sh.j2"
    template.write_text(
        '{% extends "slurm.sh.j2" %}{% block end %}\nexit "$status"\n{% endblock %}'
    )
    site = script.site.model_copy(update={"template": str(template)})
    script.script.write_text(render("smoke", site))
    for status in (0, 3, 75):
        assert script.run(STATUS=str(status))[0] == status
    assert script.run()[1] == "nothing is left to train"
