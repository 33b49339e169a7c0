"""Python interpreter of the ranks: which one a script names, and which nnlc it has."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from nnlc import __version__
from nnlc.errors import SiteError
from nnlc.schedulers.site import Site
from nnlc.wording import reason_of

_ANSWER_SECONDS = 30.0
"""Time limit, in seconds, for a Python to print the version of its nnlc."""
_ON_NODES = "if it works on the compute nodes alone, write it as python into the site file"


def find_python(python: str | None, site: Site) -> str:
    """Return the path of the Python interpreter of the ranks, or its name if only jobs find it.

    Args:
        python: path or name of a program, checked here; None for the site file's, which may be on
            the nodes alone, or else for the Python that runs nnlc.
        site: site, whose setup lines or container may have another program of this name.

    Raises:
        SiteError: there is no such program, or it has another nnlc or none.
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
    try:
        nnlc = __version__ if path == sys.executable else nnlc_of(path)
    except ValueError as problem:
        raise SiteError(f"--python {python} {problem}; {_ON_NODES}") from None
    if nnlc != __version__:
        has = "no nnlc" if nnlc is None else f"nnlc {nnlc}"
        raise SiteError(f"--python {python} has {has}: install nnlc {__version__} for it")
    return path


@cache
def nnlc_of(python: str) -> str | None:
    """Return the version of the nnlc of a Python; None if it has no nnlc.

    Raises:
        ValueError: the Python does not answer.
    """
    python = os.path.abspath(python)  # noqa: PTH100  links must stay
    try:
        answer = subprocess.run(  # noqa: S603  a list, no shell
            [python, "-c", "import nnlc; print(nnlc.__version__)"],
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
        return None
    if answer.returncode:
        last = answer.stderr.strip().rpartition("\n")[2] or "it said nothing"
        raise ValueError(f"can't be asked for its nnlc: {last:.200}")
    return answer.stdout.strip().rpartition("\n")[2]
