#!/bin/bash
#BSUB -J smoke
#BSUB -P ABC123
#BSUB -W 2:00
#BSUB -nnodes 1
#BSUB -o smoke-%J.out
#BSUB -e smoke-%J.err
# Rendered by nnlc for the campaign smoke and the site lsf.
# Start it with: bsub < FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU. Nothing may follow: the last command's status is the script's.
jsrun -n 6 -r 6 -a 1 -c 7 -g 1 \
    -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 \
    --smpiargs=-disable_gpu_hooks \
    python -m nnlc.worker smoke --device cuda
