#!/bin/bash
# Rendered by nnlc for the campaign smoke and the site local.
# Start it with: bash FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU. Nothing may follow: the last command's status is the script's.
mpirun -np 2 \
    python -m nnlc.worker smoke
