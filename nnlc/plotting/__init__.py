"""Pictures of many learning curves, for papers and slides: the only matplotlib.

Each kind of picture is a module that fills a figure; `plot` chooses among them and writes the file.
No picture is shown, so no backend is needed: MPLBACKEND, which a notebook sets for all that it
starts, may name one that this environment lacks.
"""

import os
import sys
from contextlib import suppress

from nnlc.errors import NnlcError

_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
except UnicodeError as problem:  # a person's file, which it names in a line before
    raise NnlcError(f"matplotlib can't read matplotlibrc: {problem}; save it as UTF-8") from None
if _backend:
    os.environ["MPLBACKEND"] = _backend
    with suppress(ValueError):  # one that is lacking
        matplotlib.rcParams["backend"] = _backend
