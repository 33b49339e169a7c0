"""The `nnlc` program: one module for each group of commands, a few lines for each command.

Commands import their rooms when they run, so that `--help` is instant and needs neither torch nor MPI.
"""

from nnlc.cli.command import app, main

__all__ = ["app", "main"]
