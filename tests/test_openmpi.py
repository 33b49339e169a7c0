"""Jobs under Open MPI, whose mpirun kills at TERM and gives ranks a terminal of its own.

They need a Python whose mpi4py is built against Open MPI: NNLC_OPENMPI_PYTHON names it, as
`.ci/run` does.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG_SECONDS, wait_until
from needs import OPEN_MPI_PYTHON
from typer.testing import CliRunner
from worker_jobs import (
    all_at_work,
    events,
    mpirun,
    slow_steps,
    steps_done,
    tables,
    write_campaign,
)

from nnlc.cli import app

needs_open_mpi = pytest.mark.needs("Open MPI")


class Launcher:
    """An mpirun and the Python that belongs to it."""

    def __init__(self, folder: Path, kind: str):
        self._folder = folder
        place = Path(mpirun()).parent
        if kind == "Open MPI":
            place = folder / "bin"
            place.mkdir()
            (place / "mpirun").symlink_to(shutil.which("mpirun.openmpi"))
        self._python = os.environ[OPEN_MPI_PYTHON] if kind == "Open MPI" else sys.executable
        # Open MPI's refuses root, and more ranks than cores, unless it is told not to.
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(place), "/usr/bin", "/bin"]),
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a campaign's job script, as nohup or a terminal would: in a session of its own."""
        script, campaign = self._folder / "job.sh", write_campaign(self._folder)
        words = ["render", campaign, "--site", "local", "--nodes", 1, "--python", self._python]
        words += ["--results", self._folder / "r", "-o", script]
        found = CliRunner().invoke(app, list(map(str, words)))
        assert found.exit_code == 0, found.output
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                ["bash", script],
                env={**self._environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_bytes().decode()


@needs_open_mpi
def test_a_job_script_under_open_mpi_leaves_the_same_tables_and_a_log_of_plain_lines(
    alone, tmp_path
):
    launcher = Launcher(tmp_path, "Open MPI")
    assert launcher.start(**all_at_work(tmp_path, 2)).wait(HANG_SECONDS) == 0, launcher.log
    assert tables(tmp_path / "r") == tables(alone[1])
    assert {event["rank"] for event in events(tmp_path / "r", "finish")} == {0, 1}
    assert "6/6" in launcher.log
    assert "\x1b" not in launcher.log
    assert "\r" not in launcher.log


@pytest.mark.parametrize(
    ("kind", "number", "whom"),
    [
        pytest.param("Open MPI", signal.SIGTERM, "script", marks=needs_open_mpi),
        pytest.param("Open MPI", signal.SIGHUP, "group", marks=needs_open_mpi),
        ("MPICH", signal.SIGINT, "group"),
        ("MPICH", signal.SIGXCPU, "script"),
    ],
    ids=str,
)
def test_a_signal_to_a_local_job_script_saves_every_network_and_gives_75(
    tmp_path, kind, number, whom
):
    """To its group: as a terminal sends Ctrl-C, and its own end."""
    launcher = Launcher(tmp_path, kind)
    job = launcher.start(**slow_steps(tmp_path, HANG_SECONDS))
    wait_until(lambda: steps_done(tmp_path) == 2, process=job)
    if whom == "script":
        job.send_signal(number)
    else:
        os.killpg(job.pid, number)
    assert job.wait(HANG_SECONDS) == 75, launcher.log
    assert [event["status"] for event in events(tmp_path / "r", "end")] == ["UNFINISHED"]
    saved = {path.name.split(".")[0] for path in (tmp_path / "r" / "checkpoints").glob("*.ckpt")}
    assert saved == {event["id"] for event in events(tmp_path / "r", "checkpoint")}
    assert len(saved) == 2
    assert not list((tmp_path / "r" / "leases").iterdir())
