"""A control daemon of NVIDIA's Multi-Process Service, so that trainers share their rank's GPU.

Each rank has its own, started by the rank itself: it then sees just the GPU that the launcher gave
the rank, whether by a cgroup or by CUDA_VISIBLE_DEVICES. One daemon for a whole node would number
the GPUs anew, and ranks that each know theirs as number 0 would all work on the first.

From docs.nvidia.com/deploy/mps: "Starting multiple control/server pairs", on directories;
"CUDA_VISIBLE_DEVICES", which the daemon obeys and its clients must not have; "nvidia-cuda-mps-
control", on the file with its process number. The percentage of threads is never set: it would
change the number of multiprocessors that a trainer sees, and with it the bits.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from nnlc.ranks.notices import NOTICES
from nnlc.system.files import read_regular

PROGRAM = "nvidia-cuda-mps-control"
START_SECONDS = 20.0
"""For the daemon to be there; a node's first one may have to wake the driver."""
END_SECONDS = 10.0
_SOCKETS = Path("/tmp")  # noqa: S108  a path of more than 87 bytes is too long for its sockets
_FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextlib.contextmanager
def control_daemon(*, wanted: bool) -> Iterator[str | None]:
    """Have a daemon for what this process starts meanwhile, and end it with all that it left.

    The environment of this process says where it is. Without a daemon CUDA works as ever, for one
    trainer at a time, so it is no reason to end when none can be had.

    Yields:
        Why there is none although one is wanted; else None.
    """
    if not wanted:
        yield None
        return
    before = {name: os.environ.get(name) for name in (*_FOLDERS, _VISIBLE)}
    with _folder() as folder:
        os.environ |= dict.fromkeys(_FOLDERS, folder)
        daemon = _start()
        try:
            trouble = _startup_problem(daemon, Path(folder))
            if trouble is None:
                os.environ.pop(_VISIBLE, None)  # its clients see what it sees, numbered anew
            else:
                _restore(before)
            yield trouble
        finally:
            if daemon is not None:
                _end(daemon, folder)
            _restore(before)


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """A place of this process's own on the node's own disk, with room in its name for sockets."""
    import shutil  # here and below: few jobs want a daemon, and each rank of all reads this module
    import tempfile

    name = tempfile.mkdtemp(prefix="nnlc-mps-", dir=_SOCKETS if _SOCKETS.is_dir() else None)
    try:
        yield name
    finally:
        shutil.rmtree(name, ignore_errors=True)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _start() -> subprocess.Popen[bytes] | None:
    """The daemon, in the foreground of a session of its own; None where it is not installed.

    Schedulers signal every process of a job, and a terminal all of its group: trainers still save
    then, and need it. So it begins with those signals blocked, and ends when its rank does.
    """
    import ctypes
    import shutil

    program = shutil.which(PROGRAM)
    if program is None:
        return None
    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1  # PR_SET_PDEATHSIG, prctl(2)
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
    try:
        return subprocess.Popen(  # noqa: S603  (nothing of a user's in it)
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
    """Why the daemon can't be used; None once it is there."""
    if daemon is None:
        return f"{PROGRAM} is not to be found"
    deadline = time.monotonic() + START_SECONDS
    while not any((folder / name).exists() for name in (f"{PROGRAM}.pid", "control")):
        if daemon.poll() is not None:
            return f"{PROGRAM} left with status {daemon.returncode}{_last_log_line(folder)}"
        if time.monotonic() > deadline:
            return f"{PROGRAM} was not ready after {START_SECONDS:.0f} s{_last_log_line(folder)}"
        time.sleep(0.05)
    return None


def _last_log_line(folder: Path) -> str:
    """Of its log."""
    try:
        lines = read_regular(folder / "control.log").decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")


def _end(daemon: subprocess.Popen[bytes], folder: str) -> None:
    """Ask it to end, its server too; one that doesn't is killed."""
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        subprocess.run(  # noqa: S603  (nothing of a user's in it)
            [PROGRAM],
            env=dict(os.environ) | dict.fromkeys(_FOLDERS, folder),
            input=b"quit\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=END_SECONDS,
            check=False,
        )
        daemon.wait(END_SECONDS)
    daemon.kill()
    daemon.wait()
