"""Tests with libraries of others, each in an environment of its own: `python tests/others.py all`.

The suite does not collect tests/others/, because some of these libraries need an older NumPy than
nnlc's own newest. The environment has a light nnlc, this checkout, and no tools of the suite but
pytest and the helpers of tests/.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent

ENVIRONMENTS = {
    "optuna": ("optuna", "ConfigSpace"),
    "syne-tune": ("syne-tune", "huggingface_hub"),
    "mf-prior-bench": ("mf-prior-bench",),
}
"""Libraries of each environment; the extra `bench` says which versions."""
NAMES = {"configspace": "optuna"} | {name: name for name in ENVIRONMENTS}
"""Environment of each file tests/others/test_NAME.py."""


def file_of(name: str) -> Path:
    """Return the file of the tests with a library."""
    return TESTS / "others" / f"test_{name.replace('-', '_')}.py"


def requirements_of(environment: str) -> list[str]:
    """Return what pip installs into an environment beside nnlc; what no extra has, in any version.

    mf-prior-bench is in no extra: it needs NumPy 1.
    """
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    versions = {
        re.split(r"[^\w-]", one)[0]: one for one in project["optional-dependencies"]["bench"]
    }
    return [versions.get(library, library) for library in ENVIRONMENTS[environment]]


def python_of(environment: str, folder: Path) -> Path:
    """Return the Python of an environment in a folder, after making the environment if needed."""
    python = folder / environment / "bin" / "python"
    if not python.exists():
        venv.create(folder / environment, with_pip=True)
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",  # most modules are never imported
        "--disable-pip-version-check",
        "pytest>=8",
    ]
    subprocess.run([*install, "-e", TESTS.parent, *requirements_of(environment)], check=True)
    return python


def main() -> int:
    """Run the tests with the named libraries; return the number of libraries whose tests fail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=[*NAMES, "all"], metavar="NAME")
    parser.add_argument("--folder", type=Path, help="keep the environments there, and use them")
    given = parser.parse_args()
    names = list(NAMES) if "all" in given.names else list(dict.fromkeys(given.names))
    # Without tests/conftest.py, which is for the suite's environment.
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--confcutdir={TESTS / 'others'}"]
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        with ThreadPoolExecutor() as pool:
            environments = {NAMES[name] for name in names}
            made = {one: pool.submit(python_of, one, folder) for one in environments}
        for name in names:
            python = made[NAMES[name]].result()
            print(f"tests with {name}", flush=True)
            # Libraries that start a thread for each core take longer for these small models.
            own = {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'benchmarks'}", "OMP_NUM_THREADS": "1"}
            if subprocess.run(
                [python, *pytest, file_of(name)], env=os.environ | own, cwd=TESTS
            ).returncode:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
