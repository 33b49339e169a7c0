"""Slurm, LSF and machines without a queue: a class each. Site files, and `nnlc lint`."""
