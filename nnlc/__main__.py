"""The `nnlc` command as `python -m nnlc`."""

from nnlc.cli import main

main()
