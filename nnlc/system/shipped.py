"""Folders of the shipped campaigns, job-script templates and site files.

In a checkout or an editable install they are beside the package; in a wheel they are inside it.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """Return the path of the folder `jobs`, `launch` or `site_configs`.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise FileNotFoundError(f"this installation of nnlc lacks its {name} folder: install it again")


def shipped_names(folder: str, suffix: str) -> dict[str, Path]:
    """Return the paths of all shipped files of one kind by name, sorted."""
    found = {path.stem: path for path in shipped_folder(folder).glob(f"*{suffix}")}
    return dict(sorted(found.items()))
