"""`python -m nnlc` is the `nnlc` command."""

from nnlc.cli import main

main()
