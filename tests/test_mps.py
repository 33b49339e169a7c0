"""A rank's own control daemon of the Multi-Process Service, with a stand-in for NVIDIA's."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG_SECONDS, let_pass, wait_until
from worker_jobs import run_worker, write_campaign

from nnlc.ranks import mps, trainer_link
from nnlc.ranks.mps import control_daemon, end_client
from nnlc.ranks.trainer_link import TrainerLink

STAND_IN = f"""#!{sys.executable}
import os, sys, time
from pathlib import Path
folder = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
if "-f" in sys.argv:
    sees = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    Path(os.environ["SEEN"]).write_text(f"{{os.getpid()}} {{sees}} {{folder}}")
    BEFORE
    (folder / "nvidia-cuda-mps-control.pid").write_text(str(os.getpid()))
    deadline = time.monotonic() + {HANG_SECONDS}
    while not (folder / "quit").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
elif (command := sys.stdin.read()) == "quit\\n":
    (folder / "QUIT").touch()
else:
    with open(os.environ["SEEN"], "a") as file:
        file.write(" " + command.replace(" ", "-").strip())
    print("77" if command == "get_server_list\\n" else "0")
"""
VARIABLES = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY", "CUDA_VISIBLE_DEVICES")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a stand-in on the path; returns what it has seen: process, devices and folder."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))

    monkeypatch.setattr(mps, "START_SECONDS", HANG_SECONDS)

    def write(before: str = "", quits: bool = True):
        program = tmp_path / "bin" / mps.PROGRAM
        program.parent.mkdir()
        words = "quit" if quits else "not heard"
        program.write_text(STAND_IN.replace("BEFORE", before).replace("QUIT", words))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return lambda: (tmp_path / "seen").read_text().split()

    return write


def lives(process: str | int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def environment() -> dict[str, str]:
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def test_a_daemon_of_its_own_serves_what_a_rank_starts_and_is_gone_afterwards(install, monkeypatch):
    seen = install()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with control_daemon(wanted=True) as trouble:
        process, devices, folder = seen()
        assert trouble is None
        assert devices == "2"
        assert environment() == dict.fromkeys(VARIABLES[:2], folder)  # it numbers the GPUs anew
        assert lives(process)
        assert len(folder) < 40  # its sockets' names are limited
        assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert environment() == {"CUDA_VISIBLE_DEVICES": "2"}
    assert not lives(process)
    assert not Path(folder).exists()


@pytest.mark.parametrize(("local_rank", "gpu"), [(0, "2"), (1, "GPU-a"), (2, "2")])
def test_a_daemon_sees_the_gpu_of_its_rank_alone_where_the_rank_sees_several(
    install, monkeypatch, local_rank, gpu
):
    seen = install()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-a")
    with control_daemon(wanted=True, local_rank=local_rank) as trouble:
        assert trouble is None
        assert seen()[1] == gpu
        assert "CUDA_VISIBLE_DEVICES" not in environment()
    assert environment() == {"CUDA_VISIBLE_DEVICES": "2,GPU-a"}


def test_none_is_started_unless_it_is_wanted(install, tmp_path):
    install()
    with control_daemon(wanted=False) as trouble:
        assert trouble is None
        assert environment() == {}
    assert not (tmp_path / "seen").exists()


def test_where_there_is_no_such_program_a_rank_goes_on_without(install, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with control_daemon(wanted=True) as trouble:
        assert trouble == "nvidia-cuda-mps-control was not found"
        assert environment() == {"CUDA_VISIBLE_DEVICES": "2,3"}


@pytest.mark.parametrize(
    ("before", "trouble"),
    [
        (
            '(folder / "control.log").write_text("a\\nno GPU\\n\\n"); sys.exit(3)',
            "status 3: no GPU",
        ),
        ("sys.exit(1)", "status 1"),
        ("time.sleep(600)", "was not ready after 0 s"),
    ],
)
def test_a_daemon_that_does_not_start_is_told_with_its_last_words(
    install, monkeypatch, before, trouble
):
    install(before)
    monkeypatch.setattr(mps, "START_SECONDS", 0.4 if "sleep" in before else HANG_SECONDS)
    monkeypatch.setattr(mps, "END_SECONDS", 1)
    with control_daemon(wanted=True) as told:
        assert told is not None
        assert told.endswith(trouble)
        assert environment() == {}


def test_a_daemon_that_does_not_end_when_asked_is_killed(install, monkeypatch):
    seen = install(quits=False)
    monkeypatch.setattr(mps, "END_SECONDS", 0.2)
    with control_daemon(wanted=True):
        pass
    assert not lives(seen()[0])


def test_what_a_trainer_runs_on_a_shared_gpu_is_ended_before_the_trainer_is_killed(
    install, monkeypatch, tmp_path
):
    """Else its neighbours may hang."""
    seen = install()
    monkeypatch.setattr(trainer_link, "COMMAND", ("sleep",))
    with control_daemon(wanted=True):
        trainer = TrainerLink(0, HANG_SECONDS)
        process = trainer._process
        trainer.end()
        trainer.wait(HANG_SECONDS)
        assert seen()[3:] == ["get_server_list", f"terminate_client-77-{process.pid}"]
        monkeypatch.setenv("PATH", str(tmp_path))
        end_client(process.pid)
    with control_daemon(wanted=False):
        end_client(process.pid)
    assert len(seen()) == 5


def test_a_signal_to_every_process_of_a_job_does_not_take_the_daemon_from_trainers_that_save(
    install,
):
    seen = install()
    with control_daemon(wanted=True):
        process = int(seen()[0])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            os.kill(process, number)
        let_pass(0.1)
        assert lives(process)
        assert os.getsid(process) != os.getsid(0)


def test_the_daemon_of_a_rank_that_is_killed_ends_with_it(install):
    seen = install()
    code = (
        "import time\n"
        "from nnlc.ranks.mps import control_daemon\n"
        "with control_daemon(wanted=True):\n"
        "    print(flush=True)\n"
        "    time.sleep(600)\n"
    )
    rank = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    rank.stdout.readline()
    rank.kill()
    rank.wait()
    process, _, folder = seen()
    wait_until(lambda: not lives(process))
    Path(folder, "nvidia-cuda-mps-control.pid").unlink()
    Path(folder).rmdir()


def test_a_worker_has_a_daemon_while_it_runs(install, tmp_path):
    seen = install()
    words = [write_campaign(tmp_path), "--results", tmp_path / "r", "--preflight", "--mps"]
    job = run_worker(*words)
    assert job.returncode == 0, job.stdout + job.stderr
    process, _, folder = seen()
    assert not lives(process)
    assert not Path(folder).exists()
