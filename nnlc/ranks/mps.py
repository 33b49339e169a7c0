"""Control daemons of NVIDIA's Multi-Process Service (MPS), which lets trainers share a rank's GPU.

Each rank starts its own daemon, which sees only the rank's GPU: a daemon's server opens all GPUs
that it sees, and numbers them anew, from 0. With one daemon per node, ranks that each see their GPU
as number 0 would all use the first.

The variables and files are documented on docs.nvidia.com/deploy/mps: "Starting multiple
control/server pairs" on directories, "CUDA_VISIBLE_DEVICES", which clients must not have, and
"nvidia-cuda-mps-control" on the file with the process ID. The percentage of active threads is never
set: it would change the number of multiprocessors that a trainer sees, and with it results.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from nnlc.ranks.notices import NOTICES
from nnlc.system.files import read_regular
from nnlc.system.hardware import gpu_for_rank

PROGRAM = "nvidia-cuda-mps-control"
START_SECONDS = 20.0
"""Time that a daemon has to start; the first on a node may have to load the driver."""
END_SECONDS = 10.0
_SOCKETS = Path("/tmp")  # noqa: S108  paths of its sockets may have at most 87 bytes
_FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextlib.contextmanager
def control_daemon(*, wanted: bool, local_rank: int = 0) -> Iterator[str | None]:
    """Run a daemon for the processes started in this context; then end it and remove its files.

    The processes find the daemon by environment variables. Without a daemon CUDA works for one
    trainer at a time, so a failure to start is not an error.

    Args:
        wanted: True to run a daemon.
        local_rank: this rank on its node, which chooses among the visible GPUs.

    Yields:
        The reason why a wanted daemon could not start, or None.
    """
    if not wanted:
        yield None
        return
    import tempfile  # here and below: all ranks load this module, but few jobs want a daemon

    before = {name: os.environ.get(name) for name in (*_FOLDERS, _VISIBLE)}
    sockets = _SOCKETS if _SOCKETS.is_dir() else None
    with tempfile.TemporaryDirectory(
        prefix="nnlc-mps-", dir=sockets, ignore_cleanup_errors=True
    ) as folder:
        os.environ |= dict.fromkeys(_FOLDERS, folder)
        if (gpu := gpu_for_rank(local_rank)) is not None:
            os.environ[_VISIBLE] = gpu
        daemon = _start()
        try:
            trouble = _startup_problem(daemon, Path(folder))
            if trouble is None:
                os.environ.pop(_VISIBLE, None)  # clients see the daemon's GPUs, numbered from 0
            else:
                _restore(before)
            yield trouble
        finally:
            if daemon is not None:
                _end(daemon, folder)
            _restore(before)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _start() -> subprocess.Popen[bytes] | None:
    """Start the daemon in its own session; return None if it is not installed.

    Schedulers send signals to every process of a job, terminals to every process of a group.
    Trainers then still need the daemon to save. So it starts with these signals blocked, and Linux
    kills it when its rank ends.
    """
    import ctypes
    import shutil

    program = shutil.which(PROGRAM)
    if program is None:
        return None
    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1  # PR_SET_PDEATHSIG, prctl(2)
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
    try:
        return subprocess.Popen(  # noqa: S603  (no user input)
            [program, "-f"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: prctl(set_parent_death_signal, int(signal.SIGKILL)),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)


def _startup_problem(daemon: subprocess.Popen[bytes] | None, folder: Path) -> str | None:
    """Wait until the daemon is ready; return None, or why it can't be used."""
    if daemon is None:
        return f"{PROGRAM} was not found"
    deadline = time.monotonic() + START_SECONDS
    while not any((folder / name).exists() for name in (f"{PROGRAM}.pid", "control")):
        if daemon.poll() is not None:
            return f"{PROGRAM} ended with status {daemon.returncode}{_last_log_line(folder)}"
        if time.monotonic() > deadline:
            return f"{PROGRAM} was not ready after {START_SECONDS:.0f} s{_last_log_line(folder)}"
        time.sleep(0.05)
    return None


def _last_log_line(folder: Path) -> str:
    """Return the last line of the daemon's log, after a colon; empty without one."""
    try:
        lines = read_regular(folder / "control.log").decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")


def _end(daemon: subprocess.Popen[bytes], folder: str) -> None:
    """End the daemon and its server; kill it if it doesn't end in time."""
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        _ask("quit", dict(os.environ) | dict.fromkeys(_FOLDERS, folder))
        daemon.wait(END_SECONDS)
    daemon.kill()
    daemon.wait()


def end_client(process: int) -> None:
    """End what a process runs on a GPU, so that killing it does not harm other processes there.

    docs.nvidia.com/deploy/mps, "Client Early Termination", has the command, from Volta GPUs on.
    Nothing happens without a daemon, or if it does not answer.
    """
    if _FOLDERS[0] not in os.environ:
        return
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        for server in _ask("get_server_list", os.environ).split():
            _ask(f"terminate_client {server} {process}", os.environ)


def _ask(command: str, environment: Mapping[str, str]) -> str:
    """Return the daemon's answer to a command.

    Raises:
        subprocess.TimeoutExpired, OSError: it does not answer in time, or is not installed.
    """
    return subprocess.run(  # noqa: S603  (no user input)
        [PROGRAM],
        env=environment,
        input=f"{command}\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=END_SECONDS,
        check=False,
        text=True,
    ).stdout
