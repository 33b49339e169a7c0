"""The site file: facts about a machine that a job script needs.

A site is TOML. `extends = "NAME or path"` takes another site and replaces only what this file
says. Whatever is wrong is refused with file, key, and what would be right.
"""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nnlc.errors import SiteError
from nnlc.tomlfile import find_file, read_layers, validate

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# Control characters, halves of surrogate pairs that no file can hold, and Unicode's line ends.
_NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}


def check_word(text: str) -> str:
    """The text itself, if it can stand in a directive, where no shell takes quotes away.

    Raises:
        ValueError: it can't.
    """
    if not _WORD.fullmatch(text):
        raise ValueError(
            "a directive takes letters, digits, dots, dashes, plus signs and underscores, "
            f"the first a letter or digit; found {text!r}"
        )
    return text


def check_line(text: str) -> str:
    """The text itself, if it stays within one line of a script.

    Raises:
        ValueError: it is empty or has a newline, another control character or half a character.
    """
    if not text:
        raise ValueError("must not be empty")
    bad = next((c for c in text if unicodedata.category(c) in _NOT_IN_A_LINE), None)
    if bad is not None:
        raise ValueError(f"must be one line without control characters; found {bad!r} in {text!r}")
    return text


Count = Annotated[int, Field(ge=1)]
Word = Annotated[str, AfterValidator(check_word)]
Line = Annotated[str, AfterValidator(check_line)]


class Site(BaseModel):
    """A machine: its scheduler, its nodes, and what a job script there begins with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Word
    """Stands in the scripts that are rendered for the site."""
    scheduler: Literal["slurm", "lsf", "local"]
    """Whose directives and launcher the script has; local: none, and mpirun."""
    submit: Line
    """What a user types before the script's name, such as `sbatch` or `bsub <`."""
    gpus_per_node: Count
    """GPUs of a node, and ranks on it: one a GPU."""
    cores_per_rank: Count
    """CPU cores that each rank gets, most of them for reading and preparing images."""
    account: Word | None = None
    """The project that is charged."""
    account_required: bool = False
    """Whether the site starts no job without an account."""
    queue: Word | None = None
    """LSF's queue, Slurm's partition; the site's default if left out."""
    nodes: Count = 1
    """Nodes of a job, if the user doesn't say."""
    walltime_minutes: Count = 120
    """Length of a job, if the user doesn't say. Nothing ends a job on a local site."""
    max_nodes: Count | None = None
    """The most nodes that a job may have."""
    max_walltime_minutes: Count | None = None
    """The longest that a job may last."""
    directives: tuple[Line, ...] = ()
    """Further directives, each without its `#SBATCH` or `#BSUB`."""
    setup: tuple[Line, ...] = ()
    """Shell lines that run before the launcher, such as `module load python`, as they are."""
    launcher_options: tuple[Line, ...] = ()
    """Further arguments for srun, jsrun or mpirun, one an element."""


def load_site(name_or_path: str | Path) -> Site:
    """Read a site: the name of a shipped one, or the path of a TOML file.

    Raises:
        SiteError: what is wrong, in which file and key, and what would be right.
    """
    path = find_site(str(name_or_path))
    return validate(Site, read_layers(path, find_site, SiteError), SiteError)


def find_site(name_or_path: str) -> Path:
    """The file of a site.

    Raises:
        SiteError: neither a file nor a shipped name.
    """
    return find_file(name_or_path, "site_configs", SiteError)
