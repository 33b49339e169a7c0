"""What some tests need beside Python and this repository, and who brings it.

    @pytest.mark.needs("Slurm")                     skipped, with the reason, where it is absent
    pytestmark = pytest.mark.needs("Chromium")      every test of a file
    needs.require("compiler")                       in the middle of a test or fixture

No test looks by itself: `test_suite.py` sees to it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

OUTSIDE = "reference material outside the repository"
"""What a test may lack even where NNLC_FORBID_SKIPS is set."""

PUBLISHED = Path(__file__).parent.parent.parent / "shared" / "published"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
OPEN_MPI_PYTHON = "NNLC_OPENMPI_PYTHON"
"""Names a Python; `.ci/run` makes it."""
SLURM = ("munged", "slurmctld", "slurmd", "sbatch", "srun")


@dataclass(frozen=True)
class Need:
    """Something that a machine may lack.

    Attributes:
        missing: what is absent; None where nothing is.
        packages: the Debian packages that bring it.
    """

    missing: Callable[[], str | None]
    packages: str = ""

    def why_not(self) -> str | None:
        """Return why it can't be had, and what brings it; None where it is there."""
        missing = self.missing()
        advice = f": apt-get install {self.packages}" if self.packages else ""
        return f"{missing}{advice}" if missing else None


def _programs(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [name for name in names if shutil.which(name) is None]
        return f"no {', '.join(absent)} here" if absent else None

    return missing


def _compiler() -> str | None:
    if absent := _programs("cc")():
        return absent
    words = ["cc", "-E", "-x", "c", "-"]
    headers = subprocess.run(words, input=b"#include <dlfcn.h>\n", capture_output=True)
    return "cc finds no headers of libc" if headers.returncode else None


def _stub_driver() -> str | None:
    """Return what tests/gpu/stub_driver.py lacks: a compiler, torch's CUDA build, its headers."""
    sys.path.insert(0, str(Path(__file__).parent / "gpu"))
    import stub_driver

    return _compiler() or stub_driver.missing()


def _open_mpi() -> str | None:
    if absent := _programs("mpirun.openmpi", "mpicc.openmpi")():
        return absent
    found = shutil.which(os.environ.get(OPEN_MPI_PYTHON, ""))
    return None if found else f"{OPEN_MPI_PYTHON} names no Python whose mpi4py is of Open MPI"


def _mounting() -> str | None:
    if absent := _programs("mount", "umount", "unshare")():
        return absent
    words = ["unshare", "--user", "--map-root-user", "--mount"] if os.geteuid() else []
    with tempfile.TemporaryDirectory() as folder:
        words += ["sh", "-c", f"mount -t tmpfs none {folder} && umount {folder}"]
        tried = subprocess.run(words, capture_output=True)
    return "no file system can be mounted here" if tried.returncode else None


NEEDS = {
    "Slurm": Need(_programs(*SLURM), "slurm-wlm munge"),
    "root": Need(lambda: "this needs root" if os.geteuid() else None),
    "Chromium": Need(
        lambda: None if any(map(shutil.which, CHROMIUM)) else "no Chromium here", "chromium"
    ),
    "Open MPI": Need(_open_mpi, "openmpi-bin libopenmpi-dev"),
    "compiler": Need(_compiler, "gcc libc6-dev"),
    "stub driver": Need(_stub_driver, "gcc libc6-dev"),
    "R": Need(_programs("Rscript"), "r-base-core"),
    "mounting": Need(_mounting),
    "Fashion-MNIST": Need(
        lambda: None if FASHION_MNIST.is_dir() else f"no {FASHION_MNIST}",
        "dataset-fashion-mnist",
    ),
    "published tables": Need(lambda: None if PUBLISHED.is_dir() else f"{PUBLISHED} is {OUTSIDE}"),
}


def why_not(*names: str) -> str | None:
    """Return why some of these can't be had; None where all are there."""
    return "; ".join(filter(None, (NEEDS[name].why_not() for name in names))) or None


def require(*names: str) -> None:
    """Skip the test that asks unless all of these are there."""
    if reason := why_not(*names):
        pytest.skip(reason)
