"""Python interpreter of the ranks: which one a script names, and which nnlc and extras it has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nnlc import __version__
from nnlc.console import say_once
from nnlc.errors import SiteError
from nnlc.schedulers.container import PYTHON
from nnlc.schedulers.site import Site
from nnlc.system.extras import EXTRAS, install_command, missing
from nnlc.system.shipped import shipped_folder
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
    if site.container is not None or (python is None and site.python is not None):
        return python_in_script(python, site)
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


def python_in_script(python: str | None, site: Site) -> str:
    """Return the Python that a script names, unchecked: the user's, the site's or this one."""
    here = sys.executable if site.container is None else PYTHON
    return python or site.python or here


def check_container(site: Site, python: str, ranks: int, folders: Sequence[str]) -> None:
    """Check a site's container: its image, its nnlc, and that it sees some folders of this machine.

    Args:
        site: site; nothing is checked if it has no container.
        python: Python in the image.
        ranks: number of ranks of a job; several need mpi4py.
        folders: folders that the ranks read or write; of those that don't exist yet, the parent
            counts.

    Raises:
        SiteError: there is no such image, its Python has another nnlc, none, or lacks a module, or
            a folder can't be seen in the container.
    """
    if (container := site.container) is None:
        return
    where = f"site {site.name}, key container"
    program = container.options[0]
    if not os.path.lexists(container.image):
        recipe = shipped_folder("launch") / "nnlc.def"
        raise SiteError(
            f"{where}: {container.image}: no such image; {recipe} is the recipe of one, and says "
            "how to build it"
        )
    if site.device == "cuda" and not container.shows_gpus:
        say_once(
            f"note: {where}: neither --nv nor --rocm: ranks see their GPUs only if the site's "
            f"{program} adds them by itself"
        )
    if shutil.which(program) is None:
        say_once(
            f"note: {where}: {program} is not found on this machine, so the nnlc in "
            f"{container.image} is not checked"
        )
        return
    seen = [str(_existing(Path(folder))) for folder in folders]
    seen = [folder for folder in seen if folder != "/"]
    needed = EXTRAS["mpi" if ranks > 1 else "train"]
    try:
        nnlc, lacking = _ask([*container.command(seen), python], [*needed, *seen])
    except ValueError as problem:
        raise SiteError(f"{where}: {python} in {container.image} {problem}") from None
    install = f"build the image again with nnlc {__version__}"
    if nnlc != __version__:
        has = "no nnlc" if nnlc is None else f"nnlc {nnlc}"
        raise SiteError(f"{where}: {python} in {container.image} has {has}: {install}")
    if hidden := [folder for folder in lacking if folder in seen]:
        raise SiteError(
            f"{where}: {hidden[0]} can't be seen in the container: your site may not allow users "
            "to bind folders, or the path has a symbolic link; give the path without links"
        )
    if lacking:
        lacks = ", ".join(lacking)
        raise SiteError(f"{where}: {python} in {container.image} lacks {lacks}: {install}")


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest of its parents that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


@cache
def nnlc_of(python: str) -> tuple[str | None, list[str]]:
    """Return the version of a Python's nnlc, None if it has none, and modules that a worker lacks.

    Raises:
        ValueError: the Python does not answer.
    """
    return _ask([os.path.abspath(python)], EXTRAS["mpi"])  # noqa: PTH100  links must stay


_QUESTION = """
import sys, os, importlib.util, nnlc
there = lambda name: os.path.isdir(name) if "/" in name else importlib.util.find_spec(name)
print(nnlc.__version__, *(n for n, name in enumerate(sys.argv[1:]) if not there(name)))
"""


def _ask(python: Sequence[str], needed: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the version of a Python's nnlc, and which modules or folders it does not find.

    Raises:
        ValueError: the Python does not answer.
    """
    try:
        answer = subprocess.run(  # noqa: S603  a list, no shell
            [*python, "-c", _QUESTION, *needed],
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
    return version, [needed[int(number)] for number in lacking if number.isdigit()]
