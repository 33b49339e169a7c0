"""The `nnlc` program: one module for each group of commands, a few lines for each command.

Commands import their rooms when they run: `--help` is instant and loads neither torch nor MPI.
"""

from nnlc.cli.command import app, main

__all__ = ["app", "main"]
