"""The environment of a scheduler's commands: nothing in it wins over a job's script."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_files import render, shipped_site
from typer.testing import CliRunner
from worker_jobs import write_campaign

from nnlc.cli import app
from nnlc.errors import SchedulerError
from nnlc.schedulers.commands import removed_wishes, run_command, scheduler_environment
from nnlc.schedulers.lsf import Lsf
from nnlc.schedulers.pbs import Pbs
from nnlc.schedulers.slurm import Slurm

LOCATES = {
    *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT", "LSF_ENVDIR"),
    *("LSF_SERVERDIR", "LSF_BINDIR", "LSF_LIBDIR", "LSF_TOP", "XLSF_UIDDIR", "EGO_CONFDIR"),
    *("PBS_CONF_FILE", "PBS_DEFAULT", "PBS_EXEC", "PBS_SERVER"),
}
OF_USERS = {"PATH", "HOME", "LS_COLORS", "OMP_NUM_THREADS", "MY_SLURM_NOTES", "NNLC_IMAGES", "BSUB"}
OPTIONS = {
    *("SBATCH_TIMELIMIT", "SBATCH_ACCOUNT", "SBATCH_EXPORT", "SBATCH_CLUSTERS", "SALLOC_ACCOUNT"),
    *("SQUEUE_PARTITION", "SQUEUE_STATES", "SQUEUE_FORMAT2", "SCANCEL_STATE", "SCONTROL_ALL"),
    *("SLURM_CPU_BIND", "SLURM_JOB_ID", "SLURM_EXPORT_ENV", "SLURM_TIME_FORMAT", "SLURM_HOSTFILE"),
    *("SRUN_EXPORT_ENV", "SLURMD_DEBUG", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_END_TIME"),
    *("BSUB_QUIET", "BSUB_CHK_RESREQ", "BSUB_STDERR", "LSB_DEFAULTQUEUE", "LSB_DEFAULTPROJECT"),
    *("LSB_JOBID", "LSB_JOBINDEX", "LSB_BJOBS_FORMAT", "BJOBS_W_DISPLAY_MEM_SWAP_PIDS"),
    *("PBS_DPREFIX", "PBS_ACCOUNT", "PBS_O_QUEUE", "PBS_JOBID", "PBS_ARRAY_INDEX"),
    *("LSF_NIOS_DEBUG", "LSF_JOB_STARTER", "LSF_DEBUG_CMD"),
    "_SLURM_SPANK_OPTION_pyxis_container_image",  # as srun finds the options of the job around it
}
"""From the manual pages of Slurm's and PBS's commands and LSF's environment variable reference."""


def test_what_finds_the_cluster_and_what_is_the_users_own_passes():
    environment = dict.fromkeys(LOCATES | OF_USERS | OPTIONS, "x")
    assert scheduler_environment(environment).keys() == LOCATES | OF_USERS


@given(
    st.sampled_from(["SBATCH_", "SQUEUE_", "SCANCEL_", "_SLURM_", "SLURM_", "LSB_", "BSUB_"]),
    st.text(),
)
def test_any_variable_of_a_scheduler_is_removed_unless_it_finds_the_cluster(prefix, rest):
    kept = scheduler_environment({prefix + rest: "x", rest: "y"})
    assert prefix + rest not in kept or "CONF" in rest or rest in ("CLUSTERS", "JWT", "SHAREDIR")


def test_one_note_names_each_account_partition_and_reservation_that_is_removed():
    asked = {f"SBATCH_{name}": "a" for name in ("ACCOUNT", "PARTITION", "RESERVATION", "TIMELIMIT")}
    asked |= {"LSB_DEFAULTPROJECT": "p", "LSB_DEFAULTQUEUE": "q", "SLURM_JOB_ACCOUNT": "around"}
    [note] = removed_wishes(asked)
    assert set(re.findall(r"\w+=\w+", note)) == {
        *("SBATCH_ACCOUNT=a", "SBATCH_PARTITION=a", "SBATCH_RESERVATION=a"),
        *("LSB_DEFAULTPROJECT=p", "LSB_DEFAULTQUEUE=q"),
    }
    assert removed_wishes({"SBATCH_TIMELIMIT": "3", "PATH": "/bin", "SLURM_CLUSTERS": "a"}) == []


# Stands where each command would, and writes down what it sees of the environment.
SEES = """#!/bin/bash
env | cut -d= -f1 | sort >> "{seen}"
case ${{0##*/}} in
    sbatch) echo 7 ;;
    qsub) echo 7.pbs ;;
    bsub) echo "Job <7> is submitted to queue <q>." ;;
    squeue) echo ARRAY_JOB_ID STATE ;;
    bjobs) echo No unfinished job found ;;
    qstat) echo '{{"timestamp": 1}}' ;;
esac
"""


def before_path(folder: Path, **commands: str) -> str:
    """Write commands into a new folder; return a PATH on which they stand before all others."""
    folder.mkdir()
    for name, text in commands.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Where the commands write down the names of the variables that they see."""
    names = ("sbatch", "squeue", "scancel", "bsub", "bjobs", "bkill", "qsub", "qstat", "qdel")
    text = SEES.format(seen=tmp_path / "seen")
    monkeypatch.setenv("PATH", before_path(tmp_path / "commands", **dict.fromkeys(names, text)))
    for name in OPTIONS | LOCATES:
        monkeypatch.setenv(name, "x")
    return tmp_path / "seen"


@pytest.mark.parametrize(
    ("scheduler", "command"),
    [(Slurm(), "sbatch"), (Lsf(), "bsub <"), (Lsf(), "bsub"), (Pbs(), "qsub")],
)
def test_every_command_of_a_scheduler_sees_the_cluster_and_no_option(
    scheduler, command, seen, tmp_path
):
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/bash\n")
    for ask in (
        lambda: scheduler.submit(script, "mark", command),
        lambda: scheduler.find("mark", script),
        lambda: scheduler.states(["7"]),
        lambda: scheduler.cancel("7"),
    ):
        ask()
        names = set(seen.read_text().split())
        seen.unlink()
        assert names >= LOCATES - {"SLURM_CLUSTERS"}
        assert names.isdisjoint(OPTIONS)


def test_submit_status_and_cancel_show_no_command_the_users_options(seen, tmp_path):
    campaign, results = write_campaign(tmp_path), tmp_path / "r"
    site = tmp_path / "ours.toml"
    site.write_text('extends = "slurm"\nname = "ours"\ndevice = "cpu"\naccount = "mine"\n')
    words = ["submit", campaign, "--site", site, "--results", results]
    for command in (words, ["status", results], ["cancel", results]):
        done = CliRunner().invoke(app, [str(word) for word in command])
        assert done.exit_code == 0, done.output
        assert ("SBATCH_ACCOUNT=x" in done.output) == (command is words)
        assert set(seen.read_text().split()).isdisjoint(OPTIONS)


IN_A_JOB = {
    "slurm": {"SLURM_JOB_ID", "SLURM_CONF", "SLURM_GPUS_PER_NODE", "SLURM_NTASKS", "OMP_PLACES"},
    "pbs": {"PBS_JOBID", "PBS_NODEFILE", "PBS_O_WORKDIR", "OMP_PLACES"},
    "lsf": {"LSB_JOBID", "LSB_JOBINDEX", "LSB_DJOB_HOSTFILE", "LSF_ENVDIR", "OMP_PLACES"},
}
"""What the scheduler itself sets in a job, and what is the user's own."""
NOT_IN_A_JOB = {
    "slurm": {
        *("SBATCH_TIMELIMIT", "SCANCEL_STATE", "SCONTROL_ALL", "SRUN_EXPORT_ENV", "SLURM_CPU_BIND"),
        *("SLURM_CPU_BIND_TYPE", "SLURM_CLUSTERS", "SLURM_EXPORT_ENV", "SLURM_TIMELIMIT"),
        *("SLURM_PARTITION", "SLURM_LABELIO", "SLURM_TASK_PROLOG", "SLURM_STDOUTMODE"),
    },
    "pbs": {"PBS_DPREFIX", "PALS_CPU_BIND", "PALS_HOSTLIST"},
    "lsf": {"BSUB_QUIET", "BSUB_CHK_RESREQ", "LSB_DEFAULTQUEUE", "LSB_DEFAULTPROJECT"},
}


@pytest.mark.parametrize(
    ("scheduler", "launcher"), [("slurm", "srun"), ("lsf", "jsrun"), ("pbs", "mpiexec")]
)
def test_a_script_submitted_by_hand_forgets_what_was_exported_for_its_commands(
    scheduler, launcher, tmp_path
):
    path = before_path(tmp_path / "bin", **{launcher: SEES.format(seen=tmp_path / "seen")})
    (tmp_path / "job.sh").write_text(render("smoke", shipped_site(scheduler)))
    told = dict.fromkeys(IN_A_JOB[scheduler] | NOT_IN_A_JOB[scheduler], ".")
    done = subprocess.run(
        ["bash", tmp_path / "job.sh"], env={**told, "PATH": path}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = set((tmp_path / "seen").read_text().split())
    assert names >= IN_A_JOB[scheduler]
    assert names.isdisjoint(NOT_IN_A_JOB[scheduler])


def test_a_command_that_can_t_be_run_is_named(tmp_path, monkeypatch):
    (tmp_path / "squeue").write_text("no program")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="squeue: can't be run: Exec format error"):
        run_command(["squeue"], Slurm())


# Jobs on clusters that are not this machine's own

SBATCH = """#!/bin/bash
echo "7;other"
"""
SQUEUE = """#!/bin/bash
case " $* " in *" --clusters="*) echo "CLUSTER: other" ;; esac
echo "ARRAY_JOB_ID STATE"
case " $* " in
    *" --clusters=other "*) [ -e "$0.gone" ] || echo "7 RUNNING" ;;
    *) [ -z "$SLURM_CLUSTERS" ] || echo "7 RUNNING" ;;
esac
"""
SCANCEL = """#!/bin/bash
[ "$*" = "--clusters=other 7" ] && touch "${0%/*}/squeue.gone" && exit
echo "scancel: error: Invalid job id"
exit 1
"""


@pytest.fixture
def two_clusters(tmp_path, monkeypatch):
    """A Slurm that shows and ends a job only where its cluster is named."""
    found = before_path(tmp_path / "commands", sbatch=SBATCH, squeue=SQUEUE, scancel=SCANCEL)
    monkeypatch.setenv("PATH", found)


def nnlc(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
    return f"{done.output}{done.exception or ''}"


@pytest.fixture
def site(tmp_path) -> Path:
    path = tmp_path / "fed.toml"
    path.write_text('extends = "slurm"\nname = "fed"\ndirectives = ["--clusters=other"]\n')
    return path


@pytest.mark.usefixtures("two_clusters")
def test_a_job_on_another_cluster_is_shown_is_not_submitted_twice_and_is_cancelled_there(
    site, tmp_path, monkeypatch
):
    campaign, results = write_campaign(tmp_path), tmp_path / "r"
    place = ["submit", campaign, "--site", site, "--results", results]
    assert "job 7;other" in nnlc(*place)
    assert "job 7;other: 1 RUNNING" in nnlc("status", results)
    assert "its job 7;other is in the queue already" in nnlc(*place, status=1)
    # Where the user looks by default changes nothing.
    monkeypatch.setenv("SLURM_CLUSTERS", "third")
    assert "job 7;other: 1 RUNNING" in nnlc("status", results)
    assert "cancelled 7;other" in nnlc("cancel", results)
    assert "no job is in the queue" in nnlc("cancel", results)


@pytest.mark.usefixtures("two_clusters")
def test_a_record_of_before_knows_no_cluster_and_is_where_the_user_s_commands_look(
    site, tmp_path, monkeypatch
):
    campaign, results = write_campaign(tmp_path), tmp_path / "r"
    nnlc("submit", campaign, "--site", site, "--results", results)
    [path] = (results / "jobs").glob("*.json")
    record = json.loads(path.read_text())
    assert record.pop("cluster") == "other"
    path.write_text(json.dumps(record))
    assert "job 7: no longer in the queue" in nnlc("status", results)
    monkeypatch.setenv("SLURM_CLUSTERS", "other")
    assert "job 7;other: 1 RUNNING" in nnlc("status", results)
