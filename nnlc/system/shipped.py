"""Where the shipped data lies: campaigns, job-script templates and site files.

In a checkout and in an editable install these folders stand beside the package; a wheel carries
them inside it. Nothing else in `nnlc` knows the difference.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """The folder `jobs`, `launch` or `site_configs`.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise FileNotFoundError(f"this installation of nnlc lacks its {name} folder: install it again")


def shipped_names(folder: str, suffix: str) -> dict[str, Path]:
    """Name to path of every shipped file of one kind, sorted by name."""
    return {path.stem: path for path in sorted(shipped_folder(folder).glob(f"*{suffix}"))}
