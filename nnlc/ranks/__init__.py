"""The processes of a job: one agent a rank, the gatherer on rank 0, and the links between them."""
