"""Pictures of many learning curves, for papers and slides: the only matplotlib.

Each kind of picture is a module that fills a figure; `plot` chooses among them and writes the file.
No picture is shown, so no backend is needed: MPLBACKEND, which a notebook sets for all that it
starts, may name one that this environment lacks.
"""

import os
import sys
from contextlib import suppress

_backend = os.environ.get("MPLBACKEND")
if _backend and "matplotlib" not in sys.modules:
    del os.environ["MPLBACKEND"]
    import matplotlib

    os.environ["MPLBACKEND"] = _backend
    with suppress(ValueError):  # one that is lacking
        matplotlib.rcParams["backend"] = _backend
