"""Processes of a job: one agent per rank, the gatherer on rank 0, and the links between them."""
