"""Start of a process that uses torch: `python -m nnlc.training MODULE ARGUMENT…` runs its `main`.

The garbage collector pauses while libraries are loaded: they leave next to no garbage, and torch
takes a third less time. Later collections pass over them.
"""

import gc
import importlib
import sys

gc.disable()
run = importlib.import_module(sys.argv[1]).main
gc.freeze()
gc.enable()
run(sys.argv[2:])
