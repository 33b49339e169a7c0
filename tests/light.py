"""Tests of a light installation, in an environment of its own: `python tests/light.py`.

It installs this checkout without extras, fails if that is larger than README says, and then runs
test_light.py and those tests that need no extra, with the tools of tests alone beside nnlc.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TESTS = Path(__file__).resolve().parent
MOST_MEGABYTES = 330
"""Most that nnlc and all that it needs may take, in units of 1024² bytes as of `du -sm`."""
OF_PYTHON = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
"""Beginnings of the names of what every new environment has."""
TOOLS = ("pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100")
FILES = (
    *("light", "tables", "frames", "audit", "audit_divisor", "metrics", "ranking", "compare"),
    *("benchmark_query", "merge", "plots", "report", "plan", "launching", "submit"),
)
"""Files test_NAME.py that need no extra."""
NEED_EXTRAS = {
    "test_light.py::test_ranks_without_torch_say_so_once_and_all_end_with_1",
    "test_benchmark_query.py::"
    "test_what_an_interruption_made_a_network_do_again_counts_once_in_the_recorded_seconds",
    "test_frames.py::test_frames_are_the_same_whether_pandas_stores_texts_by_pyarrow_or_not",
    "test_penguin.py::test_fits_are_those_of_curve_fit_to_a_thousandth_of_a_percent",
    "test_penguin.py::test_a_fit_that_curve_fit_gives_up_on_is_given_up_on",
}
"""Tests of these files that do."""


def megabytes(packages: Path) -> float:
    """Return the size on disk of what pip has installed, without what every environment has."""
    sizes = [
        path.lstat().st_blocks * 512
        for path in packages.rglob("*")
        if not path.relative_to(packages).parts[0].startswith(OF_PYTHON)
    ]
    return sum(sizes) / 2**20


def main() -> int:
    """Install, measure and test; return the exit status."""
    with tempfile.TemporaryDirectory() as temporary:
        venv.create(temporary, with_pip=True)
        python = Path(temporary) / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, TESTS.parent], check=True)
        size = megabytes(next(Path(temporary).glob("lib/python3*/site-packages")))
        print(f"a light installation takes {size:.0f} MB", flush=True)
        if size > MOST_MEGABYTES:
            print(f"failed: more than {MOST_MEGABYTES} MB")
            return 1
        subprocess.run([*pip, *TOOLS], check=True)
        # -P: the installed nnlc is tested, not this checkout.
        words = ["-P", "-m", "pytest", "-q"]
        for one in sorted(NEED_EXTRAS):
            words += ["--deselect", f"tests/{one}"]
        files = [f"tests/test_{name}.py" for name in FILES]
        shared = [*words, "-m", "quick", "-n", "2", "--dist", "loadfile"]
        quick = subprocess.run([python, *shared, *files], cwd=TESTS.parent)
        slow = subprocess.run([python, *words, "tests/test_penguin.py"], cwd=TESTS.parent)
        return quick.returncode or slow.returncode


if __name__ == "__main__":
    sys.exit(main())
