"""Extras of the installation: which optional libraries each brings, and what to say without them.

`pip install nnlc` brings what reads, plans and submits; an extra, such as `nnlc[train]`, brings the
libraries of one more kind of work.
"""

from importlib.util import find_spec

from nnlc.errors import NnlcError

EXTRAS = {
    "train": ("torch", "torchvision"),
    "mpi": ("mpi4py",),
    "export": ("pyarrow", "h5py"),
    "fit": ("scipy",),
    "bench": ("ConfigSpace", "optuna", "syne_tune"),
}
"""Modules of each extra by which its presence is told."""


class MissingExtraError(NnlcError):
    """An optional library that is not installed; the message names the extra that brings it."""


def require_extra(extra: str, doing: str, *modules: str) -> None:
    """Check that an extra's libraries are installed, without importing them.

    Args:
        extra: name in `EXTRAS`.
        doing: what needs them, as the message's subject: "training a network".
        modules: those of the extra's modules that are needed; default: all.

    Raises:
        MissingExtraError: a library is not installed.
    """
    missing = [one for one in modules or EXTRAS[extra] if find_spec(one) is None]
    if missing:
        raise MissingExtraError(
            f"{doing} needs {' and '.join(missing)}, not installed here; "
            f"run: pip install 'nnlc[{extra}]'"
        )
