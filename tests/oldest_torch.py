"""Tests with the oldest torch that nnlc supports: `python tests/oldest_torch.py`.

The extra `train` of pyproject.toml says which torch that is; `python tests/oldest_torch.py 2.10`
tries another one. The environment of its own takes 7 GB while this runs. Tables that other versions
of torch have written are not trained again: their bits may differ.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

TESTS = Path(__file__).resolve().parent
FILES = (
    "gpu",
    *("test_loop.py", "test_resuming.py", "test_environment.py", "test_device_info.py"),
    *("test_convolution.py", "test_fourier.py", "test_dropout.py", "test_optimizers.py"),
)
"""Tests of what calls torch: with a stub of NVIDIA's driver, and on the processor."""


def oldest() -> str:
    """Return the oldest torch that the extra `train` allows."""
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["optional-dependencies"]["train"]
    return next(found[1] for one in wanted if (found := re.match(r"torch>=([\d.]+)", one)))


def main() -> int:
    """Install and test; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", default=oldest(), help="torch, as 2.9 or 2.9.1")
    parser.add_argument("--folder", type=Path, help="keep the environment there, and use it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = ["-e", f"{TESTS.parent}[mpi,dev]", f"torch=={given.version}.*"]
        subprocess.run([*pip, "--no-compile", *wanted], check=True)
        named = "import torch; print('torch', torch.__version__)"
        subprocess.run([python, "-c", named], check=True)
        words = ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"]
        files = [TESTS / name for name in FILES]
        return subprocess.run([python, *words, *files], cwd=TESTS.parent).returncode


if __name__ == "__main__":
    sys.exit(main())
