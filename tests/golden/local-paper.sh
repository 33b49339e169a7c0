#!/bin/bash
# Rendered by nnlc for the campaign paper and the site my-workstation.
# Start it with: bash FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The site's own lines. Modules and conda read variables that nobody has set.
set +u
source env/bin/activate
set -u

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU. Nothing may follow: the last command's status is the script's.
mpirun -np 4 \
    -bind-to \
    core:2 \
    '/opt/my env/bin/python' -m nnlc.worker paper --results 'results/the paper'"'"'s'
