"""Results folder that a preflight makes and removes again."""

import contextlib
import os
from pathlib import Path

from nnlc.results.paths import ResultsPaths


class TrialFolder:
    """Results folder of a preflight that may be new.

    Args:
        path: the folder, before the preflight opens it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._missing = [each for each in (self._path, *self._path.parents) if not each.exists()]
        self._before = set() if self._missing else {each.name for each in self._path.iterdir()}

    def finish(self, status: int) -> None:
        """Remove what the preflight has made, unless another job has begun here meanwhile.

        Args:
            status: exit status of the preflight, on which nothing depends.
        """
        del status
        paths = ResultsPaths(self._path)
        with contextlib.suppress(
            OSError
        ):  # a folder with files of another job stays, with all else
            made = [each for each in self._path.iterdir() if each.name not in self._before]
            for folder in (each for each in made if each.is_dir()):
                for below, _, _ in os.walk(folder, topdown=False):
                    Path(below).rmdir()
            for file in (paths.campaign_file, paths.costs_file):
                if file.name not in self._before:
                    file.unlink(missing_ok=True)
            for each in self._missing:
                each.rmdir()
