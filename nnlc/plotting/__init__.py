"""Pictures of many learning curves, for papers and slides: the only matplotlib.

Each kind of picture is a module that fills a figure; `plot` chooses among them and writes the file.
No picture is shown, so no backend is needed: what a notebook's kernel sets for its own, and this
environment may lack, is set aside while matplotlib is imported.
"""

import os

_set_aside = {name: os.environ.pop(name) for name in ("MPLBACKEND",) if name in os.environ}
import matplotlib  # noqa: E402, F401  before any module of this room

os.environ.update(_set_aside)
