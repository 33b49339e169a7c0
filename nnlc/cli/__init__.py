"""The `nnlc` command: a module a group of verbs, each verb a few lines over the room that works.

Rooms are imported inside the verbs, so that `--help` is instant and needs neither torch nor MPI.
"""

from nnlc.cli.command import app, main

__all__ = ["app", "main"]
