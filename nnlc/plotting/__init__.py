"""Pictures of many learning curves, for papers and slides; only this room imports matplotlib.

Each kind of picture has a module that fills a figure; `plot` chooses the module and writes the
file. Pictures are never shown, so no matplotlib backend is needed. A notebook sets MPLBACKEND for
all programs that it starts, perhaps to a backend that this environment lacks.
"""

import os
import sys
from contextlib import suppress

from nnlc.errors import NnlcError

_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
except UnicodeError as problem:  # matplotlib has already printed the file's path
    raise NnlcError(f"matplotlib can't read matplotlibrc: {problem}; save it as UTF-8") from None
if _backend:
    os.environ["MPLBACKEND"] = _backend
    with suppress(ValueError):  # raised if this environment lacks the backend
        matplotlib.rcParams["backend"] = _backend
