"""Python interpreter of the ranks: which one a script names, and which nnlc and extras it has."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from nnlc import __version__
from nnlc.errors import SiteError
from nnlc.schedulers.site import Site
from nnlc.system.extras import EXTRAS, install_command, missing
from nnlc.wording import reason_of

_ANSWER_SECONDS = 30.0
"""Time limit, in seconds, for a Python to say what it has."""
_ON_NODES = "if it works on the compute nodes alone, write it as python into the site file"


def find_python(python: str | None, site: Site, ranks: int = 1) -> str:
    """Return the path of the Python interpreter of the ranks, or its name if only jobs find it.

    Args:
        python: path or name of a program, checked here; None for the site file's, which may be on
            the nodes alone, or else for the Python that runs nnlc.
        site: site, whose setup lines or container may have another program of this name.
        ranks: number of ranks of a job; several need mpi4py.

    Raises:
        SiteError: there is no such program, it has another nnlc or none, or it lacks torch or
            mpi4py.
    """
    if python is None and site.python is not None:
        return site.python
    python = python or sys.executable
    in_container = any(not option.startswith("-") for option in site.launcher_options)
    if site.template or in_container or (site.setup and "/" not in python):
        return python
    found = shutil.which(python)
    if found is None:
        raise SiteError(f"--python {python}: no program here; {_ON_NODES}")
    path = str(Path(found).absolute())  # a link to it may belong to an environment
    extra = "mpi" if ranks > 1 else "train"
    needed = EXTRAS[extra]
    try:
        nnlc, lacking = (__version__, missing(needed)) if path == sys.executable else nnlc_of(path)
    except ValueError as problem:
        raise SiteError(f"--python {python} {problem}; {_ON_NODES}") from None
    if nnlc != __version__:
        has = "no nnlc" if nnlc is None else f"nnlc {nnlc}"
        raise SiteError(f"--python {python} has {has}: install nnlc {__version__} for it")
    if lacks := [module for module in needed if module in lacking]:
        of_site = " (mpi4py against the site's MPI: see README)" if "mpi4py" in lacks else ""
        raise SiteError(
            f"the Python of the ranks, {path}, lacks {', '.join(lacks)}: run "
            f"{install_command(extra, path)}{of_site}, or name another with --python; {_ON_NODES}"
        )
    return path


@cache
def nnlc_of(python: str) -> tuple[str | None, list[str]]:
    """Return the version of a Python's nnlc, None if it has none, and modules that a worker lacks.

    Raises:
        ValueError: the Python does not answer.
    """
    python = os.path.abspath(python)  # noqa: PTH100  links must stay
    code = (
        "import sys, importlib.util, nnlc; print(nnlc.__version__, "
        "*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    )
    try:
        answer = subprocess.run(  # noqa: S603  a list, no shell
            [python, "-c", code, *EXTRAS["mpi"]],
            cwd="/",  # not in a checkout of nnlc, which would hide the installed nnlc
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ValueError(f"can't be asked for its nnlc: {reason_of(problem)}") from None
    if "No module named 'nnlc'" in answer.stderr:
        return None, []
    if answer.returncode:
        last = answer.stderr.strip().rpartition("\n")[2] or "it said nothing"
        raise ValueError(f"can't be asked for its nnlc: {last:.200}")
    version, *lacking = answer.stdout.strip().rpartition("\n")[2].split() or [""]
    return version, lacking
