#!/bin/bash
#BSUB -J paper
#BSUB -P ABC123
#BSUB -q batch
#BSUB -W 25:05
#BSUB -nnodes 8
#BSUB -o paper-%J.out
#BSUB -e paper-%J.err
#BSUB -alloc_flags 'nvme smt1'
# Rendered by nnlc for the campaign paper and the site my-lsf.
# Start it with: bsub < FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The site's own lines. Modules and conda read variables that nobody has set.
set +u
module load python
set -u

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU. Nothing may follow: the last command's status is the script's.
jsrun -n 48 -r 6 -a 1 -c 7 -g 1 \
    -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 \
    --smpiargs=-disable_gpu_hooks \
    '/opt/my env/bin/python' -m nnlc.worker paper --results 'results/the paper'"'"'s' --device cuda
