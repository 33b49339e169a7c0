"""Variables that must be set before Python starts, so that the same network gives the same table.

Job scripts export them. Inside a running process it would be too late: the libraries read them
when they load or when CUDA starts.
"""

DETERMINISM: dict[str, str] = {
    # cuBLAS is deterministic only with a workspace of a fixed size for each stream.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    # Sums over threads depend on how many there are: one thread everywhere, whatever the cores.
    "OMP_NUM_THREADS": "1",
    # The linear algebra libraries have counts of their own that win over OpenMP's.
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
