"""Job scripts, plans and submissions, made on login nodes without torch or MPI."""
