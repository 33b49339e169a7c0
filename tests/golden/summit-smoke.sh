#!/bin/bash
#BSUB -J "smoke"
#BSUB -P ABC123
#BSUB -W 2:00
#BSUB -nnodes 1
#BSUB -o smoke-%J.out
#BSUB -e smoke-%J.err
#BSUB -wa URG
#BSUB -wt 3
#BSUB -alloc_flags "NVME smt1 gpumps"
# Rendered by nnlc for the campaign smoke and the site summit.
# Start it with: bsub FILE, FILE being this script; 'nnlc submit' checks it and does so.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU, in the background: bash hears a signal only while it waits.
jsrun -n 6 -r 6 -a 1 -c 7 -g 1 \
    -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 \
    --smpiargs=-disable_gpu_hooks \
    python -m nnlc.worker smoke \
    --time-left "$((120 - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on a status is looked at

# The scheduler's warning saves every network; the ranks then leave with 75 by themselves.
trap 'kill -URG "$launcher"' URG
status=129
while [ "$status" -gt 128 ] && kill -0 "$launcher" 2>/dev/null; do
    wait "$launcher"
    status=$?
done
if [ "$status" -gt 128 ]; then # it may have ended while the warning was passed on
    wait "$launcher" 2>/dev/null
    late=$?
    [ "$late" -eq 127 ] || status=$late
fi
exit "$status"
