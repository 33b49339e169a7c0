"""Slurm, LSF, PBS and machines without a queue, one class for each; site files; `nnlc lint`."""
