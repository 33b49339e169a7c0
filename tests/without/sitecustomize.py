"""Python without the libraries that NNLC_WITHOUT names, for every process with this in its path."""

import os
import sys
from importlib.machinery import PathFinder

NAMES = set(os.environ["NNLC_WITHOUT"].split())


class Without(PathFinder):
    """Finder of installed modules that does not find some of them."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in NAMES else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Without
