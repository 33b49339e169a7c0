"""Container of a site file: the command between the launcher and the ranks' Python.

Sources: apptainer-exec(1) and https://apptainer.org/docs/user/main/bind_paths_and_mounts.html.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from nnlc.system.one_line import check_line

PROGRAMS = ("apptainer", "singularity")
PYTHON = "python3"
"""Python of an image: the first on its PATH, which the image sets and the host does not."""
_GPU_OPTIONS = {"--nv", "--nvccli", "--rocm"}
_CLEARING = re.compile(r"--cleanenv|--containall|--compat|-[cefpinuwC]*[eC][cefpinuwC]*")
"""Options that drop variables of the host, and with them those of the launcher."""


@dataclass(frozen=True, slots=True)
class Container:
    """Command that runs a program in a container."""

    options: tuple[str, ...]
    """Program, `exec` and its options."""
    image: str

    @classmethod
    def read(cls, text: object) -> "Container":
        """Return the container of a site file's key.

        Raises:
            ValueError: the value is no such command.
        """
        line = check_line(text) if isinstance(text, str) else ""
        try:
            words = shlex.split(line)
        except ValueError:
            words = []
        program = PurePosixPath(words[0]).name if words else ""
        at = words.index("exec") if "exec" in words else 0
        is_command = at and all(word.startswith("-") for word in words[1:at])
        if program not in PROGRAMS or not is_command or len(words) == at + 1:
            raise ValueError(
                'must be as "apptainer exec --nv IMAGE.sif", with the image last; start any other '
                "container by launcher_options"
            )
        image = words.pop()
        if image.startswith("-"):
            raise ValueError(f"must end with the image; found {image!r}")
        if "://" in image:
            raise ValueError(
                f"each rank would fetch {image!r}: run {program} build IMAGE.sif "
                f"{shlex.quote(image)} once, and write IMAGE.sif here"
            )
        if clearing := [word for word in words[at:] if _CLEARING.fullmatch(word)]:
            raise ValueError(
                f"{clearing[0]} hides the launcher's variables, so that each rank would be alone; "
                "leave it out"
            )
        return cls(tuple(words), image)

    def relative_to(self, folder: Path) -> "Container":
        """Return this container with the full path of its image, which is relative to a folder."""
        return replace(self, image=str((folder / self.image).absolute()))

    def __str__(self) -> str:
        return shlex.join([*self.options, self.image])

    @property
    def shows_gpus(self) -> bool:
        """True if an option brings the host's GPU driver into the container."""
        return not _GPU_OPTIONS.isdisjoint(self.options)

    def command(self, folders: Sequence[str]) -> list[str]:
        """Return the words before a program that sees these folders of the host."""
        return [*self.options, *(word for pair in self.binds(folders) for word in pair), self.image]

    def binds(self, folders: Sequence[str]) -> list[tuple[str, str]]:
        """Return the options, each with its value, by which the container sees these folders."""
        return list(map(_bind, _outermost(folders)))


def _bind(folder: str) -> tuple[str, str]:
    """Return the option by which a container sees a folder of the host, at the same path.

    `--bind` can't name paths with a colon or a comma; `--mount` takes every path, in CSV's quotes.
    """
    if not re.search(r'[:,"]|^\s|\s$', folder):
        return "--bind", folder
    quoted = folder.replace('"', '""')
    return "--mount", f'type=bind,"src={quoted}","dst={quoted}"'


def _outermost(folders: Sequence[str]) -> list[str]:
    """Return the folders that are in no other of them, in their order."""
    paths = dict.fromkeys(map(PurePosixPath, folders))
    return [str(path) for path in paths if paths.keys().isdisjoint(path.parents)]
