"""Extras of the installation: which optional libraries each brings, and what to say without them.

The installation brings what reads, plans and submits; an extra, such as `nnlc[train]`, brings the
libraries of one more kind of work.
"""

import sys
from collections.abc import Iterable
from importlib.util import find_spec

from nnlc.errors import NnlcError

_TRAIN = ("torch", "scipy", "safetensors")
EXTRAS = {
    "train": _TRAIN,
    "mpi": (*_TRAIN, "mpi4py"),
    "export": ("pyarrow", "h5py"),
    "fit": ("scipy",),
    "bench": ("ConfigSpace", "optuna", "syne_tune"),
}
"""Modules of each extra by which its presence is told."""


class MissingExtraError(NnlcError):
    """An optional library that is not installed; the message names the extra that brings it."""


def install_command(extra: str, python: str = sys.executable) -> str:
    """Return the shell command that installs an extra for a Python."""
    import shlex  # ranks, which start with this module, seldom need it

    return f"{shlex.quote(python)} -m pip install 'nnlc[{extra}]'"


def missing(modules: Iterable[str]) -> list[str]:
    """Return the modules that are not installed, without importing any."""
    return [one for one in modules if find_spec(one) is None]


def lacking(extra: str, doing: str, *modules: str) -> str | None:
    """Return a line that names an extra if its libraries are not installed, else None.

    Args:
        extra: name in `EXTRAS`.
        doing: what needs them, as the line's subject: "training a network".
        modules: those of the extra's modules that are needed; default: `EXTRAS`.
    """
    absent = missing(modules or EXTRAS[extra])
    if not absent:
        return None
    listed = " and ".join(", ".join(absent).rsplit(", ", 1))
    what = f"{doing} needs {listed}, not installed here"
    return f"{what}; run: {install_command(extra)}"


def extras_line() -> str:
    """Return a line on the extras that are installed here, and those that are not."""
    there = [name for name, modules in EXTRAS.items() if not missing(modules)]
    absent = [name for name in EXTRAS if name not in there]
    line = f"extras: {', '.join(there) or 'none'}"
    return f"{line}; not {', '.join(absent)}" if absent else line


def require_extra(extra: str, doing: str, *modules: str) -> None:
    """Check that an extra's libraries are installed, without importing them; see `lacking`.

    Raises:
        MissingExtraError: a library is not installed.
    """
    if line := lacking(extra, doing, *modules):
        raise MissingExtraError(line)
