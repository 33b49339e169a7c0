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

ALLOCATION: dict[str, str] = {
    # glibc maps every large block afresh and gives it back at once, so that each step pays anew for
    # each page of its activations. From one heap that is kept, wide networks train up to a third
    # faster on CPUs. Other C libraries ignore it.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1000000000000",
}
"""What makes trainers faster and changes nothing else; whoever sets it otherwise is left alone."""
